"""How many files a process may have open: each client is one."""

import resource

FILES_BESIDE_CLIENTS = 128
"""Links, logs, listening sockets."""


def allow_files(count: int) -> int:
    """Raises the limit of open files, which children inherit, as far as the system lets us; how many may be open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return count if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
