"""Very large values, killed and without power in the middle: each is there as a whole, as it was or as it was before.

LARGE_CRASHES in the environment says how many crashes there are of each kind.
"""

import os
import threading
import time
from pathlib import Path
from random import Random

import pytest

from shard.beside import BESIDE_BYTES_MIN
from tests.crashes.disk import Disk
from tests.crashes.kills import kill_all
from tests.crashes.machine import CrashServer
from tests.resp_client import Client, Error, Status

LARGE_CRASHES = int(os.environ.get("LARGE_CRASHES", "3"))
SIZE_BYTES = 2 * BESIDE_BYTES_MIN
SHARDS = 2
WAIT_MAX_S = 0.4
KEYS = ["one", "two", "three"]


def value(key: str, version: int) -> bytes:
    return f"{key} {version} ".encode().ljust(SIZE_BYTES, b"%d" % (version % 10))


class Writer:
    """A client that sets its key anew until the server is gone; and a small one behind each."""

    def __init__(self, server: CrashServer, key: str, version: int, small: int) -> None:
        self.key = key
        self.done = self.tried = version
        """The last version that was acknowledged, and the last that was sent."""
        self.small = small
        """The last that was acknowledged of the small one."""
        self.client = server.connect(timeout_s=60.0)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        try:
            while True:
                self.tried += 1
                if self.client.call("SET", self.key, value(self.key, self.tried)) == Status(b"OK"):
                    self.done = self.tried
                if self.client.call("SET", f"small:{self.key}", self.done) == Status(b"OK"):
                    self.small = self.done
        except (ConnectionError, OSError):
            self.client.close()

    def check(self, client: Client, *, power: bool) -> tuple[int, int]:
        """Asserts that one of the versions that may be there is; which that is, of each."""
        found = client.call("GET", self.key) or b""
        version = int(found.split(b" ", 2)[1]) if found else 0
        assert found == (value(self.key, version) if version else b"")
        assert self.done <= version <= self.tried
        small = int(client.call("GET", f"small:{self.key}") or 0)
        assert power or small in (self.small, self.done)  # A power cut may take what is small and was not synced.
        return version, small


@pytest.mark.parametrize("power", [False, True], ids=["killed", "without-power"])
def test_each_is_whole(tmp_path: Path, power: bool) -> None:
    random = Random(f"large {power}")
    disk = Disk(tmp_path)
    versions = dict.fromkeys(KEYS, (0, 0))
    server = CrashServer(disk, SHARDS, **{"auto-aof-rewrite-min-size": "40mb"})
    with server:
        for _ in range(LARGE_CRASHES):
            writers = [Writer(server, key, *versions[key]) for key in KEYS]
            time.sleep(random.uniform(0, WAIT_MAX_S))
            kill_all(server)
            server.stop()
            for writer in writers:
                writer.thread.join()
            if power:
                disk.crash(random)
            server.launch()
            server.wait_ready()
            with server.connect(timeout_s=60.0) as client:
                for writer in writers:
                    versions[writer.key] = writer.check(client, power=power)
                assert not isinstance(client.call("SET", "alive", 1), Error)
