"""Whether all that was sent is there: the counts at the end of a transfer, db by db.

Keys whose time has come meanwhile are gone, or still counted until the server has removed them: so there are as many
as were made, less those expired by now, or anything between. Less than that, and keys are missing. What was sent before
a `--resume` is remembered without its times, so any of those with a time may have expired.

A key that is sent twice, because SCAN may name it twice, or because the target had it, is made once.
"""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass

from transfer.state import Tally


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one db. `fault` is empty if it is as it should be."""

    line: str
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Before:
    """What was in the db of a target before."""

    keys: int = 0
    volatile: int = 0
    resumed: bool = False
    """Whether it is not known any more, since an earlier run had begun to send."""


def verdict(db: int, tally: Tally, times: "array[int]", there: int, before: Before, now_ms: int) -> Verdict:
    """`there` keys are in the db of a target that says that it is `now_ms`."""
    expired = sum(1 for at_ms in times if at_ms <= now_ms)
    lowest = tally.made - expired - (tally.volatile - len(times))
    if not before.resumed:
        lowest += before.keys - before.volatile
    more = 0 if before.resumed else max(0, there - tally.made - before.keys)
    line = f"db {db}: {tally.read:,} keys read, {tally.sent:,} sent, {there:,} there"
    parts = {"vanished before they were read": tally.vanished, "not transferred": tally.refused, "expired": expired}
    line += "".join(f", {count:,} {what}" for what, count in parts.items() if count)
    if there < lowest:
        return Verdict(line, f"db {db}: at least {lowest:,} keys should be there, and {there:,} are")
    if tally.refused:
        return Verdict(line, f"db {db}: {tally.refused:,} keys were not transferred")
    if tally.busy and more:
        # SCAN may name a key twice, and then it is the first one that is in the way; these are somebody else's.
        return Verdict(line, f"db {db}: {tally.busy:,} keys were there already and have not been overwritten")
    return Verdict(line + (f", {more:,} of them from somebody else" if more else ""))


def verdicts(
    tallies: Mapping[int, Tally],
    times: Mapping[int, "array[int]"],
    there: Mapping[int, int],
    before: Mapping[int, Before],
    now_ms: int,
) -> list[Verdict]:
    """Of each db that keys were read of."""
    return [
        verdict(db, tally, times.get(db, array("q")), there.get(db, 0), before.get(db, Before()), now_ms)
        for db, tally in sorted(tallies.items())
        if tally.read
    ]
