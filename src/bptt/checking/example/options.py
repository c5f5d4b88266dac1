"""What to try for a parameter: by its name, by what is done with it, and by what there is to hand on."""

import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.checking.example.pieces import Code, parameters
from bptt.checking.example.roles import (
    LAYOUTS,
    TEXTS,
    Sizes,
    is_cotangent,
    kinds,
    size_of,
    state_name,
    without_d,
)
from bptt.checking.example.search import LEFT_OUT, Found
from bptt.checking.example.trial import arrays

_BEFORE = re.compile(r"prev|before|old|last|tm1|init|[^\d]0$|pre", re.IGNORECASE)
_ALIGNED = {
    t[: len(LAYOUTS)] for texts in TEXTS.values() for t in (texts, tuple(x.replace("D", "V") for x in texts))
}
_UNKNOWN = ("{H}", "{D}", "{V}", "{T}", "0.1", "'tanh'", "=np.tanh", "None", "True", "0")
_MATRICES = ("W:x", "W:h", "W:y", "W:g", "W:e")
_MANY_KINDS = ("x", "h", "W:x", "W:y", "b", "b:y", "target")
_STAND_INS = (
    (r"\w*(?:to|2)_?(?:ix|idx|ind\w*|id|int)s?|vocab\w*|\w*_?dict|word_?index",
     "={c: k for k, c in enumerate('abcdefg')}"),
    (r"(?:ix|idx|ind\w*|id|int)s?_?(?:to|2)\w*", "=dict(enumerate('abcdefg'))"),
    (r".*(?:act|func|nonlin|phi).*", "'tanh'"),
    (r".*(?:act|func|nonlin|phi).*", "=np.tanh"),
    (r".*(?:name|type|init).*", "'net'"),
    (r".*(?:name|type|init).*", "'xavier'"),
    (r".*seed.*", "0"),
)  # fmt: skip
_ANNOTATED = {
    "int": ["{H}", "{D}", "{V}", "{T}"],
    "float": ["0.1"],
    "bool": ["True"],
    "str": ["'tanh'", "'sgd'"],
}


@dataclass
class Options:
    """What to try in the calls of one file.

    Attributes
    ----------
    code : Code
    sizes : mapping
        Of the symbols, numbers or the file's own names for them.
    wide : str
        Which sizes an input may have, the likelier first: that of features, or that of words.
    """

    code: Code
    sizes: Sizes
    wide: str = "D V"

    def texts(self, p: inspect.Parameter, through_time: bool, making: bool = False) -> list[str]:
        """Return what to try for a parameter; `making` in a constructor, whose numbers are sizes."""
        size = size_of(p.name) if type(p.default) is int else ""
        if size and size not in "TN":
            return [f"{{{size}}}"]
        if making and type(p.default) is int and p.default > 12:  # that many of what has an unknown name
            return ["{H}", LEFT_OUT]
        texts = self.named(p.name, through_time, making)
        if not kinds(p.name):
            texts = _ANNOTATED.get(_said(p), texts)
        return texts if p.default is p.empty else [LEFT_OUT, *dict.fromkeys(texts[:4])]

    def named(self, name: str, through_time: bool, making: bool = False) -> list[str]:
        """Return what to try for a name."""
        own = kinds(name)
        if not making:  # an n, a d or an h is no size here, if it can be anything else
            own = tuple(k for k in own if k[:5] != "size:") or own
        matrix = bool(own) and own[0][0] in "Wb"
        texts: list[str] = []
        for kind in own or (() if making else _MANY_KINDS):
            if kind == "x":
                several, one = self._wide(TEXTS["xs"]), self._wide(TEXTS["x"])
                texts += [*several, *(t for t in one if "{" not in t)] if through_time else [*one, *several]
            elif kind.startswith("size:"):
                texts.append(f"{{{kind[5:]}}}")
            elif kind[:2] == "W:":
                texts += self._wide([*TEXTS[kind], *(t for k in _MATRICES for t in TEXTS[k])])
            elif kind != "params" or making:
                texts += self._wide(TEXTS.get(kind, ()))
        texts += self._stand_ins(name)
        if making:
            return texts if matrix else [*texts, *_UNKNOWN]
        if not own:
            texts += _UNKNOWN
        if not through_time and name in ("t", "i", "step", "time", "time_step", "timestep"):
            texts = ["0"] * len(LAYOUTS) + texts
        rest = [t for kind in ("xs", "h", "target", "b") for t in TEXTS[kind] if t not in texts]
        return texts if matrix else texts + rest

    def _wide(self, texts: Iterable[str]) -> list[str]:
        first, second = self.wide.split()
        texts = [t if t[0] == "=" else t.replace("D", first) for t in texts]
        return [*texts, *(t.replace(first, second) for t in texts if first in t and t[0] != "=")]

    def _stand_ins(self, name: str) -> list[str]:
        found = [text for words, text in _STAND_INS if re.fullmatch(words, name.lower())]
        if "=np.tanh" in found:
            every = {n: f"={n}()" for n in self.code.classes} | {n: f"={n}" for n in self.code.functions}
            named = [
                n for n in every if re.search("tanh|sigm|relu", n, re.I) and not re.search("d|grad", n[-7:])
            ]
            found = [*(every[n] for n in named), *found]
        return found

    def makers(self, name: str) -> list[str]:
        """Return calls of the file's own functions that make such parameters, as ``init_params(3, 5)``."""
        found: list[str] = []
        for maker, function in self.code.functions.items():
            symbols = [size_of(p.name) for p in parameters(function) if p.default is p.empty]
            if re.match(r"_*(init|create|make|build|random)", maker) and symbols and all(symbols):
                found.append(f"{maker}({', '.join(f'{{{s}}}' for s in symbols)})")
        return sorted(found, key=lambda t: name[:4] not in t)

    def handed(
        self, p: inspect.Parameter, way: Found, file: dict[str, Any], instance: str, start: dict[str, Any]
    ) -> list[str]:
        """Return what to try for a backward's parameter: what the forward took or returned, or a gradient.

        Parameters
        ----------
        p : inspect.Parameter
        way : Found
            The call of the forward.
        file : dict
            What the file defines.
        instance : str
            The name of the object, if there is one.
        start : dict
            The arrays of the object before the forward.
        """
        outputs = way.outputs
        given = {
            n: v for n, v in way.trial.names.items() if n not in file and n != instance and n not in outputs
        }
        inline = {f: t for f, t in way.chosen.items() if f not in given and t and f.isidentifier()}
        pool = {**outputs, **given}
        if p.name in pool or p.name in inline:
            return [f"={p.name}" if p.name in pool else inline[p.name]]
        if p.default is not p.empty:
            return [LEFT_OUT]
        held = dict(arrays(way.trial.names.get(instance), instance)) if instance else {}
        held = {path: a for path, a in held.items() if not np.array_equal(a, start.get(path, np.nan))}
        floats = {n: v for n, v in pool.items() if isinstance(v, float) or next(arrays(v), None)}
        states = [
            n
            for n in floats
            if n in outputs or (kinds(n)[:1] in (("h",), ("c",)) and nearness(p.name, n) >= 3)
        ]
        states.sort(key=lambda n: -nearness(p.name, n) - (3.2 if re.fullmatch("out_*", n) else n in outputs))
        changed = sorted(held, key=lambda path: -nearness(p.name, path))[:6]
        gradients = [cotangent(n, floats[n]) for n in states] + [cotangent(n, held[n]) for n in changed]
        before = bool(_BEFORE.search(p.name))

        def likeness(n: str) -> float:
            when = (n not in outputs and bool(_BEFORE.search(n))) == before
            unnamed = 2.5 * (n in outputs and n.startswith("out") and not before)
            return max(unnamed, nearness(p.name, n)) + 0.9 * when

        passed = [f"={n}" for n in sorted(pool, key=lambda n: -likeness(n))]
        kind = (kinds(p.name) or ("",))[0]
        if "target" in kinds(p.name):
            return [*self._targets(floats, outputs), *self._wide(TEXTS["target"]), *gradients]
        if is_cotangent(p.name):
            return [*gradients, "1.0"] if gradients else passed
        if kind == "cache":
            made = [f"={n}" for n, v in outputs.items() if not isinstance(v, np.ndarray)]
            return [*made[::-1], *passed, *gradients]
        if kind in ("rate", "layers") or size_of(p.name):
            return [*self.named(p.name, True)[:3], *passed]
        return [*passed, *gradients, *self.named(p.name, True)]

    def _targets(self, floats: dict[str, Any], outputs: dict[str, Any]) -> list[str]:
        """Return targets of an output's shape, where the classes are no axis of it."""
        classes = int(self.sizes["V"]) if str(self.sizes["V"]).isdigit() else 7
        return [
            f"=np.random.rand(*{name}.shape)"
            for name in outputs
            if isinstance(a := floats.get(name), np.ndarray) and (classes == 1 or classes not in a.shape)
        ]


