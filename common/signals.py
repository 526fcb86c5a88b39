"""The signals that a process with a loop hears, and when it hears none of them any more.

Rule 1: how a process ends is said by its exit status, and by nothing that comes while it ends. The loop gives signals
        back to the system when it is closed; from there on SIGHUP or a second SIGTERM would kill the process, and
        whoever watches over it would have it started again, or believe that it died.
"""

import signal

HEARD = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


def hear_no_more() -> None:
    """Has them wait for ever: called within the loop, when all is done but to end and no other thread is left."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
