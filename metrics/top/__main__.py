"""`shardis top`: what a server does, second by second, until q is pressed.

Exit status: 0; 1 if the server can't be reached at the start, or will not talk; 2 for a bad option.
"""

import argparse
import functools
import getpass
import os
import ssl
import sys
import time
import warnings
from collections.abc import Sequence
from typing import Any

from rich.console import Console, ConsoleDimensions
from rich.live import Live

from metrics.top.connection import Connection, Gone, Refused
from metrics.top.state import SORTS, State
from metrics.top.terminal import Terminal, is_one
from metrics.top.view import screen

DESCRIPTION = "Shows what a server does, live: commands, latency, memory, clients, and each shard for itself."
EPILOG = """\
Keys: q quits, s changes the order of the commands (t time, c calls, m mean, p p99, n name), space pauses, + and - make
it faster and slower. A connection that is lost is made anew.

Durations are those of commands in the shards, without the way there. The user needs the commands INFO and LATENCY
HISTOGRAM.

A password on the command line is seen by others on this machine: REDISCLI_AUTH in the environment is not.

Examples:
  shardis top
  shardis top -h 10.0.0.7 -p 7000 --user watcher
  shardis top -h db.example.org --tls --cacert ca.pem --cert app.pem --key app.key
  shardis top -s /run/shardis.sock --sort calls
  shardis top --once --interval 5 >figures.txt
"""
PASSWORD_VARIABLE = "REDISCLI_AUTH"
WIDTH_WITHOUT_TERMINAL = 120
RETRY_S = 1.0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="shardis top",
        description=DESCRIPTION,
        epilog=EPILOG,
        add_help=False,  # -h is the host, as in redis-cli.
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("-h", "--host", default="127.0.0.1", help="where the server is (default: %(default)s)")
    made.add_argument("-p", "--port", type=int, default=6379, help="its port (default: %(default)s)")
    made.add_argument("-s", "--socket", metavar="PATH", help="its Unix socket, in place of host and port")
    made.add_argument("--user", help="the user to be (default: default)")
    made.add_argument("-a", "--pass", dest="password", help=f"his password (default: {PASSWORD_VARIABLE})")
    made.add_argument("--tls", action="store_true", help="connect with TLS")
    made.add_argument("--cacert", metavar="FILE", help="who must have signed the server's certificate")
    made.add_argument("--cacertdir", metavar="DIR", help="a folder of such (default: whom this machine trusts)")
    made.add_argument("--cert", metavar="FILE", help="the certificate to show")
    made.add_argument("--key", metavar="FILE", help="its key (default: it is in the same file)")
    made.add_argument("--insecure", action="store_true", help="take any certificate")
    made.add_argument("--interval", type=seconds, default=1.0, metavar="SECONDS", help="between two looks (default: 1)")
    made.add_argument("--sort", choices=SORTS, default="time", help="the order of the commands (default: %(default)s)")
    made.add_argument("--once", action="store_true", help="print one frame, of one interval, and end")
    made.add_argument("--help", action="help", help="show this and exit")
    return made


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """What is said there. Where half of it would be passed over, the connection would not be what it seems to be."""
    made = parser()
    said = made.parse_args(argv)
    about_tls = [f"--{name}" for name in ("cacert", "cacertdir", "cert", "key", "insecure") if getattr(said, name)]
    if about_tls and not said.tls:
        made.error(f"{about_tls[0]} takes --tls")
    if said.tls and said.socket:
        made.error("--tls is for host and port, not for a Unix socket")
    if said.key and not said.cert:
        made.error("--key takes --cert")
    return said


def seconds(text: str) -> float:
    value = float(text)
    if not 0.1 <= value <= 3600:
        raise argparse.ArgumentTypeError("an interval is 0.1 to 3600 seconds")
    return value


