"""A router without sockets whose shards take what is sent ahead, and keep what is large until it is fetched."""

import gc
from typing import Any

import shard.staging  # noqa: F401  Its messages answer to their names, as those of shard.keeping.
from common.frame import CONTROL, LARGE_SIZE_BYTES, Frames, packer
from router.freight import Fetch, Parcel
from router.session import Session
from router.staging import Staging
from shard.keeping import Keeping
from shard.link import size_of
from shard.staging import Stage
from tests.bare_router import BareRouter, ClientEnd
from tests.held_router import HeldEnd
from tests.resp_client import encode_command

READ_BYTES = 100_000


class FreightEnd(HeldEnd):
    """The far end of a link."""

    def __init__(self, link: Any) -> None:
        self.sent_size_bytes_max = 0
        """Of what the router was sent."""
        super().__init__(link)
        self.staged = Stage()
        self.keeping = Keeping()
        self.stream: Any = Frames(self.staged.value_of)
        self.pieces = 0
        """How many came."""
        self.frame_size_bytes_max = 0
        """Of what the router wrote."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.frame_size_bytes_max = max(self.frame_size_bytes_max, len(data))
        known = len(self.frames)
        super().write(data)
        self.pieces += sum(_pieces(frame) for frame in list(self.frames)[known:])

    def pieces_under_way(self) -> int:
        """How many wait to be read."""
        return sum(map(_pieces, self.frames))

    def send(self, frame: Any) -> None:
        if type(frame) is list:
            frame = self.keeping.named(frame) if size_of(frame) >= LARGE_SIZE_BYTES else frame
        elif "late" in frame:
            frame = {"late": {number: self.keeping.named(answer) for number, answer in frame["late"].items()}}
        self.sent_size_bytes_max = max(self.sent_size_bytes_max, len(packer().pack(frame)))
        super().send(frame)


def parcels_alive() -> list[Any]:
    """What is there of all that ever was on its way, without a collection: cycles would keep hundreds of MB."""
    # By type(), for other tests' modules have objects that make themselves when they are asked what they are.
    return [one for one in gc.get_objects() if issubclass(type(one), Parcel | Fetch | Staging)]


def _pieces(frame: list[Any]) -> int:
    runs = zip(frame[1::2], frame[2::2], strict=True)
    return sum(header & CONTROL and message[0] in ("stage", "fetch") for header, run in runs for message in run)


class FreightClient(ClientEnd):
    """The far end of a session."""

    def send_in_pieces(self, *calls: list[bytes]) -> None:
        """As a socket brings them."""
        data = b"".join(map(encode_command, calls))
        for at in range(0, len(data), READ_BYTES):
            self.send_bytes(data[at : at + READ_BYTES])


class FreightRouter(BareRouter):
    """A router with such shards, that are up."""

    def __init__(self, shards: int = 2, *options: str) -> None:
        super().__init__(shards, *options, greet=False)
        self.ends = [FreightEnd(link) for link in self.router.links]
        self.shards = list(self.ends)
        for end in self.ends:
            end.greet()

    def connect(self, address: str = "127.0.0.1") -> FreightClient:
        return FreightClient(Session(self.router), address)
