"""TLS beside plain text: each server a second time, as redis-benchmark gets to it over TLS.

Of the servers that are compared with only redis-server has TLS built in.
"""

import copy
from collections.abc import Iterable
from pathlib import Path

from tests.bench import load
from tests.certificates import Authority
from tests.servers import Server

PORT = "tls-port"


def directives(folder: Path) -> dict[str, str]:
    """What a server needs for it, with certificates made here."""
    authority = Authority(folder)
    authority.issue("server")
    return authority.directives()


def with_twins(servers: Iterable[Server]) -> list[Server]:
    """Each of the servers, and behind it itself over TLS if it has that."""
    found = []
    for server in servers:
        found.append(server)
        if PORT in server.options:
            twin = copy.copy(server)
            twin.kind = f"{server.kind} tls"
            load.WAYS[twin.kind] = ["-p", server.options[PORT], "--tls", "--cacert", server.options["tls-ca-cert-file"]]
            found.append(twin)
    return found
