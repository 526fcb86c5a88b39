"""The digest of data, computed here as in the reference: orders that count and orders that don't."""

from shard.digest import NOTHING, add, digest_of_db, digest_of_value, of_list, of_set, of_sorted_set, stir
from shard.keyspace import Store


def test_order() -> None:
    assert add(add(NOTHING, b"a"), b"b") == add(add(NOTHING, b"b"), b"a")
    assert stir(stir(NOTHING, b"a"), b"b") != stir(stir(NOTHING, b"b"), b"a")
    assert of_set([b"1", b"2"], NOTHING) == of_set([b"2", b"1"], NOTHING)
    assert of_list([b"1", b"2"], NOTHING) != of_list([b"2", b"1"], NOTHING)
    pairs = {b"a": 1.0, b"b": 2.5}
    assert of_sorted_set(pairs, NOTHING) == of_sorted_set(dict(reversed(pairs.items())), NOTHING)


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
