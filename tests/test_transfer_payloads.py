"""Payloads: what RESTORE takes, of which version, and the older form of a type that a server does not know."""

from collections.abc import Callable

import pytest

from shard.rdb.dump import VERSION
from shard.rdb.objects import HASH_2, STREAM_LISTPACKS_3
from tests.rdb_payloads import SOUND, cases
from tests.rdb_payloads import sealed as with_trailer
from tests.reference import RedisServer
from tests.resp_client import Client, Status
from tests.servers import Server
from transfer.payloads import Unsendable, fitted, opened, sealed

BODIES = {name: body for name, body in SOUND}


@pytest.mark.parametrize(**cases(SOUND))
def test_a_sealed_object_is_taken_by_a_server(reference_client: Client, body: bytes) -> None:
    assert reference_client.call("RESTORE", "k", 0, sealed(body[0], body[1:])) == Status(b"OK")


def test_a_payload_is_left_as_it_is_where_the_target_reads_its_version() -> None:
    body = BODIES["a stream"]
    assert fitted(with_trailer(body)) == with_trailer(body)
    assert fitted(with_trailer(body, version=11), 11) == with_trailer(body, version=11)
    assert opened(fitted(with_trailer(body), 11)) == (STREAM_LISTPACKS_3, body[1:], 11)
    assert opened(fitted(with_trailer(b"\0\1a"), 11)) == (0, b"\1a", 6)


def test_what_redis_writes_now_goes_to_valkey_but_for_its_own_types() -> None:
    assert opened(fitted(with_trailer(b"\0\1a", version=12))) == (0, b"\1a", 6)
    with pytest.raises(Unsendable, match="only Redis has"):
        fitted(with_trailer(b"%c" % HASH_2, version=12))
    with pytest.raises(Unsendable, match="not known"):
        fitted(with_trailer(b"\x40"), 11)


@pytest.mark.parametrize("payload", [b"", b"\0", bytes(10)])
def test_a_dump_that_is_none(payload: bytes) -> None:
    with pytest.raises(Unsendable):
        fitted(payload)


def test_fields_with_times_have_no_older_form() -> None:
    payload = fitted(with_trailer(BODIES["a hash with times"]), 11)
    assert opened(payload)[2] == VERSION


@pytest.mark.skipif(not RedisServer.is_installed(), reason="needs a redis-server")
@pytest.mark.parametrize("version", [9, 10])
def test_the_older_forms_say_the_same(
    start: Callable[[Server], Server], reference_client: Client, version: int
) -> None:
    """What the reference has, in the form that a Redis of that version writes, makes the same values in a Redis 7.0."""
    with start(RedisServer()).connect() as redis:
        compared = 0
        for name, body in SOUND:
            if body[0] == HASH_2:
                continue
            reference_client.call("RESTORE", name, 0, sealed(body[0], body[1:]))
            payload = fitted(reference_client.call("DUMP", name), version)
            assert opened(payload)[2] <= version, name
            assert redis.call("RESTORE", name, 0, payload) == Status(b"OK"), name
            assert redis.call("DEBUG", "DIGEST-VALUE", name) == reference_client.call("DEBUG", "DIGEST-VALUE", name)
            compared += 1
        assert compared > len(SOUND) // 2
