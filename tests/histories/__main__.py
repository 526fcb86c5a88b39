"""Plays histories on a server and checks them. Ends with 1 if anything was wrong.

    $ python -m tests.histories --on shardis-3-no-tags --seconds 600 --seed 1
    $ python -m tests.histories --on shardis-3-no-tags --kill-shards
    $ python -m tests.histories --on reference --seconds 10 --only RENAME queues

With `--kill-shards` a shard is killed every second or so. What is answered by an error then did not happen, or nobody
knows, as the error says. Only what is promised of one key is checked then, unless `--strict` asks for all.
"""

import argparse
import sys

from tests.histories.lanes import WORKLOADS, run
from tests.servers import Shardis
from tests.targets import ServerTarget, open_target


def main(arguments: list[str]) -> int:
    options = parsed(arguments)
    workloads = [each for each in WORKLOADS if not options.only or each.name in options.only]
    with open_target(options.on) as target:
        assert isinstance(target, ServerTarget), f"{options.on} listens on no port"
        victim = target.server if options.kill_shards else None
        if options.kill_shards and not isinstance(victim, Shardis):
            raise SystemExit(f"{options.on} has no shards to kill")
        report = run(
            target.address,
            options.seconds,
            options.seed,
            server=victim if isinstance(victim, Shardis) else None,
            strict=options.strict,
            workloads=workloads,
        )
        if report.faults and target.server is not None:
            print(target.server.log())
    print(report.text())
    return 1 if report.faults else 0


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.histories", description=str(__doc__).split("\n")[0])
    parser.add_argument("--on", default="shardis-3-no-tags", metavar="TARGET", help="see tests/targets.py")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kill-shards", action="store_true")
    parser.add_argument("--strict", action="store_true", default=None, help="check all, also while shards are killed")
    parser.add_argument("--only", nargs="+", metavar="NAME", help=", ".join(each.name for each in WORKLOADS))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
