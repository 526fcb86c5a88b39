"""Bars on a terminal, lines elsewhere."""

import io
import os
import pty

import pytest

from transfer import progress
from transfer.progress import Bars, Lines, progress_on


def test_lines_come_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    stream = io.StringIO()
    with progress_on(stream) as shown:
        assert isinstance(shown, Lines)
        shown.begin("sending", 200, "bytes")
        shown.advance(50, 1000)
        shown.say("a line")
        shown.begin("counting", 0, "keys")
        shown.advance(50, 7)
    first, second, third = stream.getvalue().splitlines()
    assert first.startswith("sending: 25 %, 1,000 keys, ")
    assert second == "a line"
    assert third.startswith("counting: 7 keys, ")


def test_lines_are_far_between() -> None:
    stream = io.StringIO()
    with progress_on(stream) as shown:
        shown.begin("sending", 200, "bytes")
        for _ in range(100):
            shown.advance(1, 1)
    assert stream.getvalue() == ""


END = "that is all"


def test_bars_on_a_terminal() -> None:
    controlling, terminal = pty.openpty()
    with open(terminal, "w") as stream, open(controlling, "rb", buffering=0):
        with progress_on(stream) as shown:
            assert isinstance(shown, Bars)
            shown.begin("checking", 10, "bytes")
            shown.advance(10, 1)
            shown.begin("sending", 200, "bytes", done=100)
            shown.advance(100, 1234)
            shown.say("a line [that] stays")
        stream.write(END)
        stream.flush()
        text = ""
        while not text.endswith(END):  # A terminal hands over what it has at that moment.
            text += os.read(controlling, 1 << 16).decode()
    assert "sending" in text
    assert "100%" in text
    assert "1,234 keys" in text
    assert "a line [that] stays" in text
