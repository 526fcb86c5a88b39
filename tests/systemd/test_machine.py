"""Shardis as a service, on a machine that the real systemd has booted: see lab.py.

The tests stand in the order of a service's life and run on one machine; each leaves it running with three shards.
"""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from common.slot import shard_of_slot, slot_of
from tests.certificates import Authority, connect
from tests.resp_client import Client, Error, Status
from tests.servers import free_port
from tests.systemd.installed import ALL, CHECKOUT, PREFIX, Installed, binds, make_environment
from tests.systemd.lab import Lab, NoLab
from tests.writers import Writer, faults, wait_for_progress, writing

SHARDS = 3
ROUTER = "shardis-router.service"
SHARD = "shardis-shard@1.service"
METRICS = "shardis-metrics.service"
WATCHDOG_S = 4
EXPOSURE_MAX = 15
"""In tenths, of what `systemd-analyze security` says."""
OK = Status(b"OK")
KEYS = 200


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    try:
        with Lab(binds()) as machine:
            yield machine
    except NoLab as reason:
        pytest.skip(f"no systemd can be booted here: {reason}")


@pytest.fixture(scope="module")
def service(lab: Lab) -> Installed:
    """Installed and started. Its watchdog is quicker than the one that is shipped."""
    make_environment(lab)
    made = Installed(lab)
    assert "systemctl start shardis.target" in made.install("--shards", str(SHARDS))
    made.configure(f"port {made.port}", f"metrics-port {free_port()}")
    for unit in ("shardis-shard@.service", ROUTER):
        folder = f"/etc/systemd/system/{unit}.d"
        text = f"[Service]\\nWatchdogSec={WATCHDOG_S}\\n"
        lab.check("sh", "-c", f"mkdir -p {folder} && printf '{text}' >{folder}/test.conf")
    lab.check("shardis-apply")
    made.systemctl("start", "shardis.target")
    with made.connect() as client:
        for number in range(KEYS):
            assert client.call("SET", f"key:{number}", number) == OK
    return made


def assert_has_keys(service: Installed) -> None:
    with service.connect() as client:
        assert client.call("MGET", *(f"key:{number}" for number in range(KEYS))) == [b"%d" % n for n in range(KEYS)]


def ready(service: Installed) -> bool:
    """Whether the router says that all shards serve. What one says that is gone stays until the next one starts."""
    text = f"{SHARDS} of {SHARDS} shards ready"
    return service.show(ROUTER, "ActiveState") == "active" and service.show(ROUTER, "StatusText").startswith(text)


def shard_of(key: str) -> int:
    return shard_of_slot(slot_of(key.encode()), SHARDS)


def restarts(service: Installed, unit: str) -> int:
    return int(service.show(unit, "NRestarts"))


def load(service: Installed, seed: int) -> AbstractContextManager[list[Writer]]:
    """Writers, who take it that there is no key of theirs."""
    with service.connect() as client:
        client.call("DEL", "none", *client.call("KEYS", "writer*"))
    return writing(service, seed)


@contextmanager
def knocking(service: Installed) -> Iterator[list[str]]:
    """Somebody connects all the time; the list gets those times when the port was closed."""
    refused: list[str] = []
    stop = threading.Event()

    def knock() -> None:
        while not stop.is_set():
            try:
                with Client(service.address) as client:
                    client.call("PING")
            except ConnectionRefusedError as error:
                refused.append(str(error))
            except OSError:  # Cut off by the end of a router.
                pass

    thread = threading.Thread(target=knock, daemon=True)
    thread.start()
    try:
        yield refused
    finally:
        stop.set()
        thread.join()


def test_start(service: Installed) -> None:
    """`start` returns when all serve: the first command finds no shard that loads."""
    port = str(service.port)
    assert service.lab.check("redis-cli", "-p", port, "PING") == "PONG\n"
    assert service.lab.check("redis-cli", "-p", port, "SET", "key:0", "0") == "OK\n"
    service.until(lambda: service.show(METRICS, "ActiveState") == "active", "the metrics, which nobody waits for")
    units = [*ALL, *(f"shardis-shard@{index}.service" for index in range(SHARDS))]
    assert {unit: service.show(unit, "ActiveState") for unit in units} == dict.fromkeys(units, "active")
    assert ready(service)
    service.until(lambda: f" {KEYS} keys" in service.show(ROUTER, "StatusText"), "the router counts the keys")
    shards = [f"shardis-shard@{index}.service" for index in range(SHARDS)]
    service.until(
        lambda: sum(int(service.show(unit, "StatusText").split()[0]) for unit in shards) == KEYS,
        "the shards count their keys",
    )
    assert service.show(ROUTER, "LimitNOFILE") == "10128"


