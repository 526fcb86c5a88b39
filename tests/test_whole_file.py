"""A file that is replaced as a whole: what of it stays, and what a failure leaves."""

import os
import stat
from pathlib import Path

import pytest

from common import whole_file


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "users.acl"
    whole_file.write(str(path), "user \udcff on\n")
    assert path.read_bytes() == b"user \xff on\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert names(tmp_path) == ["users.acl"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o4664])
def test_mode_and_owner_stay(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "shardis.conf"
    path.write_text("old")
    owner = (1234, 2345) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    os.chown(path, *owner)
    path.chmod(mode)
    before = path.stat()
    whole_file.write(str(path), "new")
    after = path.stat()
    assert path.read_text() == "new" and after.st_ino != before.st_ino
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, *owner)


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "real.conf").write_text("old")
    link = tmp_path / "link.conf"
    link.symlink_to("etc/real.conf")
    whole_file.write(str(link), "new")
    assert link.is_symlink() and (tmp_path / "etc" / "real.conf").read_text() == "new"


def test_a_failure_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "shardis.conf"
    path.write_text("old")

    def rename(source: str, target: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(OSError, match="No space left"):
        whole_file.write(str(path), "new")
    assert path.read_text() == "old" and names(tmp_path) == ["shardis.conf"]
