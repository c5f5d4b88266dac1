"""Python's names as LaTeX."""

import unicodedata
from collections.abc import Container, Iterable
from itertools import chain, count

from sympy.core.alphabets import greeks

_CALLED = ("log", "exp", "tanh", "max", "min")
_ACCENTS = {"tilde": r"\tilde", "hat": r"\hat", "bar": r"\bar", "dot": r"\dot"}
_MARKS = {"\u0302": r"\hat", "\u0303": r"\tilde", "\u0304": r"\bar", "\u0307": r"\dot", "\u0308": r"\ddot"}


def unlike(name: str, taken: Container[str]) -> str:
    """Return a name that is not taken, and whose gradient's is not: with as many underscores as it needs."""
    while name in taken or f"d{name}" in taken:
        name += "_"
    return name


def latex_names(names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    r"""Return names with their time steps as LaTeX, each unlike all others.

    Of two that would look alike the second is written as it is in Python, in upright letters.

    Examples
    --------
    >>> print(*latex_names([("c1", "t"), ("c_1", "t"), ("sigma", ""), ("σ", "")]).values())
    c_{1,t} \mathrm{c\_1}_{t} \sigma \mathrm{U03C3}
    """
    found: dict[tuple[str, str], str] = {}
    for name, time in dict.fromkeys(names):
        plain = "".join(c if c.isascii() else f"U{ord(c):04X}" for c in name).replace("_", r"\_")
        index = f"_{{{time}}}" if time else ""
        upright = (rf"{{\mathrm{{{plain}}}" + "'" * k + f"}}{index}" for k in count(1))
        ways = chain([latex_name(name, time), rf"\mathrm{{{plain}}}{index}"], upright)
        taken = set(found.values())
        found[name, time] = next(w for w in ways if w not in taken)
    return found


def latex_name(name: str, time: str) -> str:
    r"""Return a Python name as LaTeX: letters, indices, accents, Greek; and a time step unless it is "".

    Examples
    --------
    >>> latex_name("a_i", "t"), latex_name("c", "t-1"), latex_name("c_tilde", "t"), latex_name("log_f", "t")
    ('a_{i,t}', 'c_{t-1}', '\\tilde{c}_{t}', '\\mathrm{log\\_f}_{t}')
    """
    head, *rest = [part for part in name.split("_") if part] or ["\\_"]
    if head in _CALLED and not (head != "log" and "".join(rest).isdigit()):
        # the whole is a name: log_f is not the log of f; tanh_1 is the first that has no name of its own
        head, rest = name.replace("_", r"\_"), []
    elif head[-1:].isdigit() and head[0].isalpha():
        digits = len(head) - len(head.rstrip("0123456789"))
        head, rest = head[:-digits], [head[-digits:], *rest]
    shown = _letters(head)
    while rest and rest[-1] in _ACCENTS:
        shown = f"{_ACCENTS[rest.pop()]}{{{shown}}}"
    primes = "'" * (len(name) - len(name.rstrip("_")) if name.strip("_") else 0)
    index = ",".join([*map(_letters, rest), *([time] if time else [])])
    shown = f"{{{shown}{primes}}}" if primes else shown
    return shown + (f"_{{{index}}}" if index else "")


def _letters(text: str) -> str:
    """Return a name's part: one letter, a Greek letter by its name, or upright letters."""
    if text.lower() in greeks:
        known = text.lower() not in ("omicron",) and (text.islower() or text in _CAPITALS)
        return rf"\{text}" if known else rf"\mathrm{{{text}}}"
    if len(text) == 1:
        return _letter(text)
    if text.isdigit():
        return text
    if text.isascii():
        return rf"\mathrm{{{text}}}"
    return "".join(map(_letter, text))


_CAPITALS = ["Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega"]


def _letter(c: str) -> str:
    if c.isascii():
        return c
    base, *marks = list(unicodedata.normalize("NFD", c))
    if marks and base.isascii() and all(m in _MARKS for m in marks):
        for m in marks:
            base = f"{_MARKS[m]}{{{base}}}"
        return base
    described = unicodedata.name(c, "").split()
    if described[:1] == ["GREEK"] and described[-1].lower().replace("lamda", "lambda") in greeks:
        word = described[-1].lower().replace("lamda", "lambda")
        return _letters(word if described[1] == "SMALL" else word.capitalize())
    return rf"\mathrm{{U{ord(c):04X}}}"
