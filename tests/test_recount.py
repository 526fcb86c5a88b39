"""Who waits for maxmemory before it is refused, for what, and for how long."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from common.errors import RedisError
from router.link import LinkState
from router.recount import PAUSE_PART, PAUSE_S_MAX, PAUSE_S_MIN, WAIT_S
from tests.bare_shard import commands
from tests.fake_shards import Shards, use

TABLE = commands()


class Client:
    """As much of a session as waits: it gives its command again when it may go on."""

    def __init__(self, scene: "Refused") -> None:
        self.scene = scene
        self.transaction = None
        self.blocking: Any = None
        self.held = False
        self.batches: list[str] = []
        """What it has sent and is not answered."""
        self.waiting: list[str] = []
        self.outcomes: list[str] = []

    def hold(self) -> None:
        self.held = True

    def pump(self) -> None:
        if self.waiting and not self.held:
            self.give(self.waiting.pop(0))

    def give(self, name: str) -> None:
        """Gives a command that is done and answered at once, if it need not wait."""
        command = TABLE.lookup[name.encode()]
        budget = self.scene.shards.budget
        try:
            if budget.gated and budget.stops(cast(Any, self), command):
                self.waiting.append(name)
            else:
                self.outcomes.append("done")
        except RedisError as error:
            self.outcomes.append(str(error).split()[0])

    def outcome(self, name: str) -> str:
        """What becomes of a command at once."""
        self.give(name)
        return "waits" if self.held else self.outcomes[-1]


class Refused:
    """Two shards above the limit, where nothing may be evicted, that were just asked."""

    def __init__(self) -> None:
        self.shards = Shards(2, policy="noeviction")
        self.loop = self.shards.loop
        self.before = self.client()
        self.before.batches.append("RENAME")
        self.shards.sessions[0] = self.before
        self.shards.hear(0, 66)
        self.before.batches.clear()
        self.shards.forget()
        client = self.client()
        assert client.outcome("SET") == "waits", "nobody looked before what might have freed something"
        self.round(66)
        assert client.outcomes == ["OOM"] and client.outcome("SET") == "OOM"
        self.loop.run(PAUSE_S_MIN)
        self.shards.forget()

    def client(self) -> Client:
        return Client(self)

    def asked(self) -> int:
        """How many shards were asked since the last time."""
        self.loop.run()
        count = sum(link.told.count(["memory_use"]) for link in self.shards.links)
        self.shards.forget()
        return count

    def answer(self, used_mb: float, *, freeing: bool = False) -> None:
        self.shards.answer([use(used_mb, freeing=freeing), use(0)])

    def round(self, used_mb: float, *, freeing: bool = False) -> None:
        """They are asked, at once, and say this."""
        assert self.asked() == 2
        self.answer(used_mb, freeing=freeing)


def test_what_was_freed_is_asked_for_before_anybody_is_refused() -> None:
    scene = Refused()
    client, other = scene.client(), scene.client()
    assert client.outcome("GET") == "done" and client.outcome("SET") == "OOM"
    assert client.outcome("DEL") == "done"
    assert client.outcome("SET") == "waits" and other.outcome("SADD") == "waits"
    scene.round(60)
    assert client.outcomes[-1] == "done" == other.outcomes[-1] and not scene.shards.budget.gated


def test_one_round_is_enough_for_all_that_came_before_it() -> None:
    scene = Refused()
    client, other = scene.client(), scene.client()
    assert client.outcome("DEL") == "done" and client.outcome("SET") == "waits" and other.outcome("SET") == "waits"
    scene.round(66)
    assert client.outcomes[-1] == "OOM" == other.outcomes[-1]
    assert client.outcome("SET") == "OOM"


def test_what_others_do_meanwhile_keeps_nobody_waiting() -> None:
    scene = Refused()
    client, other = scene.client(), scene.client()
    other.give("EXPIRE")
    assert client.outcome("SET") == "waits" and scene.asked() == 2
    other.give("EXPIRE")
    late = scene.client()
    assert late.outcome("SET") == "waits"
    scene.answer(66)
    assert client.outcomes == ["OOM"] and late.held, "this round began before its command came"
    other.give("EXPIRE")
    scene.loop.run(PAUSE_S_MIN)
    scene.round(66)
    assert late.outcomes == ["OOM"]


def test_what_is_being_asked_is_not_known_yet() -> None:
    scene = Refused()
    client, other, third = scene.client(), scene.client(), scene.client()
    other.give("DEL")
    client.give("DEL")
    assert client.outcome("SET") == "waits" and scene.asked() == 2
    assert other.outcome("SET") == "waits"
    third.batches.append("RENAME")
    assert third.outcome("SET") == "waits"
    scene.answer(66, freeing=True)
    assert client.held and other.held
    assert scene.client().outcome("SET") == "waits", "nor what is being freed"
    scene.loop.run(PAUSE_S_MIN)
    assert scene.asked() == 2
    fourth = scene.client()
    assert fourth.outcome("SET") == "waits"
    scene.answer(66)
    # All that was freed before these came was so before the round began, but for what one of them has still to do.
    assert client.outcomes[-1] == other.outcomes[-1] == fourth.outcomes[-1] == "OOM" and third.held


def test_a_round_is_for_the_command_that_waited() -> None:
    """And not for another one of the same client, which came when it had gone on."""
    scene = Refused()
    client = scene.client()
    client.give("DEL")
    assert client.outcome("SET") == "waits" and scene.asked() == 2
    scene.loop.run(WAIT_S)
    assert client.outcomes[-1] == "OOM"
    client.give("DEL")
    assert client.outcome("SET") == "waits"
    scene.answer(66)
    assert client.held
    scene.loop.run(PAUSE_S_MAX)
    scene.round(60)
    assert client.outcomes[-1] == "done"


def test_room_that_is_gone_again() -> None:
    scene = Refused()
    client = scene.client()
    client.give("RENAME")
    client.batches.append("RENAME")
    assert client.outcome("SET") == "waits"
    budget = scene.shards.budget
    for used_mb in (20, 66):  # In one turn.
        budget.note(0, use(used_mb))
        budget.decide()
    scene.loop.run()
    assert client.held, "its own RENAME is not answered"


def test_what_was_begun_before_anybody_was_refused() -> None:
    scene = Refused()
    other = scene.client()
    scene.shards.hear(0, 20)
    assert not scene.shards.budget.gated
    scene.before.batches.append("RENAME")
    scene.shards.hear(0, 66)
    scene.shards.forget()
    assert other.outcome("SET") == "waits"
    scene.round(66)
    assert other.outcomes == ["OOM"]
    scene.before.batches.clear()
    assert scene.before.outcome("SET") == "waits"


def test_who_blocks_gives_nothing_meanwhile() -> None:
    scene = Refused()
    worker, other = scene.client(), scene.client()
    worker.give("BLPOP")
    worker.batches.append("BLPOP")
    assert other.outcome("SET") == "waits"
    scene.round(66)
    assert other.outcome("SET") == "waits", "it may be served by now"
    worker.blocking = SimpleNamespace(waiting=True)
    scene.loop.run(PAUSE_S_MIN)
    scene.round(66)
    assert other.outcomes == ["OOM"] * 2 and other.outcome("SET") == "OOM"


def test_only_the_command_that_waited_need_not_wait_again() -> None:
    """What is first in its place by now may be none that is looked at, or be refused for another reason."""
    scene = Refused()
    client = scene.client()
    client.give("DEL")
    assert client.outcome("SET") == "waits"
    client.waiting = ["DEL", "SET"]
    client.pump = lambda: [client.give(name) for name in client.waiting[:2]]  # type: ignore[method-assign, assignment]
    scene.round(66)
    assert client.outcomes == ["done"] * 2 and client.held


def test_what_comes_late_counts() -> None:
    """A RENAME over shards, or what waits for keys that others hold: asked before it is done, shards know nothing."""
    scene = Refused()
    giver, other = scene.client(), scene.client()
    giver.give("RENAME")
    giver.batches.append("RENAME")
    assert giver.outcome("SET") == "waits" and other.outcome("SET") == "waits"
    scene.round(66)
    assert giver.held and other.outcomes == ["OOM"], "only the giver has a right to it"
    giver.batches.clear()
    assert other.outcome("SET") == "waits", "by now it may have an answer"
    scene.loop.run(PAUSE_S_MIN)
    scene.round(60)
    assert giver.outcomes == ["done"] * 2 and other.outcomes[-1] == "done"


def test_nobody_is_asked_for_whom_it_would_be_too_early() -> None:
    scene = Refused()
    giver = scene.client()
    giver.give("RENAME")
    giver.batches.append("RENAME")
    assert giver.outcome("SET") == "waits"
    scene.loop.run(1.0)
    assert scene.asked() == 0
    giver.batches.clear()
    scene.loop.run(PAUSE_S_MIN)
    scene.round(66)
    assert giver.outcomes[-1] == "OOM"


def test_who_has_gone_has_given_all_the_same() -> None:
    scene = Refused()
    client, other = scene.client(), scene.client()
    client.give("DEL")
    scene.shards.budget.recount.forget(cast(Any, client))
    assert other.outcome("SET") == "waits"
    scene.round(60)
    assert other.outcomes == ["done"]


def test_who_goes_waits_no_more() -> None:
    scene = Refused()
    client = scene.client()
    client.give("DEL")
    assert client.outcome("SET") == "waits"
    recount = scene.shards.budget.recount
    recount.forget(cast(Any, client))
    assert not recount.held and not recount.givers
    scene.loop.run(WAIT_S)
    assert client.outcomes == ["done"] and not any(link.told for link in scene.shards.links)


def test_the_shards_are_left_alone_between_rounds() -> None:
    scene = Refused()
    client = scene.client()
    for took_s, pause_s in ((0.003, PAUSE_PART * 0.003), (0.0, PAUSE_S_MIN), (60.0, PAUSE_S_MAX)):
        client.give("DEL")
        assert client.outcome("SET") == "waits" and scene.asked() == 2
        scene.loop.now_s += took_s
        scene.answer(66)
        client.give("DEL")
        assert client.outcome("SET") == "waits" and scene.asked() == 0
        scene.loop.run(pause_s * 0.9)
        assert scene.asked() == 0
        scene.loop.run(pause_s * 0.11)
        scene.round(66)
        assert client.outcomes[-1] == "OOM"
        scene.loop.run(PAUSE_S_MIN)


def test_who_would_be_refused_waits_for_what_is_being_freed() -> None:
    scene = Refused()
    client = scene.client()
    client.give("FLUSHALL")
    assert client.outcome("SET") == "waits"
    for used_mb in (66, 65):
        scene.round(used_mb, freeing=True)
        assert client.held
        scene.loop.run(PAUSE_S_MIN)
    scene.round(63, freeing=True)
    assert client.outcomes[-1] == "done"


def test_what_is_being_freed_may_be_too_little() -> None:
    scene = Refused()
    client = scene.client()
    client.give("UNLINK")
    assert client.outcome("SET") == "waits"
    scene.round(66, freeing=True)
    scene.loop.run(PAUSE_S_MIN)
    scene.round(65)
    assert client.outcomes[-1] == "OOM"


def test_a_shard_that_dies_while_it_frees_holds_nobody_up() -> None:
    scene = Refused()
    client = scene.client()
    client.give("UNLINK")
    assert client.outcome("SET") == "waits"
    scene.round(66, freeing=True)
    link = scene.shards.links[0]
    link.state = LinkState.DOWN
    scene.loop.run(PAUSE_S_MIN)
    assert scene.asked() == 1
    scene.answer(66, freeing=True)
    assert client.outcomes[-1] == "OOM"
    # One that dies when it was asked, and one that loads.
    client.give("DEL")
    scene.loop.run(PAUSE_S_MIN)
    assert client.outcome("SET") == "waits" and scene.asked() == 1
    scene.shards.links[1].state = LinkState.DOWN
    scene.shards.links[1].asked.pop()[1](RedisError("SHARDDOWN"))
    scene.loop.run()
    assert client.outcomes[-1] == "OOM"
    link.state = LinkState.LOADING
    client.give("DEL")
    scene.loop.run(PAUSE_S_MIN)
    assert client.outcome("SET") == "waits" and scene.asked() == 0
    assert client.outcomes[-1] == "OOM"


def test_no_wait_is_endless() -> None:
    """A shard that stands still answers nothing."""
    scene = Refused()
    client, giver = scene.client(), scene.client()
    giver.give("RENAME")
    giver.batches.append("RENAME")
    assert client.outcome("SET") == "waits" and giver.outcome("SET") == "waits"
    scene.loop.run(WAIT_S * 0.99)
    assert client.held and giver.held
    scene.loop.run(WAIT_S * 0.02)
    assert client.outcomes == ["OOM"] and giver.held, "its own RENAME is not answered"
    giver.batches.clear()
    scene.loop.run(WAIT_S)
    assert giver.outcomes[-1] == "OOM"


def test_room_that_a_shard_tells_of_ends_the_wait() -> None:
    scene = Refused()
    client = scene.client()
    client.give("DEL")
    assert client.outcome("SET") == "waits"
    scene.shards.hear(0, 20)
    assert client.outcomes[-1] == "done" and not scene.shards.budget.gated


def test_without_the_limit_nobody_waits() -> None:
    scene = Refused()
    client = scene.client()
    client.give("DEL")
    assert client.outcome("SET") == "waits"
    scene.shards.config.values["maxmemory"] = 0
    scene.shards.budget.configure()
    scene.loop.run()
    assert client.outcomes[-1] == "done" and not scene.shards.budget.gated


@pytest.mark.parametrize("stands_still", [False, True])
def test_a_new_limit_is_waited_for(stands_still: bool) -> None:
    scene = Refused()
    client = scene.client()
    client.give("DEL")
    assert client.outcome("SET") == "waits" and scene.asked() == 2
    scene.shards.config.values["maxmemory"] += 1
    scene.shards.budget.configure()
    late = scene.client()
    late.give("DEL")
    assert late.outcome("SET") == "waits"
    if stands_still:
        scene.loop.run(WAIT_S)
        assert client.outcomes[-1] == "done" == late.outcomes[-1], "nothing is known"
        return
    # First the answers to the round, which is no longer what counts, then those to the question about the new limit.
    for link in scene.shards.links:
        link.asked.pop(0)[1](use(20))
    scene.loop.run()
    assert client.held and late.held
    scene.answer(66)
    assert client.held and late.held, "the DEL may have come behind that question"
    scene.loop.run(PAUSE_S_MIN)
    scene.answer(66)
    assert client.outcomes[-1] == "OOM" == late.outcomes[-1]
