"""The digest of data, computed here as in the reference: texts of scores, orders that count and orders that don't."""

import pytest

from shard.digest import NOTHING, add, digest_of_db, digest_of_value, of_set, score_text, stir
from shard.keyspace import Store

SCORES = {
    0.0: b"0", -0.0: b"0", 1.0: b"1", -2.5: b"-2.5", 0.1: b"0.1", 1e7: b"10000000", 1e8: b"1e+8", -1e7: b"-10000000",
    123456789.0: b"123456789", 12345678901234567890.0: b"12345678901234567000", 1e21: b"1e+21", 1e-5: b"0.00001",
    1e-7: b"1e-7", 0.00001234: b"0.00001234", 1.5e-9: b"1.5e-9", 5e-324: b"5e-324", 1e300: b"1e+300",
    float("inf"): b"inf", float("-inf"): b"-inf",
}  # fmt: skip


@pytest.mark.parametrize("score", SCORES)
def test_scores(score: float) -> None:
    assert score_text(score) == SCORES[score]


def test_order() -> None:
    assert add(add(NOTHING, b"a"), b"b") == add(add(NOTHING, b"b"), b"a")
    assert stir(stir(NOTHING, b"a"), b"b") != stir(stir(NOTHING, b"b"), b"a")
    assert of_set([b"1", b"2"], NOTHING) == of_set([b"2", b"1"], NOTHING)


def test_of_a_key_that_the_reference_knows() -> None:
    store = Store()
    db = store.dbs[0]
    db.set(b"str", b"abc")
    assert digest_of_value(db, b"str", b"abc").hex() == "21ffcd2d36aebffca02995acb412bcb827d4c1db"
    before = digest_of_db(db)
    db.expire_at(b"str", 10**15)
    assert digest_of_db(db) != before
    db.set(b"str", bytearray(b"abc"))
    assert digest_of_db(db) == before
    db.delete(b"str")
    assert digest_of_db(db) == NOTHING