def test_the_port_is_the_sockets(service: Installed) -> None:
    with service.connect() as client:
        assert client.call("CONFIG", "GET", "port") == [b"port", b"%d" % service.port]
    assert restarts(service, ROUTER) == 0


@pytest.mark.parametrize("unit", [SHARD, ROUTER])
def test_a_process_is_killed_under_load(service: Installed, unit: str) -> None:
    """It is there again, the port was never closed, and nothing that was acknowledged is lost."""
    before = restarts(service, unit)
    with load(service, seed=len(unit)) as writers, knocking(service) as refused:
        wait_for_progress(writers, 50)
        service.kill(unit, "KILL")
        service.until(lambda: restarts(service, unit) == before + 1 and ready(service), f"{unit} is there again")
        wait_for_progress(writers, 50)
    assert not faults(service, writers)
    assert not refused
    assert_has_keys(service)


@pytest.mark.parametrize("unit", [SHARD, ROUTER])
def test_a_loop_that_is_stuck_is_killed(service: Installed, unit: str) -> None:
    pid = service.main_pid(unit)
    before = restarts(service, unit)
    service.kill(unit, "STOP")
    service.until(lambda: restarts(service, unit) == before + 1 and ready(service), "the watchdog saw it")
    assert service.main_pid(unit) != pid
    assert "Watchdog timeout" in service.lab.check("journalctl", "--no-pager", "-u", unit)
    assert_has_keys(service)


def test_the_port_is_open_while_the_router_is_restarted(service: Installed) -> None:
    pid = service.main_pid(ROUTER)
    shards = [service.main_pid(f"shardis-shard@{index}.service") for index in range(SHARDS)]
    with load(service, seed=9) as writers, knocking(service) as refused:
        wait_for_progress(writers, 20)
        service.systemctl("restart", ROUTER)
        assert service.main_pid(ROUTER) != pid and ready(service)
        wait_for_progress(writers, 20)
    assert not faults(service, writers)
    assert not refused
    assert [service.main_pid(f"shardis-shard@{index}.service") for index in range(SHARDS)] == shards


def test_reload(service: Installed) -> None:
    """What CONFIG SET could change holds, on the shards too; what it could not is named, a fault changes nothing."""

    def value(name: str) -> bytes:
        return bytes(client.call("CONFIG", "GET", name)[1])

    def said(words: str) -> bool:
        return words in service.lab.check("journalctl", "--no-pager", "-u", ROUTER)

    with service.connect() as client:
        service.configure("set-max-intset-entries 2", "tcp-backlog 100")
        service.systemctl("reload", "shardis.target")
        service.until(lambda: value("set-max-intset-entries") == b"2", "the router has reloaded")
        for number in range(20):
            client.call("SADD", f"set:{number}", 1, 2, 3)
            assert client.call("OBJECT", "ENCODING", f"set:{number}") == b"listpack"
            client.call("DEL", f"set:{number}")
        assert said("only a restart changes these directives: tcp-backlog")
        service.configure("set-max-intset-entries 700", "maxclients none")
        service.systemctl("reload", "shardis.target")
        service.until(lambda: said("the configuration is not reloaded"), "the fault is named")
        assert value("set-max-intset-entries") == b"2"
        service.configure("set-max-intset-entries 512", "maxclients 10000", "tcp-backlog 511")
        service.systemctl("reload", "shardis.target")
        service.until(lambda: value("set-max-intset-entries") == b"512", "the router has reloaded again")


def test_the_journal_knows_what_is_wrong(service: Installed) -> None:
    """Each line has its priority, and does not show it."""
    lines = service.lab.check("journalctl", "--no-pager", "-o", "cat", "-p", "warning", "-u", "shardis*").splitlines()
    assert any(" router warning: " in line for line in lines) and not any(" notice: " in line for line in lines)
    lines = service.lab.check("journalctl", "--no-pager", "-o", "cat", "-u", ROUTER).splitlines()
    assert any(" router notice: " in line for line in lines) and not any(line.startswith("<") for line in lines)


