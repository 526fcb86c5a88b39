"""Shardis, installed in a lab by deploy/install.sh, as a server that tests can ask."""

import shutil
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

from tests.servers import ROOT, Server, free_port
from tests.systemd.lab import Lab

PREFIX, CHECKOUT, PACKAGES, PYTHON = "/opt/shardis", "/srv/checkout", "/srv/packages", "/srv/python"
WAIT_TIMEOUT_S = 60.0
POLL_S = 0.02
SCRIPT = "#!{prefix}/bin/python\nimport sys\nfrom {module} import main\nsys.exit(main())\n"
ALL = (
    "shardis.target",
    "shardis.socket",
    "shardis-prepare.service",
    "shardis-router.service",
    "shardis-metrics.service",
    "shardis-wait-start.service",
    "shardis-wait-stop.service",
)


def binds() -> dict[str, Path]:
    """What a lab has to see."""
    return {
        CHECKOUT: ROOT,
        PACKAGES: Path(sysconfig.get_path("purelib")),
        PYTHON: Path(sys.base_prefix),
    }


def make_environment(lab: Lab) -> None:
    """An environment as pip would make it, in a second and without a network: nothing compiled, the dependencies from
    where the tests have them."""
    inside = lab.root / PREFIX.lstrip("/")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = inside / "lib" / version / "site-packages"
    for package in ("common", "router", "shard", "deploy", "metrics", "transfer"):
        shutil.copytree(ROOT / package, packages / package, ignore=shutil.ignore_patterns("__pycache__", "*.so", "*.c"))
    (packages / "dependencies.pth").write_text(f"{PACKAGES}\n")
    (inside / "bin").mkdir()
    (inside / "bin/python").symlink_to(f"{PYTHON}/bin/{version}")
    (inside / "pyvenv.cfg").write_text(f"home = {PYTHON}/bin\nversion = {sys.version.split()[0]}\n")
    for name, module in (("shardis", "deploy.__main__"), ("shardis-apply", "deploy.units")):
        path = inside / "bin" / name
        path.write_text(SCRIPT.format(prefix=PREFIX, module=module))
        path.chmod(0o755)
    # An interpreter of pyenv finds its library by a path in a home, which no service may see.
    manager = lab.root / "etc/systemd/system.conf.d/lab.conf"
    manager.parent.mkdir(exist_ok=True)
    manager.write_text(f"[Manager]\nDefaultEnvironment=LD_LIBRARY_PATH={PYTHON}/lib\n")
    lab.check("systemctl", "daemon-reexec")
    lab.check(f"{PREFIX}/bin/python", "-m", "compileall", "-q", "-j", "0", f"{PREFIX}/lib")


class Installed(Server):
    """The service."""

    kind = "the service"

    def __init__(self, lab: Lab) -> None:
        super().__init__()
        self.lab = lab
        self.port = free_port()

    def install(self, *options: str) -> str:
        return self.lab.check(f"{CHECKOUT}/deploy/install.sh", "--ready-made", *options)

    def configure(self, *directives: str) -> None:
        """Replaces or adds directives in the configuration file."""
        names = "|".join(directive.split()[0] for directive in directives)
        lines = "\n".join(directives)
        path = "/etc/shardis/shardis.conf"
        self.lab.check("sh", "-c", f'sed -Ei "/^({names}) /d" {path}; echo "{lines}" >>{path}')

    def systemctl(self, *words: str) -> str:
        return self.lab.check("systemctl", *words)

    def show(self, unit: str, name: str) -> str:
        return self.systemctl("show", "--value", "--property", name, unit).strip()

    def main_pid(self, unit: str) -> str:
        """As the lab numbers it."""
        return self.show(unit, "MainPID")

    def kill(self, unit: str, number: str) -> None:
        self.systemctl("kill", "--kill-who=main", "--signal", number, unit)

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Waits for a state that systemd tells of."""
        deadline_s = time.monotonic() + WAIT_TIMEOUT_S
        while not condition():
            assert time.monotonic() < deadline_s, f"not reached: {what}\n{self.log()}"
            time.sleep(POLL_S)

    def log(self, since_byte: int = 0) -> str:
        """Of all units: what the journal has."""
        if not self.lab.pid1:
            return "(the lab is down)"
        states = self.lab.run("systemctl", "--no-pager", "--lines=0", "status", "shardis*").stdout
        return states + self.lab.run("journalctl", "--no-pager", "-n", "150", "-u", "shardis*").stdout
