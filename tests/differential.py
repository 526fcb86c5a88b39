"""Random commands to two servers, compared reply by reply.

    $ python -m tests.differential --family strings --commands 200000 --seed 7 --shards 3
    $ python -m tests.differential --family keys --address 127.0.0.1:6379       # a server that runs already
    $ python -m tests.differential --most 10                # goes on after a difference, up to ten of different kinds
    $ python -m tests.differential --events --tracking      # also what is told of each key after every chunk

The streams come from two clients, on both protocols and several dbs, in pipelined chunks, over few keys, so that
commands meet each other's results. Replies must be equal to the byte, but for what has no order, what depends on the
moment and what is each server's own: see likeness.py. After every episode (EPISODE commands from an empty server) all
that the servers hold is compared too, which shows what no reply did. After some, and the last one, Shardis reads its
log again (DEBUG LOADAOF) and must hold what it held before.

A difference is cut down to the few commands that show it, and printed as a transcript with the reference's replies.
"""

import argparse
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import chain
from random import Random

from tests.audit import Audit, audit, differences
from tests.command_families import FAMILIES, JOINED, PARTNERS
from tests.expectation import printed, quoted
from tests.likeness import TOLERANCE_S, Judge, as_logged, as_printed, at_about_the_same_time
from tests.random_commands import Argv, Usage, usages
from tests.reference import Reference
from tests.resp_client import NULL_ARRAY, Client, Error, Reply, Set, encode_command
from tests.servers import Shardis
from tests.told import Ear, Events, Invalidations, shown

EPISODE = 250
"""Commands from one FLUSHALL to the next."""
EPISODES_PER_RELOAD = 20
"""Episodes from one reading of the log to the next: it grows with each."""
CHUNK_MAX = 8
"""Commands that one client sends at once."""
CLIENTS = 2
SHRINK_S = 40.0
REPLY_TIMEOUT_S = 10.0
POLL_S = 0.02
RELOAD_TIMEOUT_S = 120.0

TOLD = "what is told unasked"

Chunk = tuple[int, list[Argv]]
"""The number of a client and what it sends at once."""
Address = tuple[str, int]

# --- Streams ---------------------------------------------------------------------------------------------------------


INSIDE = {b"MULTI": False, b"WATCH": False, b"EXEC": True, b"DISCARD": True}
"""Where these belong: inside of a transaction or not."""
MOVES = {b"MULTI": True, b"EXEC": False, b"DISCARD": False, b"RESET": False}
"""Whether a client is inside of a transaction after these."""
MISPLACED = 0.1
"""How often one that came where it does not belong is sent all the same: most abort the transaction."""


def stream(lines: Sequence[Usage], random: Random) -> Iterator[Chunk]:
    """Chunks without end."""
    weights = [line.weight for line in lines]
    inside = [False] * CLIENTS
    while True:
        client = random.randrange(CLIENTS)
        size = random.choice((1, 1, 1, 2, 4, CHUNK_MAX))
        chunk = [line.draw(random) for line in random.choices(lines, weights, k=size)]
        for place, argv in enumerate(chunk):
            while INSIDE.get(argv[0].upper()) is (not inside[client]) and random.random() > MISPLACED:
                argv = random.choices(lines, weights)[0].draw(random)
            inside[client] = MOVES.get(argv[0].upper(), inside[client])
            chunk[place] = argv
        yield client, chunk


def opening(random: Random) -> list[Chunk]:
    """With what an episode begins: the protocol of each client."""
    return [(client, [[b"HELLO", b"3"]]) for client in range(CLIENTS) if random.random() < 0.5]


