"""The command `shardis`: one server of a router and N shards, in the foreground.

What keeps it from starting is one line on standard error, and exit status 1.
"""

import fcntl
import os
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from common.config import Config, ConfigError, read_text
from common.open_files import FILES_BESIDE_CLIENTS, allow_files
from common.without_effect import WITHOUT_EFFECT
from deploy.handover import hand_over, path_of, read, read_again
from deploy.supervisor import Command, Supervisor

if TYPE_CHECKING:
    import logging

HELP = """\
Usage: shardis [FILE] [--NAME VALUE ...] [-]
       shardis import|export|check|top ...

A Redis-compatible server that uses every core. FILE is a redis.conf, "-" one on standard input. Each
of its directives is also an option, and a variable of the environment: SHARDIS_MAXMEMORY=1gb. The command line goes
before the environment, and that before the file.

  --port 6379                TCP port to listen on
  --bind "* -::*"            addresses to listen on
  --tls-port 0               TCP port for TLS; with it --tls-cert-file and --tls-key-file
  --shards N                 processes that hold the data (default: as many as it is spread over; at the first start
                             one per core, here {cores}); with another N the data is re-hashed first
  --dir DIR                  where the data live (default: the current directory)
  --appendonly yes|no        keep every write in a log (default: yes)
  --appendfsync everysec     when the log is forced to disk: always, everysec or no
  --requirepass PASSWORD     what clients have to say first
  --logfile FILE             write the log there, not to standard error
  --loglevel notice          debug, verbose, notice, warning or nothing

  import SOURCE              bring keys from a file, a log or a server into a running server
  export TARGET              write the keys of a server into a file or into another server
  check [DIR]                say whether the data of a folder are whole
  top                        show in the terminal what a running server does; each of the four has a --help

  --default-config           print a configuration with all directives that do something, commented, and exit
  -h, --help                 show this and exit
  -v, --version              show the version and exit

Examples:
  shardis
  shardis /etc/redis/redis.conf --port 7000
  shardis --dir /var/lib/shardis --shards 4 --save ""

SIGTERM and SIGINT (Ctrl-C) stop it in order; a second one makes it quicker. SIGHUP has the configuration read again."""

TRANSFERS = ("import", "export", "check")
"""Words in the place of FILE, beside top; a file of such a name is ./import."""
LOCK = "shardis.lock"
LAYOUT = "layout.json"
LOCK_POLL_S = 0.05
DEFAULTS_FILE = "shardis.conf"
SHARDS_MAX = 1024  # What --shards takes.
SOCKET_PATH_BYTES_MAX = 107  # sun_path, without its closing zero.
PYTHON = (sys.executable, "-P")  # -P: a router.py in the current directory is none of ours.


class CannotStart(Exception):
    """Why there can be no server, in one line."""


def main() -> int:
    """Runs the server; its exit status."""
    argv = sys.argv[1:]
    if argv[:1] in (["-h"], ["--help"]):
        print(HELP.format(cores=len(os.sched_getaffinity(0))))
        return 0
    if argv == ["--default-config"]:
        sys.stdout.write(read_text(f"{os.path.dirname(os.path.abspath(__file__))}/{DEFAULTS_FILE}"))
        return 0
    if argv[:1] in (["-v"], ["--version"]):
        print(f"shardis {version()} (Python {sys.version.split()[0]})")
        return 0
    if argv and argv[0] in TRANSFERS:
        from transfer.__main__ import main as transfer  # 0.1 s that a server does without.

        return transfer(argv)
    if argv[:1] == ["top"]:
        from metrics.top.__main__ import main as top

        return top(argv[1:])
    try:
        return serve(Config.from_arguments(argv, read, os.environ), argv)
    except (ConfigError, CannotStart) as error:
        from common.log import last_words  # What goes on logs later.

        last_words(str(error))
        return 1


def serve(config: Config, argv: list[str]) -> int:
    """Prepares the folders and runs the processes.  Raises CannotStart."""
    if config.has_secrets():  # At once, and whatever set-proc-title says: everybody reads that list.
        set_title()
    make_data_folder(config["dir"])
    lock_fd = lock(config["dir"], config["shutdown-timeout"])
    layout = found_layout(config["dir"])
    keep_layout(config, layout)
    check_log_file(config.path("logfile"))
    allow_files(config["maxclients"] + FILES_BESIDE_CLIENTS)
    own_folder = make_run_folder(config)
    try:
        prepare_run_folder(config)
        return supervise(config, layout, argv)
    finally:
        remove(path_of(config))
        remove(config.log_note)
        remove(config.path("pidfile"))
        if own_folder:
            remove_folder(own_folder)
        os.close(lock_fd)