def main(argv: Sequence[str]) -> int:
    """Runs it; the exit status."""
    said = arguments(argv)
    if not said.once and not is_one():
        sys.stderr.write("shardis top: this is no terminal; --once prints one frame\n")
        return 2
    try:
        connection = connection_of(said)
    except Refused as error:
        sys.stderr.write(f"shardis top: {error}\n")
        return 1
    state = State(connection.name, interval_s=said.interval, sort=said.sort)
    try:
        state.look(connection.look())
        if said.once:
            once(connection, state)
        else:
            live(connection, state)
    except (Gone, Refused) as error:
        sys.stderr.write(f"shardis top: {connection.name}: {error}\n")
        return 1
    except KeyboardInterrupt:  # Before or behind the screen.
        return 130
    finally:
        connection.close()
    return 0


def connection_of(said: argparse.Namespace) -> Connection:
    """Not connected yet.  Raises Refused."""
    who = {"username": said.user, "password": said.password or os.environ.get(PASSWORD_VARIABLE) or None}
    if said.socket:
        return Connection(said.socket, unix_socket_path=said.socket, **who)
    if said.tls:
        who |= tls_of(said)
    return Connection(f"{said.host}:{said.port}", host=said.host, port=said.port, **who)


def tls_of(said: argparse.Namespace) -> dict[str, Any]:
    """TLS as redis.Redis is told of it. The files are read once here, for an error that names them.  Raises Refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if named := said.cacert or said.cacertdir:
            context.load_verify_locations(said.cacert, said.cacertdir)
        if named := said.cert:
            context.load_cert_chain(said.cert, said.key, key_password)
    except OSError as error:
        raise Refused(f"{named}: {error.strerror or error}") from None
    except (getpass.GetPassWarning, EOFError):
        raise Refused(f"{named}: its key has a password, and there is no terminal to ask for it") from None
    made = {"ssl": True, "ssl_ca_certs": said.cacert, "ssl_ca_path": said.cacertdir}
    # Python 3.13 and later would refuse authorities that redis-cli trusts, for what their certificates do not say.
    made["ssl_exclude_verify_flags"] = [ssl.VerifyFlags.VERIFY_X509_STRICT]
    made |= {"ssl_certfile": said.cert, "ssl_keyfile": said.key, "ssl_password": key_password}
    return made | ({"ssl_cert_reqs": "none", "ssl_check_hostname": False} if said.insecure else {})


@functools.cache
def key_password() -> str:
    """Asked for before there is a screen, and once: a connection that is made anew asks nobody.  Raises GetPassWarning
    where there is no terminal, and EOFError.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        return getpass.getpass("Password of the key: ")


def once(connection: Connection, state: State) -> None:
    """Two looks, and what happened in between.  Raises Gone, Refused."""
    time.sleep(state.interval_s)
    state.look(connection.look())
    console = Console(width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL, highlight=False)
    console.print(screen(state, console.width, None))


def live(connection: Connection, state: State) -> None:
    """The screen, until it is left.  Raises Refused."""
    console = Console(highlight=False)

    def drawn() -> Any:
        # Asked each time: COLUMNS and LINES in the environment, which rich goes by, do not follow the terminal.
        columns, lines = os.get_terminal_size(sys.stdout.fileno())
        console.size = ConsoleDimensions(columns or 80, lines or 24)  # Some terminals don't say.
        return screen(state, console.width, console.height)

    with (
        Terminal(sys.stdin.fileno()) as terminal,
        Live(drawn(), console=console, screen=True, auto_refresh=False) as view,
    ):
        next_s = time.monotonic() + state.interval_s
        while not state.quitting and not terminal.stopped:
            for key in terminal.wait(next_s):
                before_s = state.interval_s
                state.key(key)
                next_s += min(0.0, state.interval_s - before_s)
            if time.monotonic() >= next_s and not state.quitting:
                if not state.paused:
                    look(connection, state)
                next_s = time.monotonic() + (RETRY_S if state.fault else state.interval_s)
            view.update(drawn(), refresh=True)


def look(connection: Connection, state: State) -> None:
    """Looks, or takes note that it can't."""
    try:
        state.look(connection.look())
    except Gone as error:
        state.lose(str(error))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