@dataclass(slots=True)
class Difference:
    chunks: list[Chunk]
    """What was sent, the last one being that which was answered differently."""
    argv: Argv | None
    """None where all replies were the same, but not what the servers hold in the end, or tell unasked."""
    expected: str
    got: str
    again: bool = True
    """If the same commands showed it a second time."""
    stuck: bool = False
    """If the server would do nothing more afterwards."""
    where: str = "what is held in the end"
    """In what they differ, where it is not the reply to `argv`."""

    def kind(self) -> tuple[bytes, ...]:
        """Those of one kind have most likely one cause: the command, and the form of both replies without the data."""
        forms = [re.sub(r"\d+|'.*'", "", text)[:60].encode() for text in (self.expected, self.got)]
        if self.where == TOLD:
            return b"told", *sorted({argv[0].upper() for argv in self.chunks[-1][1]})
        return (self.argv[0].upper() if self.argv else b"", *(forms if self.argv else ()))

    def __str__(self) -> str:
        lines = [f"{prompt(client)} {' '.join(map(_word, argv))}" for client, chunk in self.chunks for argv in chunk]
        if any(len(chunk) > 1 for _, chunk in self.chunks):
            lines.append("(some of these were sent at once: " + str([len(chunk) for _, chunk in self.chunks]) + ")")
        where = f"answer to {' '.join(map(_word, self.argv))}" if self.argv else self.where
        if self.stuck:
            lines.append("(the server is stuck since: it can't even be emptied)")
        elif not self.again:
            lines.append("(it did not show a second time: chance or the clock are in it)")
        return "\n".join([*lines, f"--- {where}: expected", self.expected, "--- got", self.got])


def prompt(client: int) -> str:
    return ">" if client == 0 else f"{chr(ord('A') + client)}>"


def _word(word: bytes) -> str:
    plain = word.isascii() and word.decode().isprintable() and word and not set(b" '\"\\$").intersection(word)
    return word.decode() if plain else quoted(word)


# --- Running ---------------------------------------------------------------------------------------------------------


class Pair:
    """A server and the reference, with the same clients connected to both."""

    def __init__(self, server: Address, reference: Address, ears: Sequence[Callable[[Address], Ear]] = ()) -> None:
        """`ears` make what listens on each server to what it tells unasked."""
        self.addresses = (server, reference)
        self.ears = ears
        self.listening: list[tuple[Ear, Ear]] = []
        self.clients: list[tuple[Client, Client]] = []
        self.judges: list[Judge] = []

    def known(self, lines: Sequence[Usage]) -> list[Usage]:
        """The lines whose commands, and subcommands, both servers have."""
        names = sorted({name for line in lines for name in (line.name, line.subcommand)})
        there, on_reference = [_known(address, names) for address in self.addresses]
        missing = on_reference - there
        return [
            line
            for line in lines
            if line.name == "word" or (line.name in on_reference and not {line.name, line.subcommand} & missing)
        ]

    def restart(self) -> None:
        """Empties both and connects anew.  Raises Stuck."""
        self.close()
        for address in self.addresses:
            _empty(address)
        server, reference = self.addresses
        self.clients = [(Client(server, REPLY_TIMEOUT_S), Client(reference, REPLY_TIMEOUT_S)) for _ in range(CLIENTS)]
        self.judges = [Judge() for _ in range(CLIENTS)]
        self.listening = [(ear(server), ear(reference)) for ear in self.ears]

    def close(self) -> None:
        for client in chain(*self.clients):
            client.close()
        for ear in chain(*self.listening):
            ear.close()
        self.clients = []
        self.listening = []

    def play(self, chunks: Iterable[Chunk], commands: int = sys.maxsize) -> Difference | None:
        """Sends them from an empty server on, up to that many commands."""
        self.restart()
        sent: list[Chunk] = []
        for client, chunk in chunks:
            sent.append((client, chunk))
            if difference := self._exchange(client, chunk, sent):
                return difference
            commands -= len(chunk)
            if commands <= 0:
                break
        return self._audit(sent)

    def _exchange(self, number: int, chunk: list[Argv], sent: list[Chunk]) -> Difference | None:
        pair = self.clients[number]
        for client in pair:  # Both, before either answers: where a command waits, they wait at the same time.
            _send(client, chunk)
        all_got, all_expected = [_replies(client, len(chunk)) for client in pair]
        for argv, got, expected in zip(chunk, all_got, all_expected, strict=True):
            if isinstance(got, str) or isinstance(expected, str):
                if got != expected:
                    return Difference(list(sent), argv, _shown(expected), _shown(got))
            elif not self.judges[number].agree(argv, expected, got):
                return Difference(list(sent), argv, _shown(expected), _shown(got))
        for ears in self.listening:
            told, expected_told = [ear.heard() for ear in ears]
            if told != expected_told:
                return Difference(list(sent), None, shown(expected_told), shown(told), where=TOLD)
        return None

    def _audit(self, sent: list[Chunk]) -> Difference | None:
        held = [at_about_the_same_time(as_printed(_held(address))) for address in self.addresses]
        found = differences(held[1], held[0], TOLERANCE_S * 1000)
        return Difference(list(sent), None, "", "\n".join(found)) if found else None

    def reload(self) -> list[str]:
        """Has the server read its log again, if it has one; what it holds now and did not before, and the other way."""
        with Client(self.addresses[0], RELOAD_TIMEOUT_S) as client:
            if b"yes" not in client.call("CONFIG", "GET", "appendonly"):
                return []
            before = as_logged(as_printed(_held(self.addresses[0])))
            client.call("DEBUG", "LOADAOF")
        return differences(before, as_logged(as_printed(_held(self.addresses[0]))))


