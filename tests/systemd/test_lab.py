"""Where a lab is not possible, it says why, and leaves nothing behind."""

import os
from pathlib import Path

import pytest

from tests.systemd import lab
from tests.systemd.lab import Lab, NoLab


def test_it_takes_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NoLab, match="takes root"), Lab({}):
        pass


def test_a_mount_that_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As in a container: its reason is what the program says."""

    def refused(*argv: str) -> None:
        raise OSError("mount: permission denied")

    monkeypatch.setattr(lab, "refuse", lambda: None)
    monkeypatch.setattr(lab, "command", refused)
    monkeypatch.setattr(lab, "CGROUPS", [tmp_path])
    (tmp_path / "cgroup.procs").touch()
    monkeypatch.setattr(lab.tempfile, "mkdtemp", lambda **_: str(tmp_path / "lab"))
    with pytest.raises(NoLab, match="permission denied"), Lab({}):
        pass
    assert not (tmp_path / "lab").exists()
