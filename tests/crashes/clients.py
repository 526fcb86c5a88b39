"""Clients of the crash machine: threads that draw acts from lanes, send them in pipelines and note what they are told.

One that is cut off connects again until it is told to stop.
"""

import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random

from tests.crashes.acts import NOTHING_DONE, Act, Outcome, transaction
from tests.crashes.lanes import Lane, Transfers
from tests.random_commands import Usage, usages
from tests.resp_client import Client, Error, Status
from tests.servers import Server
from tests.writers import encoded

PIPELINE_MAX = 12
WATCHED = 0.1
"""How many turns are a transfer that looks first and WATCHes what it looked at."""
WAIT_TIMEOUT_S = 60.0
RETRY_S = 0.005
RANDOM_DB = 11
FAMILIES = ("strings", "keys", "lists", "sets", "zsets", "hashes", "streams", "stream groups", "bits", "geo", "sort")
NOT_HERE = re.compile(r"\b(BLOCK|B[LZR]\w+|DB|MOVE|SWAPDB|FLUSHALL|SELECT|DEBUG)\b")
"""What waits, and what reaches into the dbs of others."""
ODD = re.compile(b"internal error|Protocol error")


class CrashClient(threading.Thread):
    """Connects, works, and connects again."""

    db = 0

    def __init__(self, server: Server, name: str, random: Random) -> None:
        super().__init__(name=name, daemon=True)
        self.server = server
        self.random = random
        self.answered = 0
        """Acts that were answered, whatever was said."""
        self.done = 0
        """Acts that were done."""
        self.surprises: list[str] = []
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.is_set():
            try:
                with Client(self.server.address) as client:
                    if self.db and client.call("SELECT", self.db) != Status(b"OK"):
                        continue  # Not in a db that is others'.
                    while not self.stopping.is_set():
                        self.turn(client)
            except TimeoutError as error:
                self.surprises.append(f"no answer: {error}")
            except OSError:
                self.stopping.wait(RETRY_S)

    def turn(self, client: Client) -> None:
        raise NotImplementedError


class LaneClient(CrashClient):
    def __init__(self, server: Server, name: str, random: Random, lanes: Sequence[Lane]) -> None:
        super().__init__(server, name, random)
        self.lanes = lanes
        self.db = lanes[0].db
        self.place = 0

    def turn(self, client: Client) -> None:
        transfers = [lane for lane in self.lanes if isinstance(lane, Transfers)]
        if transfers and self.random.random() < WATCHED:
            self.transfer(client, self.random.choice(transfers))
            return
        acts = []
        for _ in range(self.random.randrange(1, PIPELINE_MAX)):
            lane = self.random.choice(self.lanes)
            acts.append(self.note(lane, lane.draw(self.random, self.name)))
        self.send(client, acts)
        if any(isinstance(act.reply, Error) and act.reply.startswith(NOTHING_DONE) for act in acts):
            self.stopping.wait(RETRY_S)  # A shard that is being restarted is not asked all the time.

    def note(self, lane: Lane, act: Act) -> Act:
        self.place += 1
        act.place, act.sent_s = self.place, time.monotonic()
        lane.acts.append(act)
        return act

    def send(self, client: Client, acts: list[Act]) -> None:
        try:
            client.send_bytes(b"".join(act.encoded() for act in acts))
            for act in acts:
                for _ in act.commands:
                    reply = client.read().value
                if surprise := act.take(reply, time.monotonic()):
                    self.surprises.append(surprise)
                self.answered += 1
                self.done += act.outcome is Outcome.DONE
        finally:
            for act in acts:
                if act.outcome is Outcome.SENT:
                    act.cut_off()

    def transfer(self, client: Client, lane: Transfers) -> None:
        one, other = self.random.sample(lane.keys, 2)
        client.call("WATCH", one, other)
        found = [client.call("GET", key) for key in (one, other)]
        if any(isinstance(value, Error) or value is None for value in found):
            client.call("UNWATCH")
            return
        amount = self.random.randrange(1, 50)
        texts = b"%d" % (int(found[0]) - amount), b"%d" % (int(found[1]) + amount)
        commands = transaction((b"SET", one, texts[0]), (b"SET", other, texts[1]))
        self.send(client, [self.note(lane, Act(commands, (one, other), who=self.name))])


class RandomClient(CrashClient):
    """Commands of all kinds, of which nothing is known but that no server should call them an internal error."""

    db = RANDOM_DB

    def __init__(self, server: Server, name: str, random: Random) -> None:
        super().__init__(server, name, random)
        lines = [usage for family in FAMILIES for usage in usages(family)]
        self.usages: list[Usage] = [usage for usage in lines if not NOT_HERE.search(usage.line)]
        self.weights = [usage.weight for usage in self.usages]

    def turn(self, client: Client) -> None:
        drawn = self.random.choices(self.usages, self.weights, k=self.random.randrange(1, PIPELINE_MAX))
        commands = [usage.draw(self.random) for usage in drawn]
        client.send_bytes(b"".join(encoded(argv) for argv in commands))
        for argv in commands:
            reply = client.read().value
            if isinstance(reply, Error) and ODD.search(reply):
                self.surprises.append(f"{argv!r}: {reply!r}")
            self.answered += 1
            self.done += not isinstance(reply, Error)
            if isinstance(reply, Error) and reply.startswith(NOTHING_DONE):
                self.stopping.wait(RETRY_S)


@contextmanager
def working(clients: Sequence[CrashClient]) -> Iterator[None]:
    """They work while the block runs, and have stopped behind it."""
    for client in clients:
        client.start()
    try:
        yield
    finally:
        for client in clients:
            client.stopping.set()
        for client in clients:
            client.join(WAIT_TIMEOUT_S)
            assert not client.is_alive(), f"{client.name} hangs"


def wait_for_acts(clients: Sequence[CrashClient], more: int, each: int = 0) -> None:
    """Returns when so many more were done by all of them together, and so many by each."""
    before = {client: client.done for client in clients}
    deadline_s = time.monotonic() + WAIT_TIMEOUT_S

    def missing() -> bool:
        new = [client.done - count for client, count in before.items()]
        return sum(new) < more or min(new) < each

    while missing():
        assert time.monotonic() < deadline_s, f"no progress: {[(client.name, client.done) for client in clients]}"
        time.sleep(0.001)
