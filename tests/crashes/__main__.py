"""`python -m tests.crashes --crashes 1000 --seed 1 --fsync always`: crash after crash; exit status 1 if one was bad.

--machine       every crash of all processes is a power cut: what was not synced is lost, at random
--only NAME     one kind of crash alone, may be given several times
--first N       begins with crash N of the seed
--keep FOLDER   a copy of the folder of each bad crash, before and after the recovery
"""

import argparse
import sys
import time
from pathlib import Path

from tests.crashes.machine import DEEDS, Machine


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crashes", description=__doc__.partition("\n")[0])
    parser.add_argument("--crashes", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--fsync", choices=("always", "everysec"), default="always")
    parser.add_argument("--shards", type=int, default=3)
    parser.add_argument("--machine", action="store_true", help="power cuts instead of kills")
    parser.add_argument("--only", action="append", choices=list(DEEDS), default=[])
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    began_s = time.monotonic()
    machine = Machine(
        options.seed,
        options.fsync,
        options.shards,
        power=options.machine,
        only=options.only,
        keep=options.keep,
        timed=True,
    )
    bad = 0
    with machine:
        for number in range(options.first, options.first + options.crashes):
            known = len(machine.report.faults)
            bad += bool(machine.crash(number))
            for fault in machine.report.faults[known:]:
                print(fault, flush=True)
    report = machine.report
    print(f"{options.crashes} crashes in {time.monotonic() - began_s:.0f} s, {bad} of them bad; {report.acts} acts")
    print(f"what was done: {dict(report.crashes)}; asked before: {dict(report.admin)}")
    if options.machine:
        print(
            f"{report.lost_bytes} bytes lost, the oldest of them {report.oldest_loss_s:.2f} s before the crash at most"
        )
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
