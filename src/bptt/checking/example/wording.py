"""What may be handed to a parameter, by its name and its annotation, and what gradients are made of."""

import inspect
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from bptt.checking.example.code import Code, parameters
from bptt.checking.example.roles import kinds, state_name, texts, without_d
from bptt.checking.example.texts import Sizes

_PLURAL = re.compile(r"_?(?:s|seq|list|all|history|values?|states?)$")
BEFORE = re.compile(r"prev|before|old|last|tm1|init|[^\d]0$|pre", re.IGNORECASE)
KINDS = ("x", "h", "W:x", "W:y", "b", "b:y", "target")
UNKNOWN = ("«size H»", "«size D»", "«size V»", "«size T»", "0.1", "'tanh'", "np.tanh", "None", "True", "0")
NAMED = (
    (r"\w*(?:to|2)_?(?:ix|idx|ind\w*|id|int)s?|vocab\w*|\w*_?dict|word_?index",
     "{c: k for k, c in enumerate('abcdefg')}"),
    (r"(?:ix|idx|ind\w*|id|int)s?_?(?:to|2)\w*", "dict(enumerate('abcdefg'))"),
    (r".*(?:act|func|nonlin|phi).*", "'tanh'"), (r".*(?:act|func|nonlin|phi).*", "np.tanh"),
    (r".*(?:name|type|init).*", "'net'"), (r".*(?:name|type|init).*", "'xavier'"), (r".*seed.*", "0"),
    (r".*drop.*", "0.0"),
)  # fmt: skip
SAID = {"int": UNKNOWN[:4], "float": ("0.1",), "bool": ("True",), "str": ("'tanh'", "'sgd'")}
WIDER = {"D": ("D", "H+D", "V", "H", "1"), "V": ("V", "D", "1", "H"), "H": ("H", "D"), "N": ("N", "T", "H")}
"""Which sizes a constructor's sizes may have to be, the likelier first."""


def adapted(sizes: Sizes, shapes: Iterable[tuple[int, ...]]) -> dict[str, int | str]:
    """Return sizes as matrices that are there have them; these then stay as they are.

    Examples
    --------
    >>> adapted({"T": 4, "H": 5, "D": 3, "V": 7}, [(9, 8), (9, 9), (8, 9)])
    {'T': 4, 'H': '9', 'D': '8', 'V': '8'}
    """
    shapes, new = [s for s in shapes if len(s) == 2], dict(sizes)
    squares = _squares(shapes)
    H = max(set(squares), key=squares.count) if squares else int(sizes["H"])
    others = [n for s in shapes for n in s if n not in (1, H, 3 * H, 4 * H)]
    if squares and int(sizes["H"]) != H:
        new["H"] = str(H)
    if squares and others and not {*others} & {int(sizes[s]) for s in "DV"}:
        new |= dict.fromkeys("DV", str(max(set(others), key=others.count)))
    return new | ({"T": 6} if str(sizes["T"]) in map(str, (new["H"], new["D"])) else {})


def state_size(sizes: Sizes, shapes: Iterable[tuple[int, ...]]) -> str:
    """Return the symbol of inputs or outputs that is the size of all square matrices; empty where none is.

    Examples
    --------
    >>> state_size({"H": 6, "D": 3, "V": 7}, [(3, 3), (3, 6)]), state_size({"H": 6, "D": 3, "V": 7}, [(6, 6)])
    ('D', '')
    """
    squares = {*_squares(shapes)}
    return next((s for s in "DV" if squares == {sizes[s]} and sizes[s] != sizes["H"]), "")


def _squares(shapes: Iterable[tuple[int, ...]]) -> list[int]:
    return [s[0] for s in shapes if len(s) == 2 and s[0] == s[1]]


def said(p: inspect.Parameter) -> str:
    """Return the name of what a parameter is annotated with."""
    return str(getattr(p.annotation, "__name__", p.annotation)).strip("'\"")


def required(function: Any) -> list[str]:
    """Return the parameters that must be given."""
    return [p.name for p in parameters(function) if p.default is p.empty]


def likely(code: Code, name: str, through_time: bool, making: bool = False) -> list[str]:
    """Return what to try for a name."""
    own = kinds(name)
    # a constructor's n, d or h is a size, and no other function's, if it can be anything else
    own = tuple(k for k in own if (k[:5] == "size:") == making) or own
    is_array = bool(own) and own[0][0] in "Wb"
    found = list[str]()
    for kind in own or (() if making else KINDS):
        if making and kind[:5] == "size:":
            found += [f"«size {s}»" for s in WIDER.get(kind[5:], (kind[5:],))]
        elif kind == "x":
            found += texts("xs" if through_time else "x") + texts("x" if through_time else "xs")
        elif kind not in ("cache", "params"):
            found += texts(kind)
        if kind[:2] == "W:":
            found += [t for k in ("W:x", "W:h", "W:y", "W:g", "W:e") for t in texts(k)]
    found += [text for words, text in NAMED if re.fullmatch(words, name.lower())]
    if "np.tanh" in found or (making and not own):  # what the file has of it
        has = {f"{n}()": n for n, c in code.classes.items() if not required(c)}
        has |= {n: n for n in code.functions}
        named = re.compile("(?!.*(?:d|grad).{0,6}$).*(?:tanh|sigm|relu)", re.IGNORECASE)
        found = [*(t for t, n in has.items() if named.match(n)), *found]
    if making or not own:
        found += UNKNOWN
    if not making and not through_time and name in ("t", "i", "step", "time", "time_step", "timestep"):
        found = ["0", *found]
    rest = [] if making or is_array else [t for kind in ("xs", "h", "target", "b") for t in texts(kind)]
    return found + [t for t in rest if t not in found]


def cotangent(text: str, value: Any) -> str:
    """Return the text of random numbers that are as a value is.

    Examples
    --------
    >>> cotangent("h", np.ones(2)), cotangent("loss", 1.5)
    ('np.random.randn(*h.shape)', '1.0')
    """
    if hasattr(value, "detach"):
        return f"torch.randn_like({text})"
    if isinstance(value, np.ndarray):
        axes = [k for k, n in enumerate(value.shape) if n > 1 and np.allclose(value.sum(axis=k), 1)]
        if axes and (value > 0).all():  # probabilities: less the labels
            return f"{text} - ({text} == {text}.max({axes[0]}, keepdims=True))"
        return f"np.random.randn(*{text}.shape)"
    if isinstance(value, dict):
        return f"{{k: np.random.randn(*v.shape) for k, v in {text}.items()}}"
    return f"[np.random.randn(*v.shape) for v in {text}]" if isinstance(value, (list, tuple)) else "1.0"


def nearness(parameter: str, text: str) -> float:
    """Return how likely a parameter is what a name says, or the gradient of it.

    Examples
    --------
    >>> nearness("dh", "h"), nearness("h", "self.h"), nearness("dh", "b")
    (3.5, 4, 0.0)
    """
    name, parameter = last_name(text).lower().rstrip("_"), parameter.lower()
    bare = without_d(parameter)
    pairs = ((parameter, name, 4), (bare, name, 3.5), (state_name(bare), state_name(name), 3),
             (_PLURAL.sub("", bare), _PLURAL.sub("", name), 3))  # fmt: skip
    same = 1.0 * bool(set(kinds(bare)[:1]) & set(kinds(name)[:1]))
    return max([same, *(score for a, b, score in pairs if a and a == b)])


def last_name(text: str) -> str:
    """Return the name of an attribute or of an entry: ``dW`` of ``net.grads['dW']``."""
    return re.split(r"[.\[]", text)[-1].strip("'\"]")
