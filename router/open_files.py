"""How many clients the system lets us have: each is an open file, and a few more are needed."""

import logging

from common.config import Config, ConfigError
from common.open_files import FILES_BESIDE_CLIENTS, allow_files

logger = logging.getLogger("shardis")


def shortage(maxclients: int) -> str:
    """Why so many clients are too many, as CONFIG SET says it; empty if they are not."""
    found = allow_files(maxclients + FILES_BESIDE_CLIENTS)
    if found >= maxclients + FILES_BESIDE_CLIENTS:
        return ""
    most = max(found - FILES_BESIDE_CLIENTS, 0)
    return f"The operating system is not able to handle the specified number of clients, try with {most}"


def fit(config: Config) -> None:
    """Lowers `maxclients` to what the system lets us have, and says so.  Raises ConfigError if that is nobody."""
    clients = config["maxclients"]
    wanted = clients + FILES_BESIDE_CLIENTS
    found = allow_files(wanted)
    if found >= wanted:
        return
    most = found - FILES_BESIDE_CLIENTS
    if most < 1:
        raise ConfigError(
            f"the limit of open files ('ulimit -n') of {found} is not enough for the server to start; it takes at least"
            f" {FILES_BESIDE_CLIENTS + 1}, and {wanted} for maxclients {clients}"
        )
    logger.warning("maxclients %d takes %d open files, and the system's limit is %d", clients, wanted, found)
    logger.warning("maxclients is %d; for more of them raise the limit of open files ('ulimit -n')", most)
    config.override("maxclients", str(most))
