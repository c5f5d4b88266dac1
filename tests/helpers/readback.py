"""Printed mathematics, read back: text and LaTeX as Python over plain numbers; MathML as LaTeX.

Everything is a number here, matrices too: a transpose and a sum over time are functions of numbers that are
unlike what they are taken of, so that one that is lost shows.
"""

import re
from collections.abc import Callable, Container, Mapping
from typing import Any
from xml.etree import ElementTree

import numpy as np

from bptt.derive.algebra import Expr
from bptt.derive.axes import PLACES
from bptt.derive.lines import FLOATS, value
from bptt.types import Array

FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **FLOATS,
    "transposed": lambda U: 0.7 * U + 0.3,
    "total": lambda a: 1.3 * a - 0.2,
    "above": lambda a, b: np.where(a > b, 1.0, 0.0),
    "not_above": lambda a, b: np.where(a > b, 0.0, 1.0),
    "chosen": lambda a, b, v, w: np.where(a > b, v, w),
    "affine": lambda x, W: x * W,
    "product": lambda da, U: da * (0.7 * U + 0.3),
    "outer": lambda x, da: (0.7 * x + 0.3) * da,
    **{f"{kind}_{axis}": lambda a: 1.3 * a - 0.2 for kind in ("sum", "cumsum", "backsum") for axis in PLACES},
    **{f"max_{axis}": lambda a: 1.7 * a + 0.1 for axis in PLACES},
}


def of_expression(e: Expr, names: Mapping[str, Array]) -> Array:
    """Return what a line's expression is, with matrices as numbers."""
    return np.asarray(value(e, names, FUNCTIONS))


_SUPERSCRIPTS = {c: str(k) for k, c in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}
_TEXT = re.compile(
    r"\s*(?P<raised>[⁰¹²³⁴⁵⁶⁷⁸⁹]+)|\s*(?P<number>\d+(?:\.\d*)?(?:e[+-]?\d+)?)|\s*(?P<name>(?!ᵀ)[^\W\d](?:(?![⁰¹²³⁴⁵⁶⁷⁸⁹ᵀ])\w)*)|\s*(?P<sign>.)"
)


class _Reader:
    """Reads by descent: a sum, of products, of powers; a product is written side by side."""

    def __init__(self, tokens: list[tuple[str, str]], names: Mapping[str, Array]) -> None:
        self.tokens, self.names, self.k = tokens, names, 0
        self.inside = False  # of |...|

    @property
    def next(self) -> str:
        return self.tokens[self.k][1] if self.k < len(self.tokens) else ""

    @property
    def kind(self) -> str:
        return self.tokens[self.k][0] if self.k < len(self.tokens) else ""

    def take(self, wanted: str = "") -> str:
        token = self.next
        assert not wanted or token == wanted, (wanted, self.tokens[self.k :])
        self.k += 1
        return token

    def sum(self) -> Any:
        total = -self.product() if self.next == "-" and self.take() else self.product()
        while self.next in ("+", "-"):
            total = total + self.product() if self.take() == "+" else total - self.product()
        return total

    def product(self) -> Any:
        total = self.power()
        while self.next not in ("", ")", "]", "}", "⌋", "+", "-", ",", ">", "≤", *("|" * self.inside)):
            sign = self.next in ("/", "·") and self.take()
            total = total / self.power() if sign == "/" else total * self.power()
        return total

    def power(self) -> Any:
        base = self.atom()
        while True:
            if self.kind == "raised":
                base = base ** int("".join(_SUPERSCRIPTS[c] for c in self.take()))
            elif self.next == "ᵀ":
                self.take()
                base = FUNCTIONS["transposed"](base)
            elif self.next == "^":
                self.take()
                base = base ** self.atom()
            else:
                return base

    def arguments(self) -> list[Any]:
        self.take("(")
        before, self.inside = self.inside, False  # within brackets a | begins
        found = [self.sum()]
        while self.next == ",":
            self.take()
            found.append(self.sum())
        self.inside = before
        self.take(")")
        return found

    def compared(self) -> tuple[str, Any, Any]:
        a = self.sum()
        sign = self.take()
        return {">": "above", "≤": "not_above"}[sign], a, self.sum()

    def atom(self) -> Any:
        kind, token = self.kind, self.take()
        if kind == "number":
            return float(token)
        if token == "(":
            self.k -= 1
            return self.arguments()[0]
        if token == "[":
            name, a, b = self.compared()
            self.take("]")
            return FUNCTIONS[name](a, b)
        if token == "|":
            before, self.inside = self.inside, True
            inside = self.sum()
            self.inside = before
            self.take("|")
            return FUNCTIONS["abs"](inside)
        if token == "Σ":
            return FUNCTIONS["total"](self.product())
        if token == "where" and self.next == "(":
            self.take("(")
            _, a, b = self.compared()
            self.take(",")
            v = self.sum()
            self.take(",")
            w = self.sum()
            self.take(")")
            return FUNCTIONS["chosen"](a, b, v, w)
        if token == "⌊":
            inside = self.sum()
            self.take("⌋")
            return FUNCTIONS["floor"](inside)
        called = {"σ": "sigmoid", "√": "sqrt", "Φ": "Phi"}.get(token, token)
        if called in FUNCTIONS and token not in self.names:
            raised = 1
            if self.kind == "raised":  # tanh²(x); a root sign has no power of its own
                assert called != "sqrt", self.tokens[self.k :]
                raised = int("".join(_SUPERSCRIPTS[c] for c in self.take()))
            return FUNCTIONS[called](*self.arguments()) ** raised
        return self.names[token]

    def all(self) -> Array:
        found = self.sum()
        assert not self.next, self.tokens[self.k :]
        return np.asarray(found)


