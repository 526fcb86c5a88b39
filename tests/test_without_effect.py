"""Directives without effect: each has its reason, and who sets one is told."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.directives import BY_NAME, DIRECTIVES, NOBODY
from common.without_effect import REASONS, WITHOUT_EFFECT
from tests.servers import ROOT


def test_each_has_its_reason() -> None:
    assert {directive.name for directive in DIRECTIVES if directive.users == NOBODY} == WITHOUT_EFFECT.keys()
    assert len(WITHOUT_EFFECT) == sum(len(names.split()) for names in REASONS.values())


def texts(*folders: str) -> Iterator[str]:
    """The constants of the code that may use directives."""
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            if path.name not in ("directives.py", "without_effect.py"):
                for node in ast.walk(ast.parse(path.read_text())):
                    if isinstance(node, ast.Constant) and isinstance(node.value, str):
                        yield node.value


COMPUTED = {  # By the code that puts their names together, or asks for something in their place.
    "enable-debug-command": "router/dispatch.py",
    "enable-module-command": "router/dispatch.py",
    "shutdown-on-sigint": "router/shutdown.py",
    "shutdown-on-sigterm": "router/shutdown.py",
    "tls-ciphers": "router/tls.py",
    "tls-ciphersuites": "router/tls.py",
}
SHOWN = {  # INFO says their value, as in Redis.
    "repl-backlog-size",
}
NEEDS_NOTHING = {
    "aclfile": "only its default is taken",
    "daemonize": "only its default is taken",
}


def test_who_is_said_to_use_a_directive_does() -> None:
    named = {text for text in texts("router", "shard", "deploy", "metrics", "common") if text in BY_NAME}
    for directive in DIRECTIVES:
        if directive.users:
            assert directive.name in named or directive.name in COMPUTED or directive.name in NEEDS_NOTHING
        else:
            assert directive.name not in named or directive.name in SHOWN


@pytest.mark.parametrize("name", ["activedefrag", "repl-timeout"])
def test_who_sets_one_is_told(tmp_path: Path, name: str) -> None:
    argv = ["--dir", str(tmp_path), "--port", "0", "--unixsocket", str(tmp_path / "s"), "--shards", "1"]
    value = {"activedefrag": "yes", "repl-timeout": "7"}[name]
    with subprocess.Popen(
        [sys.executable, "-m", "deploy", *argv, f"--{name}", value, "--io-threads", "1"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "ready to accept" in line:
                process.terminate()
    told = [line for line in lines if "has no effect" in line]
    assert len(told) == 1
    assert told[0].endswith(f" warning: the directive {name} has no effect: {WITHOUT_EFFECT[name]}\n")
