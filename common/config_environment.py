"""Directives from the environment, as containers are configured: SHARDIS_MAXMEMORY=1gb means `--maxmemory 1gb`.

The name of a variable is that of the directive, by any of its names, in capitals, with "_" for "-", behind "SHARDIS_".
Its value is what follows `--name` on the command line, as one argument: SHARDIS_SAVE="900 1 300 10".
"""

from collections.abc import Container, Iterable, Iterator, Mapping

from common.config_file import Line

PREFIX = "SHARDIS_"
OTHERS = {"SHARDIS_PLAIN"}
"""Variables that are no directives."""
LINK = "tcp://"
"""How a value begins that Kubernetes or Docker sets for a service of the name "shardis": SHARDIS_PORT=tcp://10.0.0.7:6379
says where another server is, not what this one is to do."""
LINKED = ("_SERVICE_HOST", "_SERVICE_PORT", "_TCP_ADDR", "_TCP_PORT", "_TCP_PROTO")


def lines_of_environment(environ: Mapping[str, str], names: Iterable[str]) -> Iterator[Line]:
    """The lines that variables stand for, in the order of `names`."""
    for variable, name in {PREFIX + name.upper().replace("-", "_"): name for name in names}.items():
        value = environ.get(variable)
        if value is not None and not value.startswith(LINK):
            yield Line(variable, [name, value])


def unknown_variables(environ: Mapping[str, str], names: Container[str]) -> list[str]:
    """Variables that look like directives and are none: somebody mistyped."""
    return sorted(
        variable
        for variable, value in environ.items()
        if variable.startswith(PREFIX) and variable not in OTHERS
        if variable.removeprefix(PREFIX).lower().replace("_", "-") not in names
        if not value.startswith(LINK) and not variable.endswith(LINKED)
    )
