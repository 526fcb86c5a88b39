"""Rules for users, at random: what the tests of ACL draw from."""

from random import Random

from common.command import Table
from common.flags import CATEGORIES

PATTERNS = ["*", "a", "a*", "*1", "[ab]", "key:?", "{t}*", "b"]
CHANNELS = ["*", "a", "a*", "b", "news.*"]
COMMANDS = """
    get set mget mset del copy rename sort sort_ro lmpop sinterstore zrangestore xread xreadgroup bitfield publish
    subscribe psubscribe flushall select move swapdb client client|id client|list config|get config debug object
    object|encoding memory|usage geosearchstore georadius getex exists zunion bitop pfmerge keys scan ping
""".split()  # noqa: SIM905  A list literal would take forty lines.


def table() -> Table:
    """All commands of a server."""
    import router.commands
    from tests import bare_shard

    whole = Table()
    whole.merge(router.commands.table.TABLE)
    whole.merge(bare_shard.commands())
    return whole


def selector_rule(random: Random, known: Table) -> bytes:
    """One rule that may stand in a selector, mostly a good one."""
    kind = random.randrange(12)
    sign = random.choice("+-")
    command = random.choice([name for name in COMMANDS if known.get(name) is not None])
    rules = {
        0: lambda: sign + "@" + random.choice([*CATEGORIES, "all"]),
        1: lambda: sign + "@" + random.choice([*CATEGORIES, "all"]),
        2: lambda: sign + command,
        3: lambda: sign + command.upper(),
        4: lambda: random.choice(["+select|1", "+debug|object", "+get|a", "+client|id", "-client|id", "+config|set"]),
        5: lambda: random.choice(["~", "%R~", "%W~", "%RW~"]) + random.choice(PATTERNS),
        6: lambda: random.choice(["~", "%R~", "%W~", "%r~", "~"]) + random.choice(PATTERNS),
        7: lambda: "&" + random.choice(CHANNELS),
        8: lambda: random.choice(["db=0", "db=0,3", "db=1", "alldbs", "resetdbs", "alldbs"]),
        9: lambda: random.choice(["allkeys", "resetkeys", "allchannels", "resetchannels", "+@all", "nocommands"]),
        10: lambda: "+@all",
        11: lambda: random.choice(["+nosuch", "%X~a", "db=x", "-get|a", "foo", "%R", "~* a", "+client|none"]),
    }
    return rules[kind]().encode()


def rules(random: Random, known: Table) -> list[bytes]:
    """What ACL SETUSER may be told of a user."""
    found = []
    for _ in range(random.choice([1, 2, 3, 4, 6])):
        draw = random.random()
        if draw < 0.15:
            inner = b" ".join(selector_rule(random, known) for _ in range(random.randrange(4)))
            found.append(b"(" + inner + b")")
        elif draw < 0.25:
            texts = ["on", "off", "nopass", ">x", "<x", ">y", "resetpass", "clearselectors", "reset", "#ab", "!ab"]
            found.append(random.choice(texts).encode())
        else:
            found.append(selector_rule(random, known))
    return found