def test_tls_by_the_socket(service: Installed) -> None:
    """`shardis-apply` opens its port as the other one; a reload takes the new certificate."""
    folder = "/etc/shardis/tls"
    authority = Authority(service.lab.root / folder.lstrip("/"))
    port = free_port()
    service.options["tls-port"] = str(port)
    files = (f"tls-cert-file {folder}/server.pem", f"tls-key-file {folder}/server.key")
    service.configure(f"tls-port {port}", "tls-auth-clients no", *files)
    authority.issue("server")
    service.lab.check("chown", "-R", "shardis", folder)
    service.lab.check("shardis-apply")
    assert_has_keys(service)
    with connect(service, authority.context()) as client:
        assert client.call("GET", "key:7") == b"7"
        authority.issue("server")
        service.lab.check("chown", "-R", "shardis", folder)
        service.systemctl("reload", "shardis.target")
        serial = authority.serial("server").encode()
        service.until(lambda: serial in client.call("INFO", "tls"), "the router has read the new certificate")
        assert isinstance(client.call("CONFIG", "SET", "port", "1"), Error)
    with connect(service, authority.context()) as client:
        assert client.call("GET", "key:7") == b"7"
    service.configure("tls-port 0")
    service.lab.check("shardis-apply")
    assert_has_keys(service)


def test_the_configuration_is_rewritten(service: Installed) -> None:
    """The one file outside of its data that the service may write."""
    with service.connect() as client:
        assert client.call("CONFIG", "SET", "slowlog-max-len", 77) == OK
        assert client.call("CONFIG", "REWRITE") == OK
    text = service.lab.check("cat", "/etc/shardis/shardis.conf")
    assert "slowlog-max-len 77" in text and f"port {service.port}" in text and "rundir /run/shardis" in text
    assert service.lab.check("stat", "-c", "%U %a", "/etc/shardis/shardis.conf") == "shardis 640\n"


def test_another_number_of_shards(service: Installed) -> None:
    """One step, with the re-hash before the start; and back."""
    for shards in (2, SHARDS):
        assert f"with {shards} shards" in service.lab.check("shardis-apply", "--shards", str(shards))
        assert_has_keys(service)
        status = service.show(ROUTER, "StatusText")
        assert status.startswith(f"{shards} of {shards} shards ready")
        running = service.lab.check("systemctl", "--plain", "--no-legend", "list-units", "shardis-shard@*").split("\n")
        assert len([line for line in running if " running " in line]) == shards
    assert service.show(SHARD, "Result") == "success"


def test_a_core_for_each(service: Installed) -> None:
    def cores(unit: str) -> str:
        lines = service.lab.check("cat", f"/proc/{service.main_pid(unit)}/status").splitlines()
        return next(line.split()[1] for line in lines if line.startswith("Cpus_allowed_list"))

    free = cores(SHARD)
    service.lab.check("shardis-apply", "--pin")
    assert cores(ROUTER).isdigit() and cores(SHARD).isdigit()
    assert "as they should be" in service.lab.check("shardis-apply")
    service.lab.check("shardis-apply", "--no-pin")
    assert cores(SHARD) == free
    assert_has_keys(service)


def test_a_second_installation_changes_nothing(service: Installed) -> None:
    pid = service.main_pid(ROUTER)
    service.install()
    assert service.main_pid(ROUTER) == pid
    assert_has_keys(service)


def test_a_client_ends_all(service: Installed) -> None:
    """SHUTDOWN stops the shards too, and closes the port: the next client must not start it again."""
    with service.connect() as client:
        client.send("SHUTDOWN")
        with pytest.raises(ConnectionError):
            client.read()
    service.until(lambda: not is_anything_active(service), "all has stopped")
    with pytest.raises(ConnectionRefusedError):
        service.connect()
    service.systemctl("start", "shardis.target")
    assert_has_keys(service)


def is_anything_active(service: Installed) -> bool:
    lines = service.lab.check("systemctl", "--plain", "--no-legend", "list-units", "--state=active,deactivating")
    return any(line.startswith("shardis") and not line.startswith("shardis.slice") for line in lines.splitlines())


def test_stop(service: Installed) -> None:
    """One command, which returns when all have stopped: the router first, then the shards. Nobody has to be killed, and
    what was answered is on disk."""
    with load(service, seed=5) as writers:
        wait_for_progress(writers, 50)
        service.systemctl("stop", "shardis.target")
        assert not is_anything_active(service)
        results = [service.show(unit, "Result") for unit in (ROUTER, "shardis-shard@0.service", SHARD)]
        assert results == ["success"] * 3
        service.systemctl("start", "shardis.target")
        wait_for_progress(writers, 20)
    assert not faults(service, writers)
    journal = service.lab.check("journalctl", "--no-pager", "-u", "shardis*", "--output=cat")
    stopped = journal[: journal.rindex("Stopped shardis-prepare")]
    order = [stopped.rindex(f"Stopped {unit}") for unit in (ROUTER, SHARD)]
    assert order == sorted(order)