def _said(p: inspect.Parameter) -> str:
    """Return the name of what a parameter is annotated with."""
    return str(getattr(p.annotation, "__name__", p.annotation)).strip("'\"")


def class_of(p: inspect.Parameter, classes: Iterable[str]) -> str:
    """Return the class that a parameter is said to be of, or is named after: ``lstm_param``."""
    said, bare = _said(p), p.name.replace("_", "").lower()
    like = {c: c.replace("_", "").lower() for c in classes}
    exact = [c for c in like if c == said or like[c] == bare]
    return next(iter([*exact, *(c for c in like if len(bare) > 3 and bare in like[c])]), "")


def aligned(texts: list[str]) -> list[str]:
    """Return texts with an entry for each layout in front."""
    count, texts = len(LAYOUTS), texts or ["None"]
    by_layout = len(texts) > count and any(tuple(texts[:count]) == each for each in _ALIGNED)
    if not by_layout and texts[:1] * count != texts[:count]:
        texts = [*texts[:1] * count, *texts]
    return [*texts[:count], *dict.fromkeys(texts[count:])]


def takes_arrays(given: list[inspect.Parameter]) -> bool:
    """Return whether a constructor is given its weights."""
    return any(p.default is p.empty and kinds(p.name)[:1] and kinds(p.name)[0][0] in "Wb" for p in given)


def cotangent(text: str, value: Any) -> str:
    """Return the text of random numbers that are as a value is.

    Examples
    --------
    >>> cotangent("h", np.ones(2)), cotangent("loss", 1.5)
    ('=np.random.randn(*h.shape)', '1.0')
    """
    if hasattr(value, "detach"):
        return f"=torch.randn_like({text})"
    if isinstance(value, np.ndarray):
        return f"=np.random.randn(*{text}.shape)"
    if isinstance(value, dict):
        return f"={{k: np.random.randn(*v.shape) for k, v in {text}.items()}}"
    return f"=[np.random.randn(*v.shape) for v in {text}]" if isinstance(value, (list, tuple)) else "1.0"


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
             (bare.rstrip("s"), name.rstrip("s"), 3))  # fmt: skip
    same = 1.0 * bool(set(kinds(bare)[:1]) & set(kinds(name)[:1]))
    return max([same, *(score for a, b, score in pairs if a and a == b)])


def last_name(text: str) -> str:
    """Return the name of an attribute or of an entry: ``dW`` of ``net.grads['dW']``."""
    return re.split(r"[.\[]", text)[-1].strip("'\"]")
