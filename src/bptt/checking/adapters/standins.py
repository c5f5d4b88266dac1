"""What a file uses and does not define, and everybody knows: supplied, and said.

Much public code takes ``sigmoid`` and ``softmax`` from a module that is not there, or the vocabulary from a
text that is not.
"""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from bptt.checking.adapters.signature import globals_read
from bptt.checking.definitions import Missing
from bptt.checking.guard import guarded, ours
from bptt.types import Array

ours.add(__file__)


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _softmax(x: Array) -> Any:
    """Along the longest axis: the classes are more than the examples, in what is tried here."""
    e = np.exp(x)
    return e / e.sum(int(np.argmax(np.shape(x))), keepdims=True)


def _relu(x: Any) -> Any:
    return x * (np.real(x) > 0)


USUAL: dict[str, Any] = {
    "sigmoid": _sigmoid,
    "softmax": _softmax,
    "expit": _sigmoid,
    "relu": _relu,
    "tanh": np.tanh,
    "np": np,
    "numpy": np,
    "xrange": range,
}

_LISTS = re.compile(r"(?:chars|words|vocab(?:ulary)?|characters|letters|tokens|index_to_\w+|idx_to_\w+)")
_DICTS = re.compile(r"(?:\w*(?:char|word|chr|letter|token|ch|ix|idx|index)s?_?(?:to|2)_?(?:\w+))")


def supply(functions: Iterable[Any]) -> list[str]:
    """Give functions what they read and do not have, where its name says what it is.

    Parameters
    ----------
    functions : iterable of functions

    Returns
    -------
    list of str
        What was supplied, in words.
    """
    given: list[str] = []
    for function in functions:
        place = function.__globals__
        for name in globals_read(function.__code__):
            if name in USUAL and is_missing(name, place):
                place[name] = USUAL[name]
                given.append(name)
            elif name in place and _is_sigmoid(place[name]):
                place[name] = _for_complex(place[name])
    said = [n for n in dict.fromkeys(given) if n not in ("np", "numpy", "xrange")]
    return [f"{', '.join(said)}: not defined in the file; the usual one is taken"] if said else []


def _is_sigmoid(function: Any) -> bool:
    """Return whether a function is the sigmoid, and takes no complex numbers."""
    if getattr(function, "__name__", "") not in ("sigmoid", "_sigmoid", "expit", "logistic", "sigm"):
        return False
    x = np.array([[-1.5, 0.25, 2.0]])
    try:
        if not np.allclose(guarded(function, x.copy(), seconds=1.0), _sigmoid(x), rtol=1e-12):
            return False
        return not np.allclose(guarded(function, x + 0.5j, seconds=1.0), _sigmoid(x + 0.5j))
    except Exception:  # it compares them, mostly
        return True


def _for_complex(function: Any) -> Any:
    """Return the same sigmoid for real numbers; for complex ones it is the usual formula."""

    def sigmoid(x: Any, *args: Any, **kwargs: Any) -> Any:
        return _sigmoid(x) if np.iscomplexobj(x) and not args else function(x, *args, **kwargs)

    sigmoid.__wrapped__ = function  # type: ignore[attr-defined]
    return sigmoid


def is_missing(name: str, place: dict[str, Any]) -> bool:
    """Return whether a module lacks a name, or could not import it."""
    known = name in place or name in (place.get("__builtins__") or {})
    return not known or isinstance(place.get(name), Missing)


def vocabulary(name: str, size: int) -> Any:
    """Return the list or the dict that a name stands for in code over characters; None where it is none."""
    if _DICTS.fullmatch(name.lower()):
        return {k: k for k in range(size)}
    return list(range(size)) if _LISTS.fullmatch(name.lower()) else None