def test_restart(service: Installed) -> None:
    """One command, too, which returns when all serve."""
    units = [ROUTER, *(f"shardis-shard@{index}.service" for index in range(SHARDS))]
    before = [service.main_pid(unit) for unit in units]
    service.systemctl("restart", "shardis.target")
    assert not {"0", *before} & {service.main_pid(unit) for unit in units}
    assert_has_keys(service)


def test_a_damaged_log_is_not_tried_again_and_again(service: Installed) -> None:
    """The others serve; once it is whole, one start is all it takes."""
    before = restarts(service, SHARD)
    service.systemctl("stop", SHARD)
    paths = service.lab.check("sh", "-c", "ls /var/lib/shardis/*/shard-1/appendonlydir/*.manifest").split()
    path = paths[0] if paths else ""
    service.lab.check("sh", "-c", f"cp -p {path} {path}.kept; echo nonsense >{path}")
    service.lab.run("systemctl", "start", SHARD)
    service.until(lambda: service.show(SHARD, "ActiveState") == "failed", "it has given up")
    assert restarts(service, SHARD) == before and service.show(SHARD, "ExecMainStatus") == "1"
    with service.connect() as client:
        answers = [client.call("GET", f"key:{number}") for number in range(KEYS)]
    assert any(isinstance(answer, Error) for answer in answers) and any(type(answer) is bytes for answer in answers)
    assert "down: shard 1" in service.show(ROUTER, "StatusText")
    service.lab.check("mv", f"{path}.kept", path)
    service.systemctl("start", SHARD)
    service.until(lambda: ready(service), "the shard is back")
    assert_has_keys(service)


@pytest.mark.parametrize("unit", [SHARD, ROUTER])
def test_what_fails_again_and_again_is_given_up(service: Installed, unit: str) -> None:
    """As its unit says; without the cause, the two words that README.md names mend it, and the one alone does not."""
    assert [service.show(unit, f"StartLimit{what}") for what in ("Burst", "IntervalUSec")] == ["20", "1min"]
    folder, cause = f"/run/systemd/system/{unit}.d", "/run/cause"
    lines = f"[Unit]\nStartLimitBurst=4\n[Service]\nExecStartPre=/bin/sh -c '[ ! -e {cause} ] || kill -KILL $$$$'\n"
    service.lab.check("sh", "-c", 'touch $0; mkdir -p $1; printf %s "$2" >$1/fails.conf', cause, folder, lines)
    service.systemctl("daemon-reload")
    service.kill(unit, "KILL")
    service.until(lambda: service.show(unit, "ActiveState") == "failed", f"{unit} is given up")
    assert "Start request repeated too quickly" in service.lab.run("systemctl", "status", unit).stdout
    if unit == ROUTER:
        with pytest.raises(ConnectionRefusedError):
            service.connect()
    else:
        assert "down: shard 1" in service.show(ROUTER, "StatusText")
        with service.connect() as client:
            answers = [client.call("GET", f"key:{number}") for number in range(KEYS)]
        assert any(type(answer) is bytes for answer in answers)
    service.lab.check("rm", cause)
    assert service.lab.run("systemctl", "start", unit).returncode
    service.systemctl("reset-failed", "shardis*")
    service.systemctl("start", "shardis.target")
    service.until(lambda: ready(service), "all serve again")
    assert_has_keys(service)
    service.lab.check("rm", "-r", folder)
    service.systemctl("daemon-reload")


def test_who_goes_first_when_memory_is_short(service: Installed) -> None:
    """The metrics before anything else of this machine, the router last; and a process goes alone."""
    may_lower = service.lab.run("sh", "-c", "echo -1 >/proc/self/oom_score_adj").returncode == 0  # Not in a container.
    for unit, score in {METRICS: 200, SHARD: -200, ROUTER: -500}.items():
        assert [service.show(unit, f"OOM{what}") for what in ("ScoreAdjust", "Policy")] == [str(score), "stop"]
        if score > 0 or may_lower:
            assert int(service.lab.check("cat", f"/proc/{service.main_pid(unit)}/oom_score_adj")) == score


