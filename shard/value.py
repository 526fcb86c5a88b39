"""What is at a key: a value of some type."""

from typing import Any

Value = Any
"""bytes, or bytearray once edited in place; other types are classes of their own in shard/values/, with

    type_name: str                                      what TYPE answers
    encoding(config: dict[str, Any]) -> str             what OBJECT ENCODING answers
    copy() -> Self                                      a value that shares nothing that can change
    __len__() -> int                                    its elements; 0 only while a command runs, or a stream's
    containers() -> list[Any]                           the lists, dicts and sets that it is made of, see
                                                        garbage.py; nothing uses the value afterwards
    to_wire() -> Any                                    what travels to another shard, see UNPACKED in shard/states.py
    commands(key: bytes) -> Iterator[list[bytes]]       commands that make it anew where there is no such key
"""

STRING_TYPES = (bytes, bytearray)


def type_name(value: Value) -> str:
    """What TYPE calls a value."""
    return "string" if isinstance(value, STRING_TYPES) else value.type_name