def of_text(text: str, names: Mapping[str, Array]) -> Array:
    """Return what a right-hand side is, as it is printed for a terminal."""
    text = re.sub(r"Σ_(?:\{[^}]*\}|\w)", "Σ", re.sub(r"\bmax ?_\(?\w\)? *\(", "max_unit(", text))
    tokens = [(m.lastgroup or "", m[m.lastgroup or 0]) for m in _TEXT.finditer(text) if m[0].strip()]
    return _Reader(tokens, names).all()


def unindexed(text: str) -> str:
    """Return a line without the indices of its values, in text, LaTeX and MathML's text."""
    text = re.sub(r"(?<=[\w)])\[[a-z](?:,[a-z])*\]", "", text)
    return re.sub(r" *,? *\\, *[a-z](?: ?[a-z])*\}", "}", text).replace("_{}", "")


def of_latex(tex: str, names: Mapping[str, Array]) -> Array:
    """Return what LaTeX is; `names` has the LaTeX of each name."""
    tex = re.sub(r"\\operatorname\{(\w+)\}", r"\1", tex)
    places = sorted(names, key=len, reverse=True)
    values = {f"n{k}": names[n] for k, n in enumerate(places)}
    for k, n in enumerate(places):
        tex = re.sub(
            rf"(?<![A-Za-z\\\\«]){re.escape(n)}" + r"(?![_A-Za-z])" * n[-1].isalpha(), f" «n{k}» ", tex
        )
    for old, new in (
        (r"\left", ""), (r"\right", ""), (r"\,", " "), (r"\cdot", "·"), (r"\leq", "≤"),
        (r"^{\top}", "ᵀ"), ("^{⊤}", "ᵀ"), ("−", "-"), ("⋅", "·"),
        (r"\sigma", "σ"), (r"\Phi", "Φ"), (r"\lfloor", "⌊"), (r"\rfloor", "⌋"),
        (r"\quad", ""), (r"\begin{cases}", "cases {"),
        (r"\end{cases}", "}"), (r"\text{if }", ";"), (r"\\", ";"), (r"\text{otherwise}", ""), ("&", ""),
    ):  # fmt: skip
        tex = tex.replace(old, new)
    tex = re.sub(r"(?:\\sum|∑)_(?:\{[^{}]*(?:\{[^{}]*\})?[^{}]*\})", "Σ", tex)
    tex = tex.replace("\\", " ").replace("«", "").replace("»", "")
    tex = _braced(tex, "cases", lambda s: "where({1}, {0}, {2})".format(*s.split(";")))
    tex = _braced(tex, "frac", lambda s: f"(({s}) /", lambda s: f"({s}))")
    tex = _braced(tex, "sqrt", lambda s: f"√({s})")
    # f^{2}(x) is the square of f(x); |x|^{2}, a^{2} and (x)^{-1/2} are powers
    raised = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
    tex = re.sub(r"\^\{(\d+)\}", lambda m: m[1].translate(raised), tex)
    tex = re.sub(r"\^(\d)", lambda m: m[1].translate(raised), tex)
    tex = tex.replace("^{", "^(").replace("{", "(").replace("}", ")")
    return of_text(tex, values)


