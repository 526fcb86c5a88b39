"""The house rules that a linter cannot know, said to the code.

Each test reads the tree and names every place that breaks its rule. Where a rule has exceptions they stand in a table
here, each with its reason: an exception that nothing needs any more is a failure too.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests import transcript
from tests.transcript import SESSIONS

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("common", "router", "shard", "deploy", "metrics", "transfer")

LINES_MAX = 500
"""Hard; about 400 is meant."""
FUNCTION_LINES_MAX = 60

MAY_IMPORT = {
    "common": {"common"},
    "router": {"router", "common"},
    "shard": {"shard", "common"},
    "deploy": {"deploy", "common", "transfer", "metrics"},
    "metrics": {"metrics", "common"},
    "transfer": {"transfer", "common", "shard"},
}

READERS = {
    "shard.rdb": "values as bytes",
    "shard.values.listpack": "what small values are in these bytes",
    "shard.log_reader": "commands out of a log",
    "shard.log_reading": "which files a log is",
    "shard.first_logs": "whether the logs of a folder count",
    "shard.log_files": "which folder the logs are in, and how a file is cut for good",
    "shard.manifest": "what a file of a log is for",
    "shard.layout": "how many shards there are",
}
"""All of shard that transfer may import: what reads and writes files, nothing that has keys."""

LAYERS = (
    {"shard.values"},
    {"shard.rdb"},
    {"shard.slots", "shard.expiry", "shard.idle", "shard.stats", "shard.garbage"},
    {"shard.snapshot"},
    {"shard.keyspace", "shard.fields", "shard.invariants", "shard.frequency", "shard.blocking"},
    {"shard.footprint", "shard.eviction"},
    {"shard.commands"},
    {"shard.execute"},
    {"shard.late", "shard.waiters"},
    {"shard.control"},
    {"shard.states", "shard.budget"},
    {"shard.loan"},
    {"shard.transaction"},
    {"shard.rewrite", "shard.rewriter", "shard.log_switch"},
    {"shard.rdb_loading", "shard.save", "shard.rdb_start"},
    {"shard.reload"},
    {"shard.link", "shard.service"},
    {"shard.server", "shard.__main__", "shard.resharding", "shard.resharding_tasks"},
)
"""Inside a shard: each imports only from its own layer and those before it."""

OUTSIDE_WORLD = {
    "asyncio",
    "uvloop",
    "socket",
    "select",
    "selectors",
    "ssl",
    "subprocess",
    "threading",
    "time",
    "datetime",
}
OUTSIDE_WORLD |= {"os", "pathlib", "shutil", "tempfile", "fcntl", "resource", "signal"}

AT_THE_RIM = {
    "router/__main__.py": "the design's",
    "router/server.py": "the design's",
    "router/config_rewrite.py": "a part of server.py: the one file that a router writes",
    "common/whole_file.py": "writes what CONFIG REWRITE, ACL SAVE and shardis units write",
    "router/listening.py": "a part of server.py: the sockets that clients come in by",
    "router/listeners.py": "a part of server.py: who serves at each of them",
    "router/tls.py": "reads certificates, and what OpenSSL makes of them",
    "router/encrypted.py": "a client's transport, as session.py is its protocol",
    "router/paced.py": "the same",
    "router/metrics_door.py": "a part of __main__.py: the socket that the metrics process asks at",
    "router/session.py": "the design's",
    "router/link.py": "the design's",
    "shard/__main__.py": "the design's",
    "shard/link.py": "a shard's end of the link, as router/link.py is the router's",
    "shard/server.py": "the design's",
    "shard/aof.py": "the design's",
    "shard/log_syncer.py": "a part of aof.py: the thread that waits for fsync",
    "shard/reservation.py": "a part of aof.py: a file that a thread writes to while the loop does",
    "shard/snapshot_file.py": "a snapshot on its way to disk: it hands what waits for the disk to the log's thread",
    "shard/save.py": "names the files of a save and says when they were made",
    "shard/save_join.py": "what the log's thread does for a save",
    "shard/rdb_loading.py": "opens the file that it reads",
    "shard/rdb_start.py": "a part of server.py: a start from a file",
    "shard/first_logs.py": "a part of rdb_start.py: what all shards agree on before any of their logs counts",
    "shard/reload.py": "writes a file and reads it again in one turn, as DEBUG RELOAD is",
    "router/shutdown.py": "a signal to the supervisor: what becomes of its order to stop",
    "shard/log_files.py": "a part of aof.py: files and folders that survive a power cut",
    "shard/log_reading.py": "a part of aof.py: a log's folder read",
    "shard/log_folder.py": "a part of aof.py: which files of a log's folder count",
    "shard/log_swap.py": "a part of aof.py: the step from one set of files to the next, in the log's thread",
    "shard/log_switch.py": "a part of server.py: notes for who takes the place of a shard",
    "shard/rewrite.py": "a part of server.py: what is done to the log between turns, and in its thread",
    "shard/rewriter.py": "a part of server.py: a stop waits for what is under way",
    "shard/resharding.py": "a process of its own, which is done before the shards are started",
    "shard/resharding_tasks.py": "what its processes read and write",
    "shard/task_pool.py": "starts these processes",
    "common/__init__.py": "one look at the environment, when it is imported",
    "common/bind.py": "opens the sockets that router and metrics listen at",
    "common/systemd.py": "words to systemd, and what it has opened",
    "common/signals.py": "which signals reach a process that ends",
    "common/config.py": "puts paths together and counts cores, before anything runs",
    "common/log.py": "what time it is, and whether standard error is the journal",
    "common/syslog.py": "the number of this process",
    "common/open_files.py": "asks the system how many files may be open",
    "common/memory.py": "asks the system and the allocators what this process takes, and how long that takes",
    "common/peer.py": "asks the kernel who is at the other end of a link",
    "common/config_file.py": "reads the file that the command line names, before anything runs",
}
"""The files of router, shard and common that may touch sockets, files or a clock, and why."""

LONG_FUNCTIONS = {
    "common/requests.py _scan_marks": "the one loop of the parser, which runs per byte: a call inside would cost more",
    "shard/execute.py run": "the one loop of a shard, which runs per command: a call inside would cost more",
}
"""Functions over the limit, and why they are not cut."""

NO_TEST_FILE: dict[str, str] = {
    "common/arguments.py": "tests/test_requests.py",
    "common/declaration.py": "tests/test_command.py",
    "common/errors.py": "tests/sessions/strings_wrong_type.session",
    "common/flags.py": "tests/test_command_replies.py",
    "common/key_specs.py": "tests/test_usage.py",
    "common/open_files.py": "tests/test_client_limits.py",
    "common/timeouts.py": "tests/test_blocking.py",
    "router/config_rewrite.py": "tests/test_config_commands.py",
    "router/address.py": "tests/sessions/client_list.session",
    "router/log_sync.py": "tests/test_acknowledgement.py",
    "router/open_files.py": "tests/test_client_limits.py",
    "router/replies.py": "tests/sessions/client_reply.session",
    "router/scope.py": "tests/test_execution.py",
    "router/server.py": "tests/test_session.py",
    "router/stages.py": "tests/test_execution.py",
    "router/waiting.py": "tests/test_saving.py",
    "router/watching.py": "tests/test_execution.py",
    "shard/clearing.py": "tests/test_keyspace.py",
    "shard/log_files.py": "tests/test_aof_faults.py",
    "shard/log_folder.py": "tests/test_log_switch.py",
    "shard/log_reading.py": "tests/test_aof.py",
    "shard/log_swap.py": "tests/test_rewrite.py",
    "shard/rewriter.py": "tests/test_rewrite.py",
    "shard/first_logs.py": "tests/test_rdb_start.py",
    "shard/garbage.py": "tests/test_keyspace.py",
    "shard/invariants.py": "tests/test_keyspace.py",
    "shard/listeners.py": "tests/test_watches.py",
    "shard/resharding_tasks.py": "tests/test_resharding.py",
    "shard/server.py": "tests/test_crash.py",
    "shard/rdb_loading.py": "tests/test_rdb_start.py",
    "shard/save.py": "tests/test_saving.py",
    "shard/value.py": "tests/test_keyspace.py",
    "shard/walk.py": "tests/test_keyspace.py",
    "transfer/batches.py": "tests/test_transfer_courier.py",
    "transfer/faults.py": "tests/test_transfer_courier.py",
    "transfer/inspection.py": "tests/test_check.py",
    "transfer/older.py": "tests/test_transfer_payloads.py",
    "transfer/options.py": "tests/test_check.py",
    "transfer/to_server.py": "tests/test_transfer_courier.py",
}
"""Modules without a test file of their own: the file that covers them, which must exist."""

FORBIDDEN_WORDS = re.compile(r"\bTODO\b|\bFIXME\b|\bXXX\b|\bHACK\b|\b[Ii]ssue ?#?\d|\b[Ii]ssue #|\bpull request\b")
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "misc", "stuff"}


def modules(*packages: str) -> list[Path]:
    return [path for package in packages or PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    return list(ast.walk(tree_of(path)))


@pytest.fixture(scope="module", autouse=True)
def _forgotten() -> Iterator[None]:
    """The trees are large, and nobody needs them behind these tests."""
    yield
    tree_of.cache_clear()
    nodes_of.cache_clear()


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of all that is imported when the program runs."""
    checked_only = {
        id(inner)
        for node in nodes_of(path)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        if id(node) not in checked_only:
            yield from ((node.lineno, name) for name in names)


def test_packages_import_only_what_is_below_them() -> None:
    broken = [
        f"{name_of(path)}:{line} imports {name}"
        for package, allowed in MAY_IMPORT.items()
        for path in modules(package)
        for line, name in imports(path)
        if name.split(".")[0] in {*PACKAGES, "tests"} - allowed
    ]
    assert not broken, "\n".join(broken)


def test_transfers_import_readers_of_files_only() -> None:
    found = {name for path in modules("transfer") for _, name in imports(path) if name.startswith("shard.")}
    used = {name: reader for name in found for reader in READERS if name == reader or name.startswith(reader + ".")}
    assert not (others := sorted(found - used.keys())), others
    assert not (unused := READERS.keys() - used.values()), f"nothing imports them, take them out of the table: {unused}"


def test_layers_of_a_shard() -> None:
    broken = []
    for path in modules("shard"):
        mine = _layer(name_of(path).removesuffix(".py").replace("/", "."))
        for line, name in imports(path):
            theirs = _layer(name)
            if mine is not None and theirs is not None and theirs > mine:
                broken.append(f"{name_of(path)}:{line} imports {name}, which is above it")
    assert not broken, "\n".join(broken)


def _layer(module: str) -> int | None:
    for number, layer in enumerate(LAYERS):
        if any(module == name or module.startswith(name + ".") for name in layer):
            return number
    return None


def test_only_the_rim_touches_the_world() -> None:
    broken = []
    touching = set()
    for path in modules("common", "router", "shard"):
        found = [f"{line} imports {name}" for line, name in imports(path) if name.split(".")[0] in OUTSIDE_WORLD]
        found += [
            f"{node.lineno} calls open"
            for node in nodes_of(path)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open"
        ]
        if found:
            touching.add(name_of(path))
        if name_of(path) not in AT_THE_RIM:
            broken += [f"{name_of(path)}:{place}" for place in found]
    assert not broken, "\n".join(broken)
    idle = sorted(name for name in AT_THE_RIM.keys() - touching if (ROOT / name).is_file())
    assert not idle, f"no longer at the rim, take them out of the table: {idle}"


def test_files_are_short() -> None:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in modules(*PACKAGES, "tests")}
    assert not (long := {name: count for name, count in lengths.items() if count > LINES_MAX}), long


