"""A throwaway machine that the real systemd boots, in namespaces of this one, over a copy-on-write view of its files.

It has a process tree, mounts, /tmp and /run of its own; what it writes is gone with it, but survives `shut_down` and
`boot`. The network is this machine's: a test is a client of what runs inside. Nothing here reaches other labs: each has
a control group of its own.

    with Lab({"/srv/checkout": ROOT}) as lab:
        lab.run("systemctl", "start", "shardis.target")
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

BOOT_TIMEOUT_S = 30.0
RUN_TIMEOUT_S = 120.0
POLL_S = 0.02
CGROUPS = [Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")]
"""Where control groups of version 2 may be."""
OLD_CGROUPS = [Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup/systemd")]
"""Where those of version 1 are, on a machine that limits memory by them."""

# What would reach the kernel or the devices, which are shared with the machine outside.
MASKED = [
    "systemd-sysctl.service",
    "systemd-binfmt.service",
    "systemd-modules-load.service",
    "systemd-remount-fs.service",
    "systemd-tmpfiles-setup-dev.service",
    "systemd-udevd.service",
    "systemd-udev-trigger.service",
    "systemd-random-seed.service",
    "systemd-update-utmp.service",
    "systemd-sysusers.service",
    "systemd-firstboot.service",
    "systemd-timesyncd.service",
    "systemd-networkd.service",
    "systemd-resolved.service",
    "systemd-logind.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-tmpfiles-clean.timer",
    "proc-sys-fs-binfmt_misc.automount",
]

# pivot_root and not chroot: there, units with PrivateUsers= could not start.
INIT = """#!/bin/bash
set -e
cd "$1"
memory=$2 # Whether it is limited by control groups of version 1: of those, systemd is to see no others.
mount --make-rprivate /
shift 2
while [ $# -gt 0 ]; do mount --bind "$1" ".$2"; mount -o remount,bind,ro ".$2"; shift 2; done
mount -t proc proc proc
mount --rbind /sys sys
if [ "$memory" ]; then
    mount -t tmpfs tmpfs sys/fs/cgroup
    mkdir sys/fs/cgroup/{unified,memory,systemd}
    mount -t cgroup2 cgroup2 sys/fs/cgroup/unified
    mount -t cgroup -o memory cgroup sys/fs/cgroup/memory
    mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
    grep -E '^(#|memory)' proc/cgroups >cgroups
    mount --bind cgroups proc/cgroups
else
    mount -t cgroup2 cgroup2 sys/fs/cgroup
fi
mount --rbind /dev dev
for d in run tmp mnt; do mount -t tmpfs tmpfs $d; done
mkdir mnt/outside
pivot_root . mnt/outside
cd /
umount -l /mnt/outside /mnt
exec env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
    /lib/systemd/systemd --system --show-status=no --log-target=journal
"""


class NoLab(Exception):
    """Why there can be no such machine here."""


class Lab:
    """One machine. `binds` are folders of this one that it sees, read-only, by their paths inside."""

    def __init__(self, binds: dict[str, Path]) -> None:
        self.binds = binds
        self.folder = Path()
        self.cgroups: list[Path] = []
        """Its control groups: of version 2, then those of version 1."""
        self.init: subprocess.Popen[bytes] | None = None
        self.pid1 = 0

    def __enter__(self) -> Self:
        """Raises NoLab."""
        refuse()
        self.folder = Path(tempfile.mkdtemp(prefix="shardis-lab.", dir="/var/tmp"))
        old = OLD_CGROUPS if all(map(is_cgroup, OLD_CGROUPS)) else []
        self.cgroups = [path / self.folder.name for path in (next(filter(is_cgroup, CGROUPS)), *old)]
        try:
            self.make()
            self.boot()
        except (subprocess.SubprocessError, OSError) as error:
            self.close()
            raise NoLab(str(error)) from None
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def root(self) -> Path:
        """Its files, seen from here; while it runs, only to look at."""
        return self.folder / "root"

    @property
    def changes(self) -> Path:
        """The files that are not as on this machine."""
        return self.folder / "up"

    def make(self) -> None:
        """Its files: no unit of this machine's own, only the bare system."""
        command("mount", "-t", "tmpfs", "-o", "size=2g", "tmpfs", str(self.folder))
        for name in ("up", "work", "root"):
            (self.folder / name).mkdir()
        layers = f"lowerdir=/,upperdir={self.folder}/up,workdir={self.folder}/work"
        command("mount", "-t", "overlay", "overlay", "-o", layers, str(self.root))
        units = self.root / "etc/systemd/system"
        for path in [*units.glob("*.wants"), *units.glob("shardis*")]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for name in MASKED:
            relink(units / name, "/dev/null")
        relink(units / "default.target", "/lib/systemd/system/multi-user.target")
        for name in self.root.glob("lib/systemd/system/multi-user.target.wants/*"):
            name.unlink()
        (self.root / "etc/fstab").unlink(missing_ok=True)
        for inside in self.binds:
            (self.root / inside.lstrip("/")).mkdir(parents=True, exist_ok=True)
        (self.folder / "init").write_text(INIT)
        (self.folder / "init").chmod(0o755)
        for path in self.cgroups:
            path.mkdir()

    def boot(self) -> None:
        """Starts it and waits until it has booted.  Raises NoLab."""
        binds = [word for inside, outside in self.binds.items() for word in (str(outside), inside)]
        groups = "".join(f"echo $$ > {path}/cgroup.procs; " for path in self.cgroups)
        enter = groups + 'exec unshare --mount --pid --fork --kill-child --uts --ipc --cgroup "$0" "$@"'
        memory = "memory" if len(self.cgroups) > 1 else ""
        with open(self.folder / "console", "wb") as console:
            self.init = subprocess.Popen(
                ["bash", "-c", enter, f"{self.folder}/init", str(self.root), memory, *binds],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console,
            )  # fmt: skip
        deadline_s = time.monotonic() + BOOT_TIMEOUT_S
        while not self.is_up():
            if self.init.poll() is not None or time.monotonic() > deadline_s:
                raise NoLab(f"systemd does not boot: {(self.folder / 'console').read_text().strip()}")
            time.sleep(POLL_S)

    def is_up(self) -> bool:
        assert self.init is not None
        children = Path(f"/proc/{self.init.pid}/task/{self.init.pid}/children")
        pids = children.read_text().split() if children.exists() else []
        self.pid1 = int(pids[0]) if pids else 0
        state = self.run("systemctl", "is-system-running").stdout if pids else ""
        return state.strip() in ("running", "degraded")

    def limits_memory(self) -> bool:
        """Whether MemoryMax= is kept inside."""
        known = self.run("sh", "-c", "cat /sys/fs/cgroup/cgroup.controllers; ls /sys/fs/cgroup").stdout.split()
        return "memory" in known

    def shut_down(self) -> None:
        """In order."""
        assert self.init is not None
        self.run("systemctl", "poweroff")
        self.init.wait(RUN_TIMEOUT_S)
        self.init = None

    def cut_power(self) -> None:
        """All processes are gone at once."""
        if self.init is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid1 or self.init.pid, signal.SIGKILL)
            self.init.wait(RUN_TIMEOUT_S)
            self.init = None

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Runs a command inside, as root."""
        enter = ["nsenter", "-t", str(self.pid1), "-m", "-p", "-u", "-i", "-C"]
        clean = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"]
        return subprocess.run(
            [*enter, *clean, *argv],
            capture_output=True,
            text=True,
            timeout=RUN_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )

    def check(self, *argv: str) -> str:
        """Runs a command that has to succeed; what it printed."""
        done = self.run(*argv)
        assert done.returncode == 0, f"{argv} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def close(self) -> None:
        self.cut_power()
        for path in (self.root, self.folder):
            subprocess.run(["umount", "-l", str(path)], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        for path in self.cgroups:
            for folder, _, _ in os.walk(path, topdown=False):
                with contextlib.suppress(OSError):  # What is not empty yet stays; it holds nothing.
                    os.rmdir(folder)


def refuse() -> None:
    """Raises NoLab where it need not be tried."""
    if os.geteuid():
        raise NoLab("booting systemd takes root")
    for program in ("systemctl", "unshare", "nsenter", "mount", "pivot_root", "bash"):
        if shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
            raise NoLab(f"there is no {program} here")
    if not any(map(is_cgroup, CGROUPS)):
        raise NoLab("there are no control groups of version 2 here")


def is_cgroup(path: Path) -> bool:
    return (path / "cgroup.procs").exists() and os.access(path, os.W_OK)


def command(*argv: str) -> None:
    """Raises NoLab with the first line of what it says if it fails."""
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        raise NoLab(done.stderr.strip().partition("\n")[0])


def relink(path: Path, target: str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)