def supervise(config: Config, layout: "Layout | None", argv: list[str]) -> int:
    """Runs the processes. All that they need not wait for comes after they were started."""
    add_to_python_path()
    log = Log(config)

    def on_started() -> None:
        announce(config, layout, log)
        write_pid_file(config.path("pidfile"), log)
        if config["set-proc-title"]:
            set_title()

    def on_reload() -> bool:
        to_tell = read_again(config, argv, os.environ, log.warn)
        supervisor.wait_at_most(config["shutdown-timeout"])
        return to_tell

    config_path = path_of(config)
    made = commands(config, config_path)
    if layout is not None and needs_rehash(config, layout):
        made.insert(0, Command("re-hash", [*PYTHON, "-m", "shard.resharding", config_path], is_first=True))
    supervisor = Supervisor(made, config["shutdown-timeout"], log, log.warn, on_started, on_reload)
    return supervisor.run()


def set_title() -> None:
    """Has the list of processes show the role, and not the arguments."""
    import setproctitle  # 5 ms that the start of the children does without.

    setproctitle.setproctitle("shardis: supervisor")


def commands(config: Config, config_path: str) -> list[Command]:
    """The router first: that its port is taken is the commonest reason why a server can't start."""
    made = [Command("router", [*PYTHON, "-m", "router", config_path], is_router=True)]
    for index in range(config["shards"]):
        made.append(Command(f"shard {index}", [*PYTHON, "-m", "shard", config_path, "--index", str(index)]))
    if config["metrics-port"]:
        made.append(Command("metrics", [*PYTHON, "-m", "metrics", config_path]))
    return made


# What has to be there before the first process is started.


def make_data_folder(path: str) -> None:
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
    except OSError as error:
        raise CannotStart(f"cannot make the data directory {path}: {error.strerror}") from None


def lock(folder: str, patience_s: float) -> int:
    """Locks the data folder for this server; the descriptor that holds the lock.  Raises CannotStart.

    The children inherit the lock: it is free only when the last process that may write there is gone. So a supervisor
    that follows one that was killed waits for the children of that one, which are just stopping.
    """
    path = f"{folder}/{LOCK}"
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CannotStart(f"cannot write in the data directory {folder}: {error.strerror}") from None
    deadline_s = time.monotonic() + patience_s
    while not locked(fd):
        holder = os.pread(fd, 20, 0).decode("ascii", "replace").strip()
        if is_alive(holder):
            raise CannotStart(f"another shardis{f' (process {holder})' if holder else ''} runs on {folder}")
        if time.monotonic() > deadline_s:
            raise CannotStart(f"processes of a shardis that is gone still run on {folder}: {path} is locked")
        time.sleep(LOCK_POLL_S)
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    os.set_inheritable(fd, True)
    return fd


def locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_alive(pid: str) -> bool:
    """Whether there is such a process. An empty text is a supervisor about to write its own: it is there."""
    if not pid.isdigit():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class Layout(NamedTuple):
    """How the data lies, as shard/layout.py says: there is its text, and what is no layout is refused."""

    shards: int
    hash_tags: bool
    generation: int


def found_layout(folder: str) -> Layout | None:
    """How the data lies. None if there is none; what is no layout is the shards' to say."""
    try:
        with open(f"{folder}/{LAYOUT}", "rb") as file:
            text = file.read()
    except OSError:
        return None
    import json  # 5 ms that a first start does without.

    try:
        found = json.loads(text)
        layout = Layout(int(found["shards"]), found["hash-tags"] == "yes", int(found.get("generation", 1)))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return layout if 1 <= layout.shards <= SHARDS_MAX else None


def keep_layout(config: Config, layout: Layout | None) -> None:
    """Has what nobody said be as the data has it: a re-hash takes minutes, and is for those who ask for it."""
    if layout is None:
        return
    if not config.given.get("shards"):
        config.override("shards", str(layout.shards))
    if "hash-tags" not in config.given:
        config.override("hash-tags", "yes" if layout.hash_tags else "no")


def needs_rehash(config: Config, layout: Layout) -> bool:
    """Whether the data has to be spread otherwise, or a re-hash left something to be removed."""
    if (layout.shards, layout.hash_tags) != (config["shards"], config["hash-tags"]):
        return True
    for name in os.listdir(config["dir"]):
        kind, _, number = name.partition("-")
        if kind == "generation" and number.isdigit() and number != str(layout.generation):
            return True
        if (kind == "shard" and layout.generation > 1) or (kind == "temp" and name.endswith(f"-{LAYOUT}")):
            return True
    return False


