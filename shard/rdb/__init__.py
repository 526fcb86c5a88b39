"""Values as Redis writes them into RDB files and DUMP payloads: bytes in, bytes out."""
