"""CONFIG REWRITE: today's configuration, written into the file that it was read from."""

import logging
import os

from common import whole_file
from common.config import Config, read_text
from common.errors import RedisError

logger = logging.getLogger("shardis")


def rewrite(config: Config) -> None:
    """Writes the configuration into its file.  Raises RedisError."""
    path = config.file
    if not path:
        raise RedisError("ERR The server is running without a config file")
    try:
        old = read_text(path) if os.path.exists(path) else ""
        whole_file.write(path, config.rewrite(old))
    except OSError as error:
        logger.warning("the configuration file can't be written: %s", error)
        raise RedisError(f"ERR Rewriting config file: {error.strerror}") from None
    logger.info("the configuration file is rewritten: %s", path)
