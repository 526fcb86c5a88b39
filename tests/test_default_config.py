"""deploy/shardis.conf: all directives that do something, with their defaults."""

import re
import subprocess
import sys
from pathlib import Path

from common.config import DEFAULTS, Config
from common.directive_kinds import Only
from common.directives import DIRECTIVES
from tests.servers import ROOT

PATH = ROOT / "deploy" / "shardis.conf"
DIRECTIVE = re.compile(r"^#(?=[a-z])", re.MULTILINE)


def test_it_says_nothing_until_it_is_changed() -> None:
    config = Config.from_arguments([str(PATH)])
    assert not config.given and config.values == Config().values


def test_it_has_all_that_work_with_their_defaults(tmp_path: Path) -> None:
    path = tmp_path / "shardis.conf"
    path.write_text(DIRECTIVE.sub("", PATH.read_text()))
    given = Config.from_arguments([str(path)]).given
    assert given.keys() == {
        directive.name
        for directive in DIRECTIVES
        if directive.users and not directive.own and not directive.hidden and not isinstance(directive.kind, Only)
    }
    assert given == {name: DEFAULTS[name] for name in given}


def test_each_is_there_once() -> None:
    lines = [line.split()[0] for line in PATH.read_text().splitlines() if DIRECTIVE.match(line)]
    assert len(lines) == len(set(lines))


def test_the_command_prints_it() -> None:
    argv = [sys.executable, "-m", "deploy", "--default-config"]
    assert subprocess.run(argv, cwd=ROOT, capture_output=True, text=True).stdout == PATH.read_text()
