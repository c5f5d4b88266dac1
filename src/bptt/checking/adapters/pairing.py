"""Which functions belong together: the forward and the backward of one thing, by their names."""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

_BACKWARD = re.compile(
    r"(?:^|(?<=_)|(?<=[a-z]))(backward_?pass|back(?:ward)?_?prop(?:agation|agate)?|backwards?|bprop|b_prop|bwd|bptt|back|grad(?:ients?|s)?|vjp)(?=_|$|[A-Z]|th?rough)",
    re.IGNORECASE,
)
_FORWARD = re.compile(
    r"(?:^|(?<=_)|(?<=[a-z]))(forward_?pass|forward_?prop(?:agation|agate)?|forwards?|fprop|f_prop|fwd|feed_?forward|fp)(?=_|$|[A-Z])",
    re.IGNORECASE,
)


def functions(namespace: Mapping[str, Any]) -> dict[str, Callable[..., Any]]:
    """Return the functions of a namespace, in the order of their definition."""
    return {n: f for n, f in namespace.items() if inspect.isfunction(f) or inspect.ismethod(f)}


def stem(name: str) -> tuple[str, str]:
    """Return a function's name without its direction, and the direction: "forward", "backward" or "".

    Examples
    --------
    >>> stem("lstm_step_forward"), stem("lstm_step_backward"), stem("bptt_lstm")
    (('lstm_step', 'forward'), ('lstm_step', 'backward'), ('lstm', 'backward'))
    """
    for direction, pattern in (("backward", _BACKWARD), ("forward", _FORWARD)):
        if pattern.search(name):
            return pattern.sub("", name, count=1).strip("_").replace("__", "_").lower(), direction
    return name.lower(), ""


def pairs(found: Mapping[str, Callable[..., Any]]) -> list[tuple[str, str]]:
    """Return the names of forwards and backwards that belong together, the surest first.

    Parameters
    ----------
    found : dict of callables

    Examples
    --------
    >>> pairs({"step_forward": print, "step_backward": print, "sigmoid": print})
    [('step_forward', 'step_backward')]
    """
    stems = {name: stem(name) for name in found}
    same, alone = [], []
    for back, (root, way) in stems.items():
        if way != "backward":
            continue
        for direction in ("forward", ""):
            same += [(n, back) for n, s in stems.items() if s == (root, direction) and n != back]
    taken = {n for pair in same for n in pair}
    backs = [n for n, (_, way) in stems.items() if way == "backward" and n not in taken]
    fores = [n for n, (_, way) in stems.items() if way == "forward" and n not in taken]
    if len(backs) == len(fores) == 1:
        alone = [(fores[0], backs[0])]
    return same + alone
