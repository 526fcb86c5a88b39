"""`python -m tests.hostile [--full] [--only NAME ...]`: a Markdown table of what was tried and what came of it.

--full         the sizes of the README's table: some minutes, and 10 GB of memory
--only NAME    only these attacks, of:
               {names}
--reference    against the reference, for figures to compare with; what is Shardis's own is left out
--shards N     2 if nothing is said
"""

import argparse
import resource
import sys

from tests.hostile.attack import Attack, Result, run
from tests.hostile.connections import CONNECTIONS
from tests.hostile.fuzzing import FUZZING
from tests.hostile.large import LARGE
from tests.hostile.passwords import PASSWORDS
from tests.hostile.readers import READERS
from tests.reference import Reference
from tests.servers import Server, Shardis

ATTACKS: list[Attack] = [*CONNECTIONS, *READERS, *LARGE, *FUZZING, *PASSWORDS]
HEAD = (
    "| what was tried | for | memory of router + shards, MB: before, peak, after "
    "| p99 of a well-behaved client, ms: before, during (slowest) | ratio | what happened |"
)


def row(attack: Attack, count: int, result: Result) -> str:
    """A line of the table."""
    title = attack.title.format(count=f"{count:,}")
    ratio = result.p99_ms / result.p99_before_ms if result.p99_before_ms else 0.0
    memory = f"{result.before}, {result.peak}, {result.after}"
    times = f"{result.p99_before_ms:.2f}, {result.p99_ms:.2f} ({result.slowest_ms:.0f})"
    return f"| {title} | {result.seconds:.0f} s | {memory} | {times} | {ratio:.1f} | {result.outcome} |"


def server_for(attack: Attack, *, reference: bool, shards: int) -> Server:
    options = {name.replace("-", "_"): value for name, value in attack.options.items()}
    return Reference(**options) if reference else Shardis(shards=shards, **options)


def main() -> int:
    names = [attack.name for attack in ATTACKS]
    parser = argparse.ArgumentParser(
        prog="python -m tests.hostile",
        description=(__doc__ or "").format(names=" ".join(names)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--reference", action="store_true")
    parser.add_argument("--shards", type=int, default=2)
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    failed = 0
    print(HEAD)
    print("|---|---|---|---|---|---|", flush=True)
    for attack in ATTACKS:
        if attack.name not in options.only:
            continue
        size = attack.full if options.full else attack.small
        try:
            with server_for(attack, reference=options.reference, shards=options.shards) as server:
                print(row(attack, size.count, run(attack, server, size)), flush=True)
        except AssertionError as fault:
            failed += 1
            print(f"| {attack.title.format(count=size.count)} | | | | | FAILED: {str(fault)[:300]} |", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
