"""CONFIG REWRITE: today's configuration, written into the file that it was read from."""

import logging
import os
import stat

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
        write_atomically(path, config.rewrite(old))
    except OSError as error:
        logger.warning("the configuration file can't be written: %s", error)
        raise RedisError(f"ERR Rewriting config file: {error.strerror}") from None
    logger.info("the configuration file is rewritten: %s", path)


def write_atomically(path: str, text: str) -> None:
    """Replaces the file by one of that text: after a crash it is the old or the new one, whole.  Raises OSError."""
    path = os.path.realpath(path)
    temporary = f"{path}.{os.getpid()}.tmp"
    mode = stat.S_IMODE(os.stat(path).st_mode) if os.path.exists(path) else 0o600
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with open(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
