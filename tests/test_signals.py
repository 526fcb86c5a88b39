"""What a signal does to a process that is ending: nothing."""

import signal
import subprocess
import sys

import pytest

from common.signals import HEARD

PROGRAM = """
import os, sys, uvloop
from common.signals import hear_no_more

async def end():
    if {deaf}:
        hear_no_more()

uvloop.run(end())
os.kill(os.getpid(), {number})
sys.exit(5)
"""


@pytest.mark.parametrize("number", HEARD)
@pytest.mark.parametrize("deaf", [True, False])
def test_the_exit_status(number: signal.Signals, deaf: bool) -> None:
    program = PROGRAM.format(deaf=deaf, number=int(number))
    status = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode
    assert status == (5 if deaf else -number)
