"""Keyspace events on their way to subscribers: what a shard tells of a key, published to the channels for that.

A shard tells only what notify-keyspace-events asks for, and which kinds of channel it asks for, in the order in which
it happened; so the events of a key come in their order, whatever the directive is by then.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from router.link import Link
    from router.server import Router


def notify(router: "Router", link: "Link", channels: str, event: bytes, db: int, key: bytes) -> None:
    """Publishes one event to `channels`: K that of the key, E that of the event."""
    publish = router.pubsub.publish
    if "K" in channels:
        publish(b"__keyspace@%d__:%b" % (db, key), event)
    if "E" in channels:
        publish(b"__keyevent@%d__:%b" % (db, event), key)
