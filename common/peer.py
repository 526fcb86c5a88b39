"""Who is at the other end of a Unix socket, as the kernel says (SO_PEERCRED).

The sockets between router and shards are for one user, by the modes of folder and file; this is the second lock.
"""

import asyncio
import os
import socket
import struct

CREDENTIALS = struct.Struct("3i")
"""struct ucred: pid, uid, gid."""
ROOT = 0


def stranger(transport: asyncio.BaseTransport) -> str:
    """Who it is, if not a process of this user or of root: "user 33 (process 4711)"; empty for all others.

    A transport without a socket is within this process.
    """
    sock = transport.get_extra_info("socket")
    if sock is None:
        return ""
    pid, user, _ = CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
    return "" if user in (os.geteuid(), ROOT) else f"user {user} (process {pid})"
