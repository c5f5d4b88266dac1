"""The option ``maps=`` of a cell: which matrices are made of what."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bptt.derive.source import FunctionText, plain_name
from bptt.errors import ConfigError

if TYPE_CHECKING:
    from bptt.maps import Map

_WANTED = 'maps= must be matrices and maps, as in {"a_h": "antisymmetric(0.01)"}'


def mapped(source: FunctionText, given: object, gates: Sequence[str]) -> "dict[str, Map | str]":
    """Return each matrix's map, or the name of one that serves for it, by its whole name, such as U.a_h.

    Raises
    ------
    EquationError
    """
    if not isinstance(given, Mapping):
        raise source.wrong(f"{_WANTED}; got {given!r:.80}")
    found: dict[str, Map | str] = {}
    for key, value in given.items():
        names = key.replace(",", " ").split() if isinstance(key, str) else []
        if not names:
            raise source.wrong(f"{_WANTED}; got {key!r:.80}")
        for name in names:
            block = _block(source, name, gates)
            if block in found:
                raise source.wrong(f"maps= has {block} twice")
            found[block] = _made(source, value, gates)
    for name, made in found.items():
        if isinstance(made, str) and (name == made or isinstance(found.get(made), str)):
            raise source.wrong(f"maps= says that {name} is {made}, which is that of another: name that one")
        whole = name[0]
        if name != whole and (whole in found or made == whole):
            raise source.wrong(f"maps= has {whole} whole and {name} of it: name each gate")
    return found


def as_text(made: "Map | str") -> str | None:
    """Return what a map, or a matrix that serves for another, is read from; None of one that is code."""
    return made if isinstance(made, str) else made.text


def _block(source: FunctionText, name: str, gates: Sequence[str]) -> str:
    """Return a matrix's whole name: a_h stands for its U, x_h for its W."""
    matrix, dot, gate = name.partition(".")
    if name in ("U", "W"):
        return name
    if not dot:
        matrix, gate = ("W" if name[:2] == "x_" else "U"), plain_name(name) or name
    feeds = {"W": "ax", "U": "au"}.get(matrix, "")
    fed = [g for g in gates if g[0] in feeds]
    if gate not in fed:
        known = ", ".join(
            [*(f"U.{g}" for g in gates if g[0] in "au"), *(f"W.{g}" for g in gates if g[0] in "ax")]
        )
        raise source.wrong(f"maps= names {name!r:.60}; the matrices are U, W, {known}")
    return f"{matrix}.{gate}"


def _made(source: FunctionText, value: object, gates: Sequence[str]) -> "Map | str":
    if isinstance(value, str):
        name = value.strip()
        if name in gates or name.partition(".")[2] in gates:
            return _block(source, name, gates)
    from bptt.maps import read  # few cells have any

    try:
        return read(value)
    except ConfigError as error:
        raise source.wrong(f"maps=: {error}") from None
