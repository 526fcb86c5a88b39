"""What INFO tells of a certificate: its serial number, and when it expires. Read from the file as it is (PEM, X.509).

Python's ssl shows a certificate only to the other end of a connection. What is read here is the beginning of each
(RFC 5280, 4.1), and only by that it is known to be one; whether it is right is OpenSSL's to say.
"""

import binascii
import re
from calendar import timegm
from typing import NamedTuple

PEM = re.compile(rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----(.*?)-----END", re.DOTALL)
SEQUENCE, INTEGER, UTC_TIME, GENERALIZED_TIME, VERSION = 0x30, 0x02, 0x17, 0x18, 0xA0
TIME = re.compile(rb"(\d\d|\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z")


class NoCertificate(ValueError):
    """These bytes are no certificate."""


class Certificate(NamedTuple):
    serial: str
    """As `openssl x509 -serial` writes it: "0A1B"."""
    expires_s: int
    """Unix time."""


def certificates(text: bytes) -> list[Certificate]:
    """All certificates of a PEM file, in their order.  Raises NoCertificate."""
    try:
        return [certificate(binascii.a2b_base64(found)) for found in PEM.findall(text)]
    except binascii.Error as error:
        raise NoCertificate(str(error)) from None


def certificate(der: bytes) -> Certificate:
    """The certificate of these bytes.  Raises NoCertificate."""
    fields = _inside(_inside(der, 0, SEQUENCE), 0, SEQUENCE)
    at = _end(fields, 0) if fields[:1] == bytes([VERSION]) else 0
    number = int.from_bytes(_inside(fields, at, INTEGER), signed=True)
    for _ in range(3):  # The serial number, the algorithm, the issuer.
        at = _end(fields, at)
    validity = _inside(fields, at, SEQUENCE)
    digits = f"{abs(number):X}"
    serial = "-" * (number < 0) + "0" * (len(digits) % 2) + digits
    return Certificate(serial, _seconds(validity, _end(validity, 0)))


def _seconds(data: bytes, at: int) -> int:
    """The Unix time at a place. Years of two digits are those from 1950 to 2049."""
    kind = data[at] if at < len(data) else 0
    found = TIME.fullmatch(_inside(data, at, kind)) if kind in (UTC_TIME, GENERALIZED_TIME) else None
    if found is None:
        raise NoCertificate("a time is not as it should be")
    year, *rest = map(int, found.groups())
    if kind == UTC_TIME:
        year += 1900 if year >= 50 else 2000
    try:
        return timegm((year, *rest))
    except ValueError as error:
        raise NoCertificate(str(error)) from None


def _inside(data: bytes, at: int, tag: int) -> bytes:
    """What the element at a place holds, if it is of that kind."""
    if data[at : at + 1] != bytes([tag]):
        raise NoCertificate(f"there is no element {tag:#x} at byte {at}")
    begin, end = _bounds(data, at)
    return data[begin:end]


def _end(data: bytes, at: int) -> int:
    """Where the element behind the one at a place begins."""
    return _bounds(data, at)[1]


def _bounds(data: bytes, at: int) -> tuple[int, int]:
    """Where what an element holds begins and ends. The length is one byte, or 0x80 + n and n bytes."""
    length = data[at + 1] if at + 1 < len(data) else -1
    begin = at + 2
    if length >= 0x80:
        begin += length - 0x80
        length = int.from_bytes(data[at + 2 : begin])
    if length < 0 or begin + length > len(data):
        raise NoCertificate(f"the element at byte {at} is cut off")
    return begin, begin + length