def test_a_shard_that_runs_into_its_wall(service: Installed) -> None:
    """It is killed by the kernel in the middle of a command, and is back with its data; the others serve on."""
    if not service.lab.limits_memory():
        pytest.skip("nothing limits memory in the lab: this machine has no control group of memory to give")
    before, others = restarts(service, SHARD), [service.main_pid(unit) for unit in (ROUTER, "shardis-shard@0.service")]
    member = next(name for name in map("set:{}".format, range(KEYS)) if shard_of(name) == 1)
    service.systemctl("set-property", "--runtime", SHARD, "MemoryMax=100M")
    with service.connect() as client:
        assert client.call("SADD", member, "x" * 1000) == 1
        answer = client.call("SRANDMEMBER", member, -1_000_000)
        assert isinstance(answer, Error) and "outcome of this command is unknown" in str(answer)
        service.until(lambda: restarts(service, SHARD) == before + 1 and ready(service), "the shard is back")
        assert client.call("SCARD", member) == 1
        client.call("DEL", member)
    assert "status=9/KILL" in service.lab.check("journalctl", "--no-pager", "-u", SHARD)
    assert [service.main_pid(unit) for unit in (ROUTER, "shardis-shard@0.service")] == others
    service.systemctl("set-property", "--runtime", SHARD, "MemoryMax=infinity")
    assert_has_keys(service)


def test_metrics(service: Installed) -> None:
    """Where `systemctl status` says, and again after it was killed."""
    address = service.show(METRICS, "Documentation")
    before = service.main_pid(METRICS)
    service.kill(METRICS, "SIGKILL")
    service.until(lambda: service.main_pid(METRICS) not in ("0", before), "it runs again")

    def text() -> str:
        return service.lab.run("curl", "-s", f"{address}metrics").stdout

    service.until(lambda: "redis_up 1.0" in text() and 'shardis_shard_up{shard="2"} 1.0' in text(), "all is told")


@pytest.mark.parametrize("unit", [SHARD, *(unit for unit in ALL if unit.endswith(".service"))])
def test_hardening(service: Installed, unit: str) -> None:
    limit = f"--threshold={EXPOSURE_MAX}"
    service.lab.check("systemd-analyze", "security", "--no-pager", limit, unit)


def test_units_have_no_faults(service: Installed) -> None:
    units = [f"/etc/systemd/system/{unit}" for unit in (*ALL, "shardis.slice", SHARD.replace("@1", "@"))]
    done = service.lab.run("systemd-analyze", "verify", *units)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "shardis" in line]) == (0, [])


@pytest.mark.parametrize("how", ["reboot", "power cut"])
def test_the_next_boot(service: Installed, how: str) -> None:
    """It starts by itself and has what was answered; for a power cut, what was on disk with `always`."""
    with service.connect() as client:
        assert client.call("CONFIG", "SET", "appendfsync", "always") == OK
        assert client.call("SET", "last", how) == OK
    service.lab.shut_down() if how == "reboot" else service.lab.cut_power()
    with pytest.raises(ConnectionRefusedError):
        service.connect()
    service.lab.boot()
    service.until(lambda: service.show("shardis.target", "ActiveState") == "active", "it has started by itself")
    with service.connect() as client:
        assert client.call("GET", "last") == how.encode()
    assert_has_keys(service)


def test_uninstall_leaves_the_data_alone(service: Installed) -> None:
    """And the configuration beside it, which was changed. The user is gone; a new one has the number of the data."""
    lab = service.lab
    assert "/var/lib/shardis" in lab.check(f"{CHECKOUT}/deploy/install.sh", "--uninstall")
    left = [
        path.relative_to(lab.changes).as_posix()
        for path in lab.changes.rglob("*")
        if "shardis" in path.name and not path.is_char_device()  # Those say what is gone.
    ]
    kept = {path for path in left if not path.startswith("var/lib/shardis/")}
    assert kept == {"var/lib/shardis"}
    assert "var/lib/shardis/shardis.conf.uninstalled" in left
    assert lab.run("id", "shardis").returncode
    owner = lab.check("stat", "-c", "%u", "/var/lib/shardis/layout.json")
    make_environment(lab)
    service.install("--shards", str(SHARDS))
    service.configure(f"port {service.port}")
    lab.check("shardis-apply")
    service.systemctl("start", "shardis.target")
    assert_has_keys(service)
    assert lab.check("id", "-u", "shardis") == owner
    assert PREFIX in lab.check("readlink", "/usr/local/bin/shardis")
