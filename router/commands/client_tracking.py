"""CLIENT TRACKING and what belongs to it: see router/tracking.py for who is told what."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from common.command import ALLOW_BUSY, LOADING, NOSCRIPT, STALE
from common.errors import RedisError, SyntaxFault, shown
from common.numbers import integer
from common.resp import OK, Members, Status
from router.commands.client import command
from router.tracking import Mode

if TYPE_CHECKING:
    from router.session import Session

USUAL = NOSCRIPT | LOADING | STALE

MODES = {b"BCAST": Mode.BROADCAST, b"OPTIN": Mode.OPT_IN, b"OPTOUT": Mode.OPT_OUT}

CACHING = {b"YES": Mode.OPT_IN, b"NO": Mode.OPT_OUT}
"""In which mode CLIENT CACHING may say so."""

BEFORE_DISABLING = "before disabling tracking for this client, and then re-enabling it with a different mode."


class Options:
    """What comes behind CLIENT TRACKING ON or OFF."""

    def __init__(self, session: "Session", words: Sequence[bytes]) -> None:
        """Raises RedisError if they are wrong in themselves."""
        self.modes: set[Mode] = set()
        self.prefixes: list[bytes] = []
        self.redirect = 0
        self.noloop = False
        left = iter(words)
        for word in left:
            name = word.upper()
            if name in MODES:
                self.modes.add(MODES[name])
            elif name == b"NOLOOP":
                self.noloop = True
            elif name in (b"PREFIX", b"REDIRECT") and (value := next(left, None)) is not None:
                if name == b"PREFIX":
                    self.prefixes.append(value)
                else:
                    self._redirect_to(session, value)
            else:
                raise SyntaxFault()

    def _redirect_to(self, session: "Session", client_id: bytes) -> None:
        if self.redirect:
            raise RedisError("ERR A client can only redirect to a single other client")
        self.redirect = integer(client_id)
        if self.redirect not in session.router.sessions:
            raise RedisError("ERR The client ID you want redirect to does not exist")

    def mode(self, before: Mode | None) -> Mode:
        """What they ask for, where `before` is the mode so far.  Raises RedisError if that cannot be."""
        modes = self.modes
        broadcast = Mode.BROADCAST in modes
        if self.prefixes and not broadcast:
            raise RedisError("ERR PREFIX option requires BCAST mode to be enabled")
        if before is not None and broadcast != (before is Mode.BROADCAST):
            raise RedisError(f"ERR You can't switch BCAST mode on/off {BEFORE_DISABLING}")
        if broadcast and len(modes) > 1:
            raise RedisError("ERR OPTIN and OPTOUT are not compatible with BCAST")
        if len(modes) > 1:
            raise RedisError("ERR You can't specify both OPTIN mode and OPTOUT mode")
        mode = next(iter(modes), Mode.READ)
        if {before, mode} == {Mode.OPT_IN, Mode.OPT_OUT}:
            raise RedisError(f"ERR You can't switch OPTIN/OPTOUT mode {BEFORE_DISABLING}")
        return mode

    def check_prefixes(self, existing: Sequence[bytes]) -> None:
        """Refuses prefixes one of which begins with another: a key would be told twice.  Raises RedisError."""
        for place, prefix in enumerate(self.prefixes):
            for others, what in ((existing, "an existing"), (self.prefixes[place + 1 :], "another provided")):
                for other in others:
                    if prefix.startswith(other) or other.startswith(prefix):
                        raise RedisError(
                            f"ERR Prefix '{shown(prefix)}' overlaps with {what} prefix '{shown(other)}'. "
                            "Prefixes for a single client must not overlap."
                        )


@command(
    "CLIENT TRACKING <ON | OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT]"
    " [NOLOOP]",
    USUAL,
    since="6.0.0",
    complexity="O(1). Some options may introduce additional complexity.",
)
def tracking(session: "Session", switch: bytes, *words: bytes) -> Status:
    """Controls server-assisted client-side caching for the connection."""
    options = Options(session, words)
    if switch.upper() == b"OFF":
        session.router.trackers.disable(session)
        return OK
    if switch.upper() != b"ON":
        raise SyntaxFault()
    before = session.tracking
    mode = options.mode(before.mode if before is not None else None)
    options.check_prefixes(sorted(before.prefixes) if before is not None else ())
    session.router.trackers.enable(session, mode, options.redirect, options.prefixes, noloop=options.noloop)
    return OK


@command("CLIENT CACHING <YES | NO>", USUAL | ALLOW_BUSY, since="6.0.0", complexity="O(1)")
def caching(session: "Session", word: bytes) -> Status:
    """Instructs the server whether to track the keys in the next request."""
    if session.tracking is None:
        raise RedisError(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode"
            " enabled"
        )
    mode = CACHING.get(word.upper())
    if mode is None:
        raise SyntaxFault()
    if session.tracking.mode is not mode:
        name = mode.value.upper()
        raise RedisError(
            f"ERR CLIENT CACHING {shown(word.upper())} is only valid when tracking is enabled in {name} mode."
        )
    session.tracking.caching = True
    return OK


@command("CLIENT GETREDIR", USUAL | ALLOW_BUSY, since="6.0.0", complexity="O(1)")
def getredir(session: "Session") -> int:
    """Returns the client ID to which the connection's tracking notifications are redirected."""
    return session.tracking.redirect if session.tracking is not None else -1


@command("CLIENT TRACKINGINFO", USUAL, since="6.2.0", complexity="O(1)")
def trackinginfo(session: "Session") -> dict[str, Any]:
    """Returns information about server-assisted client-side caching for the connection."""
    tracking = session.tracking
    if tracking is None:
        return {"flags": Members([b"off"]), "redirect": -1, "prefixes": []}
    flags = ["on"]
    if tracking.mode is not Mode.READ:
        flags.append(tracking.mode.value)
    if tracking.caching:
        flags.append("caching-yes" if tracking.mode is Mode.OPT_IN else "caching-no")
    if tracking.noloop:
        flags.append("noloop")
    if tracking.broken:
        flags.append("broken_redirect")
    return {
        "flags": Members(flags),
        "redirect": tracking.redirect,
        "prefixes": sorted(tracking.prefixes),
    }
