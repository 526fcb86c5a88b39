"""The instrument that hears what a server tells unasked."""

from collections.abc import Iterator

import pytest

from tests.reference import Reference
from tests.resp_client import Client
from tests.told import EVERYTHING, Ear, Events, Invalidations, shown


@pytest.fixture
def events(reference: Reference, reference_client: Client) -> Iterator[Ear]:
    ear = Events(reference.address)
    yield ear
    ear.close()


@pytest.fixture
def invalidations(reference: Reference, reference_client: Client) -> Iterator[Ear]:
    ear = Invalidations(reference.address)
    yield ear
    ear.close()


def test_events_are_heard_in_order_for_each_key(events: Ear, reference_client: Client) -> None:
    assert events.heard() == {}
    reference_client.call("RPUSH", "l", "x")
    reference_client.call("SET", "k", "1")
    reference_client.call("LPOP", "l")
    heard = events.heard()
    assert heard == {(0, b"l"): ["RPUSH", "rpush", "LPOP", "lpop", "DEL", "del"], (0, b"k"): ["SET", "set"]}
    assert shown(heard) == "db 0, b'k': SET set\ndb 0, b'l': RPUSH rpush LPOP lpop DEL del"
    assert events.heard() == {}


def test_no_event_is_heard_of_classes_not_asked_for(reference: Reference, reference_client: Client) -> None:
    ear = Events(reference.address, "Eg")
    reference_client.call("SELECT", "3")
    reference_client.call("SET", "a:b\r\n", "1")
    reference_client.call("DEL", "a:b\r\n")
    assert ear.heard() == {(3, b"a:b\r\n"): ["del"]}
    ear.close()
    assert reference_client.call("CONFIG", "GET", "notify-keyspace-events")[1] == b""


def test_invalidations_are_heard_as_a_set(invalidations: Ear, reference_client: Client) -> None:
    reference_client.call("MSET", "a", "1", "b", "2")
    reference_client.call("SET", "a", "3")
    assert invalidations.heard() == {b"a", b"b"}
    reference_client.call("FLUSHALL")
    heard = invalidations.heard()
    assert heard == {EVERYTHING}
    assert shown(heard | {b"k"}) == "'all keys'\nb'k'"
