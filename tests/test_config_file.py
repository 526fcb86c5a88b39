"""The syntax of redis.conf."""

import re
from pathlib import Path

import pytest

from common.config import Config, ConfigError
from common.config_file import INCLUDE_DEPTH_MAX, represented, words_of


def config_of(text: str) -> Config:
    return Config.from_arguments(["shardis.conf"], lambda path: text)


class TestFile:
    def test_comments_and_blanks(self) -> None:
        config = config_of('# port 1\n\n  \t\n\tport   7 \n  # x\nrequirepass "a # b"\r\n')
        assert (config["port"], config["requirepass"]) == (7, "a # b")

    def test_lines_of_one_directive_add_up_where_redis_adds(self) -> None:
        config = config_of("save 900 1\nsave 300 10\nclient-output-buffer-limit normal 1 2 3\nport 1\nport 2\n")
        assert config["save"] == [[900, 1], [300, 10]]
        assert config["client-output-buffer-limit"]["normal"] == [1, 2, 3]
        assert config["client-output-buffer-limit"]["pubsub"][0] == 32 * 2**20
        assert config["port"] == 2

    def test_names_the_line(self) -> None:
        with pytest.raises(ConfigError, match=re.escape("shardis.conf:3: port x: argument couldn't be parsed")):
            config_of("# one\n\nport x\n")
        with pytest.raises(ConfigError, match="shardis.conf:1: unbalanced quotes"):
            config_of('port "1\n')

    def test_never_shows_a_secret(self) -> None:
        with pytest.raises(ConfigError) as caught:
            config_of("requirepass hush hush\n")
        assert "hush" not in str(caught.value)

    def test_include(self) -> None:
        files = {"a.conf": "port 1\ninclude b.conf\nhz 30\n", "b.conf": "port 2\nhz 20\n"}
        config = Config.from_arguments(["a.conf"], files.__getitem__)
        assert (config["port"], config["hz"]) == (2, 30)

    def test_include_of_a_pattern(self, tmp_path: Path) -> None:
        """The files that there are, in the order of their names; none is no fault, in the reference either."""
        (tmp_path / "b.conf").write_text("port 2\nhz 20\n")
        (tmp_path / "a.conf").write_text("port 1\ndatabases 7\n")
        (tmp_path / ".hidden.conf").write_text("port 9\n")
        (tmp_path / "main").write_text(f"include {tmp_path}/[ab]*.conf\ninclude {tmp_path}/*.conf\ninclude no*.conf\n")
        config = Config.from_arguments([str(tmp_path / "main")])
        assert (config["port"], config["hz"], config["databases"]) == (2, 20, 7)

    def test_a_pattern_names_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "a.conf").write_text("port x\n")
        (tmp_path / "main").write_text(f"include {tmp_path}/*.conf\n")
        with pytest.raises(ConfigError, match=f"{tmp_path}/a.conf:1: port x: "):
            Config.from_arguments([str(tmp_path / "main")])

    def test_include_says_where(self) -> None:
        def read(path: str) -> str:
            if path == "a.conf":
                return "\ninclude b.conf\n"
            raise FileNotFoundError(2, "No such file or directory")

        with pytest.raises(ConfigError) as caught:
            Config.from_arguments(["a.conf"], read)
        assert str(caught.value) == "a.conf:2: can't read b.conf: No such file or directory"

    @pytest.mark.parametrize("depth", [INCLUDE_DEPTH_MAX, INCLUDE_DEPTH_MAX + 1])
    def test_include_ends(self, depth: int) -> None:
        def read(path: str) -> str:
            return "port 7" if int(path) == depth else f"include {int(path) + 1}"

        if depth > INCLUDE_DEPTH_MAX:
            with pytest.raises(ConfigError, match="deep"):
                Config.from_arguments(["0"], read)
        else:
            assert Config.from_arguments(["0"], read)["port"] == 7

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("", []),
            ("a b", ["a", "b"]),
            ("  a\t b ", ["a", "b"]),
            ('a ""', ["a", ""]),
            ("a ''", ["a", ""]),
            ('a "b c"', ["a", "b c"]),
            (r'a "\n\x41\"\\\q"', ["a", '\nA"\\q']),
            (r'a "\xc3\xa9"', ["a", "é"]),
            (r'a "\xff"', ["a", "\udcff"]),
            (r"a 'it\'s \n'", ["a", r"it's \n"]),
            ('a "b', None),
            ("a 'b", None),
            ('a "b"c', None),
            ('a b"c"', ["a", "bc"]),
        ],
    )
    def test_words(self, line: str, words: list[str] | None) -> None:
        assert words_of(line) == words

    @pytest.mark.parametrize(
        "word", ["", "a", "a b", 'a"b', "a\\b", "\n\r\t\a\b\x00\x7f", "é", "\udcff", "'", "#x", "it's"]
    )
    def test_represented_reads_back(self, word: str) -> None:
        assert words_of(f"name {represented(word)}") == ["name", word]
