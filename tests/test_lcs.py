"""LCS by lines of bits against the table of numbers that Redis fills, which is the plain form."""

from random import Random

from shard.commands.lcs import Match, lcs_length, lcs_matches


def plain_lcs(one: bytes, other: bytes) -> tuple[int, list[Match]]:
    """The length and the runs, with Redis's table and its way back."""
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, byte in enumerate(one):
        for j, other_byte in enumerate(other):
            if byte == other_byte:
                table[i + 1][j + 1] = table[i][j] + 1
            else:
                table[i + 1][j + 1] = max(table[i][j + 1], table[i + 1][j])
    runs = []
    i, j, length = len(one), len(other), 0
    while i and j:
        if one[i - 1] == other[j - 1]:
            i, j, length = i - 1, j - 1, length + 1
            continue
        if length:
            runs.append((i, j, length))
            length = 0
        if table[i - 1][j] > table[i][j - 1]:
            i -= 1
        else:
            j -= 1
    return table[-1][-1], runs + ([(i, j, length)] if length else [])


def test_as_the_table_says() -> None:
    random = Random(1)
    for _ in range(3000):
        letters = random.choice((1, 2, 3, 26, 256))
        one, other = (
            bytes(random.randrange(letters) for _ in range(random.randint(0, random.choice((3, 10, 40)))))
            for _ in range(2)
        )
        length, runs = plain_lcs(one, other)
        assert lcs_length(one, bytearray(other)) == length, (one, other)
        assert list(lcs_matches(bytearray(one), other)) == runs, (one, other)


def test_a_long_and_a_short_string() -> None:
    """Neither shape may take a step for each byte of the longer one: that would be minutes."""
    long = b"ab" * 2_000_000
    assert lcs_length(long, b"ba") == lcs_length(b"ba", long) == 2
    assert list(lcs_matches(long, b"xba")) == [(len(long) - 3, 1, 2)]
    assert list(lcs_matches(b"xba", long)) == [(1, len(long) - 3, 2)]