def check_log_file(path: str) -> None:
    """Said once here, not once by every process."""
    if not path:
        return
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644))
    except OSError as error:
        raise CannotStart(f"cannot write the log file {path}: {error.strerror}") from None


def make_run_folder(config: Config) -> str:
    """Makes the folder of the sockets. Where its path is too long for a socket, a private one with a short path
    takes its place; its name is returned, for it has to be removed at the end.
    """
    rundir: str = config["rundir"]
    if len(os.fsencode(f"{rundir}/shard-{config['shards'] - 1}.sock")) <= SOCKET_PATH_BYTES_MAX:
        try:
            os.makedirs(rundir, mode=0o700, exist_ok=True)
            if not config.given.get("rundir"):  # Ours alone, whoever made it. Any other may have other uses.
                os.chmod(rundir, 0o700)
        except OSError as error:
            raise CannotStart(f"cannot make the run directory {rundir}: {error.strerror}") from None
        return ""
    for base in (os.environ.get("XDG_RUNTIME_DIR", ""), "/tmp"):
        private = f"{base}/shardis-{os.getpid()}-{os.urandom(4).hex()}"
        if not base or len(os.fsencode(private)) > SOCKET_PATH_BYTES_MAX - len("/shard-1023.sock"):
            continue
        try:
            os.mkdir(private, mode=0o700)
        except OSError:
            continue
        config.override("rundir", private)
        return private
    raise CannotStart(f"the run directory {rundir} is too long for a Unix socket: give a shorter one with --rundir")


def prepare_run_folder(config: Config) -> None:
    """Hands the configuration over to the children, who find nothing else of an earlier start."""
    try:
        remove_notes(config["rundir"])
        remove(config.log_note)
        hand_over(config)
    except OSError as error:
        raise CannotStart(f"cannot write in the run directory {config['rundir']}: {error.strerror}") from None


def add_to_python_path() -> None:
    """Children find the packages where this one was found, also in a checkout that is not installed."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if os.path.basename(root) != "site-packages":
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))


# What comes while the children load.


class Log:
    """The supervisor's log. It is set up at its first line, for the children are started before `logging` is loaded."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.logger: logging.Logger | None = None

    def __call__(self, line: str) -> None:
        self._opened().info("%s", line)

    def warn(self, line: str) -> None:
        self._opened().warning("%s", line)

    def _opened(self) -> "logging.Logger":
        from common.log import follow_note, set_up

        if self.logger is None:
            self.logger = set_up(self.config, "supervisor")
        follow_note(self.config)  # Anew for each of the few lines.
        return self.logger


def announce(config: Config, layout: Layout | None, log: Log) -> None:
    shards = "1 shard" if config["shards"] == 1 else f"{config['shards']} shards"
    kept = "" if config["appendonly"] else ", writes are not logged (appendonly no)"
    log(f"starting a router and {shards}, data in {config['dir']}{kept}")
    cores = len(os.sched_getaffinity(0))
    if layout is not None and config["shards"] < cores and not config.given.get("shards"):
        log(f"the data is spread over {shards}; with --shards {cores} it would be spread over all {cores} cores")
    for variable in config.unknown_variables:
        log.warn(f"the environment variable {variable} is no directive, and is passed over")
    for name in config.without_effect():
        log.warn(f"the directive {name} has no effect: {WITHOUT_EFFECT[name]}")


def write_pid_file(path: str, log: Log) -> None:
    if not path:
        return
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")
    except OSError as error:
        log.warn(f"cannot write the pid file {path}: {error.strerror}")


def version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # 15 ms that a start does without.

    try:
        return version("shardis")
    except PackageNotFoundError:
        return "(not installed)"


def remove(path: str) -> None:
    if path and os.path.lexists(path):
        os.unlink(path)


def remove_notes(rundir: str) -> None:
    """What shards have noted for those that take their place while the server runs: this is another start."""
    for name in os.listdir(rundir):
        if name.startswith("shard-") and name.endswith(".appendonly"):
            remove(f"{rundir}/{name}")


def remove_folder(path: str) -> None:
    for name in os.listdir(path):
        remove(f"{path}/{name}")
    os.rmdir(path)


if __name__ == "__main__":
    sys.exit(main())