def _braced(tex: str, word: str, *shown: Callable[[str], str]) -> str:
    """Return LaTeX with a command's arguments in braces written otherwise, the inmost first."""
    while (at := tex.rfind(f"{word} {{" if f"{word} {{" in tex else f"{word}{{")) >= 0:
        start, end, made = at, tex.index("{", at), ""
        for show in shown:
            depth, k = 0, tex.index("{", end)
            first = k
            while True:
                depth += (tex[k] == "{") - (tex[k] == "}")
                k += 1
                if not depth:
                    break
            made += show(tex[first + 1 : k - 1])
            end = k
        tex = f"{tex[:start]} {made} {tex[end:]}"
    return tex


class _Indexed(_Reader):
    """Reads a line in which a value is an array, and has one number for each of its indices.

    `at` has what each index stands at, `ends` where the range of each ends. What is of a head may be without
    its index: it is then the first.
    """

    def __init__(self, tokens: list[tuple[str, str]], names: Mapping[str, Array], at: dict[str, int]) -> None:
        super().__init__(tokens, names)
        self.at = at
        self.ends: Mapping[str, int] = {}
        self.headed: Container[str] = ()

    def atom(self) -> Any:
        sign, _, letter = self.next.partition("_")
        if (
            self.next not in self.names
            and sign in ("Σ", "max")
            and (letter or self.tokens[self.k + 1][1] == "{")
        ):
            return self.over(sign, letter)
        name, got = self.next, super().atom()
        if not isinstance(got, np.ndarray) or got.ndim == 0:
            return got
        place = []
        if self.next == "[" and self.tokens[self.k + 2][1] in (",", "]"):
            while self.take() in ("[", ","):
                place.append(self.at[self.take()])
        if name in self.headed and len(place) < got.ndim:
            place.insert(0, 0)
        assert len(place) == got.ndim, (self.tokens[self.k - 6 : self.k], got.shape)
        return got[tuple(place)]

    def over(self, sign: str, letter: str) -> Any:
        self.take()
        upto = range(self.ends[letter]) if letter else range(0)
        if not letter:  # {l ≤ j}
            self.take("{")
            letter, kind, other = self.take(), self.take(), self.take()
            self.take("}")
            last = self.at[other]
            upto = range(last + 1) if kind == "≤" else range(last, self.ends[letter])
        start, found, before = self.k, [], dict(self.at)
        for k in upto:
            self.k, self.at = start, before | {letter: k}
            found.append(self.arguments()[0] if sign == "max" else self.product())
        self.at = before
        return max(found) if sign == "max" else sum(found)


def of_indexed(
    text: str,
    names: Mapping[str, Array],
    at: Mapping[str, int],
    ends: Mapping[str, int],
    headed: Container[str] = (),
) -> float:
    """Return what a right-hand side in text is where its free indices stand at these places."""
    tokens = [(m.lastgroup or "", m[m.lastgroup or 0]) for m in _TEXT.finditer(text) if m[0].strip()]
    reader = _Indexed(tokens, names, dict(at))
    reader.ends, reader.headed = ends, headed
    return float(reader.all())


def of_mathml(element: ElementTree.Element) -> str:
    """Return MathML as the text of LaTeX without commands: what stands over what, and what is raised."""
    inside = [of_mathml(e) for e in element]
    tag = element.tag.rpartition("}")[2]
    if tag in ("mi", "mn", "mo", "mtext"):
        return (element.text or "").strip().replace("{", "")  # the brace before cases
    if tag == "mtable":  # v if a > b, w otherwise
        (v, condition), (w, _) = ([of_mathml(e) for e in row] for row in element)
        return rf"\begin{{cases}}{v};{condition.removeprefix('if')};{w}\end{{cases}}"
    if tag == "mspace":
        return r"\,"
    if tag == "mfrac":
        return r"\frac{{{}}}{{{}}}".format(*inside)
    if tag == "msqrt":
        return rf"\sqrt{{{' '.join(inside)}}}"
    if tag in ("msub", "msup", "msubsup"):
        marks = {"msub": "_", "msup": "^", "msubsup": "_^"}[tag]
        return inside[0] + "".join(f"{m}{{{x}}}" for m, x in zip(marks, inside[1:], strict=True))
    return " ".join(inside)