def test_functions_are_short() -> None:
    long = {
        f"{name_of(path)} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in modules()
        for node in nodes_of(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES_MAX
    }
    assert not (found := {name: lines for name, lines in long.items() if name not in LONG_FUNCTIONS}), found
    assert not (short := LONG_FUNCTIONS.keys() - long.keys()), f"short by now, take them out of the table: {short}"


def test_files_begin_with_what_they_are() -> None:
    silent = [
        name_of(path)
        for path in modules(*PACKAGES, "tests")
        if path.read_text().strip() and not ast.get_docstring(tree_of(path))
    ]
    assert not silent, silent


def test_files_are_named_after_a_noun() -> None:
    badly = [name_of(path) for path in modules(*PACKAGES, "tests") if path.stem in FORBIDDEN_NAMES]
    assert not badly, badly


def test_no_file_speaks_of_unfinished_business() -> None:
    files = [path for path in modules(*PACKAGES, "tests") if path != Path(__file__)]
    files += [*SESSIONS.rglob("*.session"), *ROOT.glob("*.md"), *ROOT.glob("*.toml")]
    found = [
        f"{name_of(path)}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if FORBIDDEN_WORDS.search(line)
    ]
    assert not found, "\n".join(found)


def test_no_error_is_swallowed() -> None:
    swallowed = [
        f"{name_of(path)}:{node.lineno}"
        for path in modules()
        for node in nodes_of(path)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
        and all(isinstance(statement, ast.Pass | ast.Continue) for statement in node.body)
    ]
    assert not swallowed, swallowed


def test_nobody_prints() -> None:
    printing = [
        f"{name_of(path)}:{node.lineno}"
        for path in modules("common", "router", "shard")
        for node in nodes_of(path)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
        if path.stem != "__main__"
    ]
    assert not printing, printing


def _tested_modules() -> list[Path]:
    """Those with code, but for commands, whose tests are transcripts, and the few lines of a __main__."""
    return [
        path
        for path in modules()
        if path.stem not in ("__init__", "__main__") and path.parent.name != "commands" and path.read_text().strip()
    ]


def test_each_module_has_a_test_file() -> None:
    missing = []
    for path in _tested_modules():
        own = [ROOT / "tests" / f"test_{path.stem}.py", ROOT / "tests" / f"test_{path.parent.name}_{path.stem}.py"]
        covered = NO_TEST_FILE.get(name_of(path))
        if any(file.is_file() for file in own):
            assert not covered, f"{name_of(path)} has a test file now: take it out of NO_TEST_FILE"
        elif not covered or not (ROOT / covered).exists():
            missing.append(name_of(path))
    assert not missing, f"{len(missing)} modules without a test file, or a word in NO_TEST_FILE: {', '.join(missing)}"


def test_each_command_has_a_transcript() -> None:
    """A command's behaviour is a transcript. Subcommands count each for themselves."""
    used: set[bytes] = set()
    for path in SESSIONS.rglob("*.session"):
        used |= transcript.read(path).calls()
    missing = sorted(name for name in _declared() if name.upper().replace("|", " ").encode() not in used)
    assert not missing, f"{len(missing)} commands in no transcript: {', '.join(missing)}"


def _declared() -> set[str]:
    """The commands of both tables, without those that only contain others."""
    import importlib
    import pkgutil

    names: set[str] = set()
    for package in ("router.commands", "shard.commands"):
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
            importlib.import_module(f"{package}.{module.name}")
        table = importlib.import_module(f"{package}.table").TABLE
        names |= {command.name for command in table.each() if command.handler is not None}
    return names


def test_a_decorated_function_is_not_declared_as_c() -> None:
    """Cython drops the decorator of what a .pxd declares: a command would be missing where it is compiled."""
    dropped = []
    for path in modules():
        declared = path.with_suffix(".pxd")
        if declared.exists():
            names = set(re.findall(r"^cp?def (?!class)[^(\n]*?(\w+)\(", declared.read_text(), re.MULTILINE))
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.FunctionDef) and node.decorator_list and node.name in names:
                    dropped.append(f"{path.relative_to(ROOT)}: {node.name}")
    assert not dropped
