"""The checker of histories: right ones pass, wrong ones do not, and it agrees with trying every order."""

from itertools import permutations
from math import inf
from random import Random

import pytest

from tests.histories.model import Model
from tests.linearizability import NotLinearizable, Operation, Undecided, by_first_key, check
from tests.resp_client import Error, Status

OK = Status(b"OK")
X, Y = b"x", b"y"


def history(text: str) -> list[Operation]:
    """A line a call: its time from left to right, `=` marks, `?` at the end if the reply is unknown; command; reply."""
    found = []
    for line in filter(str.strip, text.splitlines()):
        _, command, reply = (part.strip() for part in line.split("|"))
        first, last = line.index("="), line.rindex("=")
        known = reply != "?"
        call = tuple(word.encode() for word in command.split())
        found.append(Operation(call, value(reply) if known else None, first, last, known))
    return found


def value(text: str) -> object:
    if text.startswith("["):
        return [value(word) for word in text[1:-1].split()]
    if text == "nil":
        return None
    return OK if text == "OK" else int(text[1:]) if text.startswith(":") else text.encode()


def is_right(operations: list[Operation], keys: tuple[bytes, ...] = (X, Y)) -> bool:
    model = Model(keys)
    try:
        check(operations, model.step, model.empty)
    except NotLinearizable:
        return False
    return True


RIGHT = {
    "nothing": "",
    "one after the other": """
        ==          | SET x 1 | OK
           ==       | GET x   | 1
              ==    | DEL x   | :1
                 == | GET x   | nil
    """,
    "a read beside a write finds the old value": """
        ======  | SET x 1 | OK
          ==    | GET x   | nil
    """,
    "or the new one": """
        ======  | SET x 1 | OK
          ==    | GET x   | 1
    """,
    "writes side by side, in either order": """
        =======      | SET x 1 | OK
        =======      | SET x 2 | OK
                ==   | GET x   | 1
                   = | GET x   | 1
    """,
    "counters": """
        ====    | INCRBY x 1 | :2
        ====    | INCRBY x 1 | :1
            ==  | GET x      | 2
    """,
    "a write of unknown outcome that happened": """
        ==     | SET x 1 | ?
            == | GET x   | 1
    """,
    "one that did not": """
        ==     | SET x 1 | ?
            == | GET x   | nil
    """,
    "one after another, of which the second happened": """
        ==        | INCRBY x 1  | ?
          ==      | INCRBY x 10 | ?
              ==  | GET x       | 10
    """,
    "all keys at once": """
        =====     | MSET x 1 y 1 | OK
        =====     | MSET x 2 y 2 | OK
           ====== | MGET x y     | [1 1]
              === | MGET y x     | [1 1]
    """,
    "who waits is served": """
        =======    | BLPOP x y 0 | [y a]
           =       | RPUSH y a b | :2
             ===   | LPOP y      | b
    """,
    "who waits in vain": """
        =======    | BLPOP x y 1 | nil
               ==  | RPUSH y a   | :1
    """,
}

