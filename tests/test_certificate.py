"""Serial numbers and times of certificates, as openssl reads them."""

import re
import ssl
import subprocess
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from common.certificate import NoCertificate, certificate, certificates
from tests.certificates import Authority

PAST_2050_DAYS = 20_000
"""Such a time is written with a year of four digits."""


def theirs(path: Path) -> tuple[str, int]:
    argv = ["openssl", "x509", "-in", str(path), "-noout", "-serial", "-enddate", "-dateopt", "rfc_822"]
    text = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    found = re.fullmatch(r"serial=(\w+)\nnotAfter=(.*)\n", text)
    assert found is not None
    month = ssl.cert_time_to_seconds(found[2]) if found[2][0].isalpha() else parsedate_to_datetime(found[2]).timestamp()
    return found[1], int(month)


def test_as_openssl_reads_them(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    paths = [authority.path, authority.issue("a"), authority.issue("b", days=PAST_2050_DAYS)]
    found = certificates(b"text before\n" + b"text between\n".join(path.read_bytes() for path in paths))
    assert [(one.serial, one.expires_s) for one in found] == [theirs(path) for path in paths]


def test_what_is_none(tmp_path: Path) -> None:
    assert certificates(b"") == certificates(Authority(tmp_path).key("ca").read_bytes()) == []
    with pytest.raises(NoCertificate):
        certificates(b"-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(NoCertificate):
        certificates(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")


def test_one_that_is_cut_off_or_damaged(tmp_path: Path) -> None:
    der = ssl.PEM_cert_to_DER_cert(Authority(tmp_path).path.read_text())
    whole = certificate(der)
    for size in range(len(der)):
        with pytest.raises(NoCertificate):
            certificate(der[:size])
    for place in range(len(der)):  # It is read as something, or refused; nothing else comes of it.
        damaged = bytearray(der)
        damaged[place] ^= 0x0A  # A digit becomes another one, or none.
        try:
            certificate(bytes(damaged))
        except NoCertificate:
            continue
    assert certificate(der + b"behind") == whole
