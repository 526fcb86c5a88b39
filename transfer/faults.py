"""What ends a transfer before its end: each is one line for standard error, and exit status 1."""


class Stopped(Exception):
    """Why it can't go on. The text is for the person who started it."""


class Incomplete(Stopped):
    """All was sent that can be, and it is not all there. `lines` say what is."""

    def __init__(self, lines: list[str], why: str) -> None:
        super().__init__(why)
        self.lines = lines


class Usage(Exception):
    """What was asked for makes no sense: exit status 2."""