class Stuck(Exception):
    """A server that no longer does what it is told: nothing more can be learned from it."""


def _empty(address: Address) -> None:
    """Also a server of which a part has just gone down: what it held must not be taken for a fault of what follows.

    Raises Stuck.
    """
    deadline = time.monotonic() + REPLY_TIMEOUT_S
    with Client(address, REPLY_TIMEOUT_S) as client:
        while time.monotonic() < deadline:
            with suppress(TimeoutError):
                if not isinstance(client.call("FLUSHALL"), Error):
                    return
            time.sleep(POLL_S)
    raise Stuck


def _held(address: Address) -> Audit:
    with Client(address, REPLY_TIMEOUT_S) as client:
        return audit(client.call, dbs=4)


def _known(address: Address, names: list[str]) -> set[str]:
    """Those of the commands, "client|kill" for a subcommand, that the server has."""
    with Client(address) as client:
        found = client.call("COMMAND", "INFO", *names)
    entries = found if type(found) is list else [True] * len(names)  # A server without COMMAND is taken to know all.
    return {name for name, entry in zip(names, entries, strict=True) if entry is True or isinstance(entry, list)}


def _send(client: Client, chunk: list[Argv]) -> None:
    with suppress(ConnectionError):
        client.send_bytes(b"".join([encode_command(argv) for argv in chunk]))


def _replies(client: Client, count: int) -> list[Reply | str]:
    return [_reply(client) for _ in range(count)]


def _reply(client: Client) -> Reply | str:
    try:
        return client.read()
    except TimeoutError:
        return "(no reply)"
    except ConnectionError:
        return "(closed)"


def _shown(reply: Reply | str) -> str:
    if isinstance(reply, str):
        return reply
    nulls = reply.value is None or reply.value is NULL_ARRAY or isinstance(reply.value, Set)
    return printed(reply.value) + (f"   {reply.raw!r}" if nulls else "")


# --- Cutting down ----------------------------------------------------------------------------------------------------


