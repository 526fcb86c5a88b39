"""The two ends of a client's connection, as Redis writes them."""

from typing import Any, Protocol


class Connection(Protocol):
    def get_extra_info(self, name: str) -> Any: ...


def addresses_of(transport: Connection) -> tuple[bool, str, str]:
    """Whether it is a Unix socket, and as CLIENT LIST shows them the client's end and ours: "127.0.0.1:6379",
    "[::1]:6379", "/run/shardis.sock:0".
    """
    peer, local = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    if isinstance(local, str):
        return True, f"{local}:0", f"{local}:0"
    return False, address_text(peer), address_text(local)


def address_text(address: tuple[Any, ...] | None) -> str:
    """A TCP address as Redis writes it; "?:0" for a client that is gone already."""
    if not address:
        return "?:0"
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
