"""How figures are written: four places are enough to see what matters, and a column stays where it is."""

BLOCKS = "▁▂▃▄▅▆▇█"
BAR = "━"
NONE = "–"
SHORT = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def count(value: float | None) -> str:
    """ "999", "12.3k"."""
    if value is None:
        return NONE
    for size, letter in SHORT:
        if abs(value) >= size:
            short = value / size
            return f"{short:.2f}{letter}" if short < 10 else f"{short:.1f}{letter}"
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"


def size(value: float | None) -> str:
    """Bytes: "52.4 MB"."""
    if value is None:
        return NONE
    units = ["B", "KB", "MB", "GB", "TB"]
    while abs(value) >= 1000 and len(units) > 1:
        value /= 1024
        units.pop(0)
    return f"{value:.0f} {units[0]}" if value >= 100 or units[0] == "B" else f"{value:.1f} {units[0]}"


def micros(value: float | None) -> str:
    """A duration in µs: "110 µs", "3.26 ms"."""
    if value is None:
        return NONE
    if value >= 1e6:
        return f"{value / 1e6:.2f} s"
    if value >= 1e3:
        return f"{value / 1e3:.2f} ms" if value < 1e4 else f"{value / 1e3:.1f} ms"
    return f"{value:.0f} µs" if value >= 100 else f"{value:.1f} µs"


def percent(share: float | None) -> str:
    return NONE if share is None else f"{share * 100:.1f} %" if share < 0.9995 else f"{share * 100:.0f} %"


def duration(seconds: float) -> str:
    """ "3 h 20 min"."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 172_800:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} days"


def sparkline(values: list[float | None], width: int) -> str:
    """The newest values as blocks; a gap for what is not known."""
    shown = values[-width:]
    most = max((value for value in shown if value is not None), default=0.0)
    marks = [
        " " if value is None else BLOCKS[round(value / most * (len(BLOCKS) - 1))] if most else BLOCKS[0]
        for value in shown
    ]
    return "".join(marks).rjust(width)


def bar(share: float, width: int) -> str:
    """As long as the share, at least a hair for what is more than nothing."""
    filled = round(min(max(share, 0.0), 1.0) * width)
    return BAR * max(filled, 1 if share > 0 else 0)