def shrunk(pair: Pair, difference: Difference, budget_s: float = SHRINK_S) -> Difference:
    """The shortest stream found that still shows a difference: chunks are taken apart and left out while it stays."""
    deadline = time.monotonic() + budget_s
    best = difference

    def fails(chunks: list[Chunk]) -> bool:
        nonlocal best
        if time.monotonic() > deadline:
            return False
        try:
            found = pair.play(chunks)
        except Stuck:
            difference.stuck = True
            return False
        if found is not None:
            best = found
        return found is not None

    if not fails(difference.chunks):
        difference.again = difference.stuck
        return difference
    fails([(client, [argv]) for client, chunk in difference.chunks for argv in chunk])
    size = max(1, len(best.chunks) // 2)
    while size:
        at = 0
        before = len(best.chunks)
        while at < len(best.chunks):
            if not fails(best.chunks[:at] + best.chunks[at + size :]):
                at += size
        if size == 1 and len(best.chunks) == before:
            break
        size = max(1, size // 2)
        if time.monotonic() > deadline:
            break
    return best


# --- At the command line ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Tally:
    commands: int = 0
    episodes: int = 0
    reloads: int = 0
    unrepeated: int = 0
    differences: list[Difference] = field(default_factory=list)

    def __str__(self) -> str:
        once = f", {self.unrepeated} difference that did not show again" if self.unrepeated else ""
        return f"{self.commands} commands in {self.episodes} episodes, log read {self.reloads} times{once}"


def compare(pair: Pair, family: str, commands: int, seed: int, most: int = 1) -> Tally:
    """Plays that many commands of the family, up to that many differences of different kinds, which are cut down."""
    tally = Tally()
    lines = pair.known(usages(family))
    partners = [pair.known(usages(name)) for name in PARTNERS] if lines and family in JOINED else []
    kinds: set[tuple[bytes, ...]] = set()
    while lines and tally.commands < commands and len(tally.differences) < most:
        random = Random(f"{family} {seed} {tally.episodes}")
        size = min(EPISODE, commands - tally.commands)
        tally.episodes += 1
        tally.commands += size
        difference = pair.play(_episode(lines, partners, random), size)
        if not difference and (not tally.episodes % EPISODES_PER_RELOAD or tally.commands >= commands):
            tally.reloads += 1
            if lost := pair.reload():
                tally.differences.append(Difference([], None, "what was held before", "\n".join(lost)))
        if difference and difference.kind() not in kinds:
            kinds.add(difference.kind())
            difference = shrunk(pair, difference)
            if difference.again or tally.unrepeated:  # Once may be the clock; twice is not.
                if len(kinds) == 1 or difference.kind() not in {other.kind() for other in tally.differences}:
                    tally.differences.append(difference)
                kinds.add(difference.kind())
            else:
                tally.unrepeated += 1
            if difference.stuck:
                break
    pair.close()
    return tally


def _episode(lines: Sequence[Usage], partners: Sequence[Sequence[Usage]], random: Random) -> Iterator[Chunk]:
    yield from opening(random)
    partner = random.choice(partners) if partners else []
    share = sum(line.weight for line in lines) / sum(line.weight for line in partner or lines)
    yield from stream([*lines, *[line.weighted(share) for line in partner]], random)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=str(__doc__).split("\n")[0])
    parser.add_argument("--family", choices=sorted(FAMILIES), action="append", help="default: all")
    parser.add_argument("--commands", type=int, default=20_000, help="per family")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--address", help="HOST:PORT of the server to test, instead of a Shardis of its own")
    parser.add_argument("--events", nargs="?", const="KEAmn", metavar="CLASSES", help="listens to keyspace events too")
    parser.add_argument("--tracking", action="store_true", help="listens to invalidations too")
    parser.add_argument("--most", type=int, default=1, help="how many differences a family to look for")
    options = parser.parse_args(arguments)
    failed = False
    with ExitStack() as stack:
        # It looks at deadlines hz times a second: at the usual 10 a call that blocks is up to 100 ms late.
        reference = stack.enter_context(Reference(hz="500"))
        if options.address:
            host, _, port = options.address.rpartition(":")
            address = (host, int(port))
        else:
            address = stack.enter_context(Shardis(options.shards, enable_debug_command="yes")).address
        ears: list[Callable[[Address], Ear]] = [lambda address: Events(address, options.events)] * bool(options.events)
        pair = Pair(address, reference.address, [*ears, *[Invalidations] * options.tracking])
        for family in options.family or FAMILIES:
            started = time.monotonic()
            tally = compare(pair, family, options.commands, options.seed, options.most)
            print(f"{family}: {tally}, {time.monotonic() - started:.1f} s, seed {options.seed}")
            for difference in tally.differences:
                failed = True
                print(f"{difference}\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
