"""A transfer to a server from its beginning or from where it stopped, to the counts at its end: import, and export."""

from dataclasses import dataclass
from pathlib import Path

from transfer.arrival import Before, verdicts
from transfer.courier import Courier, Source
from transfer.faults import Incomplete, Stopped, Usage
from transfer.progress import Progress
from transfer.server import Server
from transfer.state import State, StateFile

DATABASES_DEFAULT = 16


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line says about the target."""

    dbs: tuple[int, ...] = ()
    """Those of the source that are wanted; all if there are none."""
    replace: bool = False
    flush: bool = False
    resume: bool = False
    may_flush: bool = True
    """Whether there is such an option."""


def transfer(source: Source, target: Server, path: Path, wishes: Wishes, progress: Progress) -> list[str]:
    """Does it; the lines to show at the end. `path` is where the state is kept.  Raises Stopped, Usage."""
    if source.replayed and (wishes.replace or wishes.dbs):
        option = "--replace" if wishes.replace else "--db"
        raise Usage(f"{option} is for keys; the commands of a log need all of a server that is empty (or --flush)")
    file = StateFile(path)
    state = _resumed(file, source, target) if wishes.resume else State(source.identity, target.name)
    before = {db: Before(*counts, resumed=wishes.resume) for db, counts in target.counts().items()}
    if not wishes.resume:
        _refuse_keys(target, wishes, file)
    try:
        source.check(progress)
        if wishes.flush:
            _flush(target, wishes.dbs)
            before = {}
        courier = Courier(target, state, file, progress, replace=wishes.replace or wishes.resume)
        dbs = _databases(target) if source.replayed else 0
        if source.replayed:
            courier.claim()
        if wishes.resume and source.replayed:
            courier.find_marker(dbs)
        progress.begin("sending", source.total, source.unit, done=_done_before(source, state))
        courier.carry(source)
    except (Stopped, KeyboardInterrupt) as fault:
        hint = f". What has arrived is noted in {path}: the same command with --resume goes on"
        raise Stopped(f"{str(fault) or 'interrupted'}{hint if file.path.exists() else ''}") from None
    file.remove()
    courier.remove_marker(dbs)
    return _closing(courier, target, before)


def _resumed(file: StateFile, source: Source, target: Server) -> State:
    state = file.load_of(source.name, source.identity)
    if state.target != target.name:
        raise Stopped(f"{file.path} is about a transfer to {state.target}, not to {target.name}")
    return state


def _refuse_keys(target: Server, wishes: Wishes, file: StateFile) -> None:
    """Raises Stopped if the target has keys where some will be sent, and nobody said what is to become of them."""
    if wishes.replace or wishes.flush:
        return
    there = sum(count for db, count in target.sizes().items() if not wishes.dbs or db in wishes.dbs)
    if there:
        interrupted = (
            f" ({file.path} is there: --resume goes on with what was interrupted)" if file.path.exists() else ""
        )
        flush = ", --flush removes all first" if wishes.may_flush else ""
        raise Stopped(
            f"{target.name} has {there:,} keys: --replace overwrites those of the same names{flush}{interrupted}"
        )


def _flush(target: Server, dbs: tuple[int, ...]) -> None:
    if not dbs:
        target.call(b"FLUSHALL")
    for db in dbs:
        target.call(b"SELECT", b"%d" % db)
        target.call(b"FLUSHDB")


def _databases(target: Server) -> int:
    """How many dbs the target has, as far as it tells."""
    found = target.ask(b"CONFIG", b"GET", b"databases")
    return int(found[1]) if isinstance(found, list) and len(found) == 2 else DATABASES_DEFAULT


def _done_before(source: Source, state: State) -> int:
    """What the bar begins with: a file is walked again from its start, a server is not."""
    return sum(tally.read for tally in state.tallies.values()) if source.unit == "keys" else 0


def _closing(courier: Courier, target: Server, before: dict[int, Before]) -> list[str]:
    """The lines at the end.  Raises Stopped if not all is there."""
    there, now_ms = target.sizes(), target.now_ms()
    state = courier.state
    if state.commands:
        counts = ", ".join(f"db {db}: {count:,}" for db, count in there.items()) or "none"
        return [f"{state.commands:,} commands of the log done; keys there: {counts}"]
    found = verdicts(state.tallies, courier.times, there, before, now_ms)
    lines = [each.line for each in found] or ["no keys"]
    faults = [each.fault for each in found if each.fault]
    if faults:
        raise Incomplete(lines, "; ".join(faults))
    return lines