WRONG = {
    "a stale read": """
        ==         | SET x 1 | OK
           ==      | SET x 2 | OK
              ==   | GET x   | 1
    """,
    "a value back in time": """
        =========  | SET x 1 | OK
         ==        | GET x   | 1
            ==     | GET x   | nil
    """,
    "a value out of nowhere": """
        ==         | SET x 1 | OK
           ==      | GET x   | 2
    """,
    "a value before it was written": """
        ==         | GET x   | 1
           ==      | SET x 1 | OK
    """,
    "a lost write": """
        ==         | SET x 1 | OK
           ==      | GET x   | nil
    """,
    "a lost update": """
        ====       | INCRBY x 1 | :1
        ====       | INCRBY x 1 | :1
    """,
    "a lost update that is only seen later": """
        ====       | INCRBY x 1 | :1
         ====      | INCRBY x 1 | :2
               ==  | GET x      | 1
    """,
    "a double pop": """
        ==         | RPUSH x a | :1
           ====    | LPOP x    | a
            ====   | LPOP x    | a
    """,
    "a pop that is lost": """
        ==         | RPUSH x a b | :2
           ==      | LPOP x      | b
    """,
    "a pop by one who waits, and by another": """
        ========   | BLPOP x 0 | [x a]
          ==       | RPUSH x a | :1
             ===   | LPOP x    | a
    """,
    "nothing found where something was": """
        ==         | RPUSH x a | :1
           =====   | BLPOP x 1 | nil
    """,
    "the second key although the first was there": """
        ==         | RPUSH x a   | :1
           ==      | RPUSH y b   | :1
              ==   | BLPOP x y 0 | [y b]
    """,
    "half an MSET": """
        =====      | MSET x 1 y 1 | OK
          ===      | MGET x y     | [1 nil]
    """,
    "two keys, seen in different orders": """
        ========   | SET x 1  | OK
        ========   | SET y 1  | OK
         ==        | MGET x y | [1 nil]
            ==     | MGET x y | [nil 1]
    """,
    "half a RENAME": """
        ==         | SET x 1    | OK
           =====   | RENAME x y | OK
             ===   | MGET x y   | [1 1]
    """,
    "an unknown outcome that was undone": """
        ==         | SET x 1 | ?
            ==     | GET x   | 1
               ==  | GET x   | nil
    """,
    "an unknown outcome twice": """
        ==         | INCRBY x 1 | ?
            ==     | GET x      | 2
    """,
    "what was told to be unknown comes later": """
        ==         | SET x 1 | ?
            ==     | GET x   | nil
               ==  | GET x   | 1
    """,
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_history(name: str) -> None:
    assert is_right(history(RIGHT[name]))


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_history(name: str) -> None:
    assert not is_right(history(WRONG[name]))


def test_a_call_that_was_never_answered_may_happen_late() -> None:
    calls = [
        Operation((b"SET", X, b"1"), None, 0, inf, known=False),
        Operation((b"GET", X), None, 2, 3),
        Operation((b"GET", X), b"1", 4, 5),
    ]
    assert is_right(calls)
    calls.append(Operation((b"GET", X), None, 6, 7))
    assert not is_right(calls)


def test_transactions() -> None:
    def transfer(reply: object) -> list[Operation]:
        return [
            Operation((b"MSET", X, b"5", Y, b"5"), OK, 0, 1),
            Operation((b"EXEC", (b"DECRBY", X, b"2"), (b"INCRBY", Y, b"2")), [3, 7], 2, 9),
            Operation((b"MGET", X, Y), reply, 3, 8),
        ]

    assert is_right(transfer([b"5", b"5"])) and is_right(transfer([b"3", b"7"]))
    assert not is_right(transfer([b"3", b"5"]))
    watched = (b"WATCHED", ((X, b"1"),), (b"SET", X, b"3"))
    before = [Operation((b"SET", X, b"1"), OK, 0, 1), Operation((b"SET", X, b"2"), OK, 2, 3)]
    assert not is_right([*before, Operation(watched, [OK], 4, 5)])
    assert is_right([*before[:1], Operation(watched, [OK], 4, 5), Operation((b"GET", X), b"3", 6, 7)])


def test_an_error_is_a_reply() -> None:
    no_such_key = Operation((b"RENAME", X, Y), Error(b"ERR no such key"), 2, 3)
    assert is_right([no_such_key])
    assert not is_right([Operation((b"SET", X, b"1"), OK, 0, 1), no_such_key])


def test_the_text_of_a_refusal() -> None:
    model = Model((X,))
    calls = history(WRONG["a stale read"])
    with pytest.raises(NotLinearizable, match=r"nothing explains .*client 0: \(b'GET', b'x'\) -> b'1'"):
        check(calls, model.step, model.empty)


def test_a_search_that_takes_too_long_is_no_verdict() -> None:
    model = Model((X,))
    calls = [Operation((b"INCRBY", X, b"%d" % (1 << number)), None, 0, known=False) for number in range(20)]
    calls.append(Operation((b"GET", X), b"-1", 1, 2))
    with pytest.raises(Undecided):
        check(calls, model.step, model.empty, steps_max=100)


def test_keys_apart() -> None:
    calls = [Operation((b"GET", X), None, 0, 1), Operation((b"GET", Y), None, 0, 1), Operation((b"DEL", X), 0, 2, 3)]
    assert by_first_key(calls) == {X: [calls[0], calls[2]], Y: [calls[1]]}


# Beside every order there is


def _is_right_in_some_order(calls: list[Operation]) -> bool:
    """By trying all subsets of the unknown calls, and all orders."""
    model = Model((X,))
    unknown = [number for number, call in enumerate(calls) if not call.known]
    for dropped in range(1 << len(unknown)):
        gone = {number for place, number in enumerate(unknown) if dropped >> place & 1}
        kept = [call for number, call in enumerate(calls) if number not in gone]
        for order in permutations(kept):
            if any(order[b].responded_s < order[a].invoked_s for a in range(len(order)) for b in range(a, len(order))):
                continue
            state = model.empty
            for call in order:
                state, reply = model.step(state, call.call)
                if call.known and reply != call.reply:
                    break
            else:
                return True
    return False


CHOICES: list[tuple[tuple[bytes, ...], list[object]]] = [
    ((b"SET", X, b"1"), [OK]),
    ((b"INCRBY", X, b"1"), [1, 2, 3]),
    ((b"GET", X), [None, b"1", b"2"]),
    ((b"DEL", X), [0, 1]),
]


def test_it_agrees_with_trying_every_order() -> None:
    random = Random(1)
    verdicts = {True: 0, False: 0}
    for _ in range(1500):
        calls = []
        for _ in range(random.randrange(1, 6)):
            invoked = random.randrange(12)
            call, found = random.choice(CHOICES)
            responded = invoked + random.randrange(8)
            calls.append(Operation(call, random.choice(found), invoked, responded, random.random() < 0.8))
        right = _is_right_in_some_order(calls)
        assert is_right(calls, (X,)) == right, calls
        verdicts[right] += 1
    assert min(verdicts.values()) > 300, verdicts
