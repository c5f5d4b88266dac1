"""How an expression is written: as text in Unicode, and as LaTeX with its time steps.

Text leaves the time step out, as a step's code does: ``c_prev``, ``dc_next``. LaTeX has it: c_{t-1}.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sympy import Integer, Mul, Pow, Symbol
from sympy.printing.latex import LatexPrinter
from sympy.printing.printer import Printer
from sympy.printing.str import StrPrinter

from bptt.derive.algebra import Expr, divides, product_of, sides
from bptt.derive.axes import ONES, OVER
from bptt.derive.functions import FUNCTIONS
from bptt.derive.names import latex_name, latex_names

if TYPE_CHECKING:
    from bptt.derive.whole import Whole

SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Index(Symbol):  # type: ignore[misc]
    """Something that has no time step: an index, a size, a condition on t."""


class _Terms(Printer):  # type: ignore[misc]
    """How sums, products and powers are written, whatever their signs are made of.

    A printer says how it writes brackets, factors side by side, a fraction, and what is raised.
    """

    _minus = "-"
    _letters: Mapping[str, str] = {"unit": "j", "units": "i", "key": "k", "keys": "l", "head": "m"}
    _sizes: Mapping[str, str] = {"size_unit": "H", "size_key": "K"}
    """Indices of units, keys and heads, and how many there are: see :class:`~bptt.derive.whole.Whole`."""
    _depth = 0  # in how many sums over an axis

    def _print_Add(self, e: Expr) -> str:  # noqa: N802  the library's names, here and below
        text = ""
        for term in e.args:
            minus, body = _signed(term)
            shown = self._brackets(self._print(body)) if body.is_Add else self._print(body)
            sign = (self._minus if minus else "") if not text else (" - " if minus else " + ")
            text += sign + shown
        return text

    def _print_Mul(self, e: Expr) -> str:  # noqa: N802
        minus, body = _signed(e)
        over, under = _fraction(body)
        shown = str(self._over(over, under)) if under else self._factors(over)
        return self._minus + shown if minus else shown

    def _print_Pow(self, e: Expr) -> str:  # noqa: N802
        base, exp = e.args
        if divides(e):
            return self._print_Mul(e)
        name = _name(base)
        if exp.is_Integer and name in _PLAIN and name != "sqrt" and len(base.args) == 1:
            return str(self._called(base, self._raised(exp)))  # tanh²(c); but of a root it is no power
        shown = str(self._print(base))
        number = base.is_Number and re.fullmatch(r"[\d.]+", shown)  # without a sign or a power of ten
        closed = base.is_Symbol or number or _is_closed(base) or (exp.is_Integer and name in ("max", "min"))
        return (shown if closed else str(self._brackets(shown))) + str(self._raised(exp))

    def _print_Function(self, e: Expr) -> str:  # noqa: N802
        name = _name(e)
        if name in _PLAIN:
            return str(self._called(e))
        if name == "where":
            return self._where(e)
        # each argument is printed once: twice in each of a function in a function would be for ever
        self._depth += name in OVER
        arguments = [self._print(a) for a in e.args]
        self._depth -= name in OVER
        if name in OVER:
            return self._over_axis(e, arguments[0])
        if name in self._products:
            return str(self._products[name].format(*arguments))
        if name == "abs":
            return str(self._absolute(*arguments))
        if name == "floor":
            return str(self._floor.format(*arguments))
        loose = e.args[0].is_Add or _signed(e.args[0])[0]
        return f"{self._total} {self._brackets(arguments[0]) if loose else arguments[0]}"

    def _over_axis(self, e: Expr, inside: str) -> str:
        """Return a sum over an axis, one so far, or the largest."""
        kind, _, axis = _name(e).partition("_")
        at, other = self._letters[axis], self._letters.get(f"{axis}s", "")
        if kind == "max":
            return f"{self._index('max', at)}{self._brackets(inside)}"
        sign = {"cumsum": self._at_most, "backsum": self._at_least}.get(kind)
        index = f"{other} {sign} {at}" if sign else at
        loose = e.args[0].is_Add or _signed(e.args[0])[0]
        return f"{self._index('sum', index)} {self._brackets(inside) if loose else inside}"

    _print_log = _print_exp = _print_floor = _print_Function

    def _where(self, e: Expr) -> str:
        """Return v where u > 0, else w; of 1 and 0 Iverson's brackets: [a > b] is 1 where that holds."""
        u, v, w = e.args
        a, b = map(self._print, sides(u))
        if (v, w) in ((1, 0), (0, 1)):
            return f"[{a} {'>' if v == 1 else self._at_most} {b}]"
        return str(self._cases.format(a=a, b=b, v=self._print(v), w=self._print(w)))

    def _is_loose(self, factor: Expr, first: bool, alone: bool) -> bool:
        """Return whether a factor needs brackets."""
        if factor.is_Add or _name(factor) == "total" or _is_sum(factor):
            return True
        return bool((factor.is_Mul and not alone) or (not first and factor.is_Number and factor < 0))

    def _factors(self, factors: list[Expr], ends: bool = True) -> str:
        """Return a product; where it ends there the last of its factors may be a sum without brackets."""
        text, factors = "", [f for f in factors if str(f) not in ONES] or [Integer(1)]
        for f in factors:
            is_last = f is factors[-1] and ends and not (self._depth and len(factors) > 1)
            loose = not (is_last and _is_sum(f)) and self._is_loose(f, not text, len(factors) == 1)
            shown = self._brackets(self._print(f)) if loose else self._print(f)
            text += shown if not text else (self._times if f.is_Number else self._beside) + shown
        return text


class TextPrinter(_Terms, StrPrinter):  # type: ignore[misc]
    """Products by juxtaposition, powers raised, σ for the sigmoid."""

    _times, _beside, _total = " · ", " ", "Σ"
    _at_most, _at_least, _floor, _cases = "≤", "≥", "⌊{}⌋", "where({a} > {b}, {v}, {w})"
    _products = {"affine": "{} {}", "product": "{} {}ᵀ", "outer": "{}ᵀ {}"}  # noqa: RUF012

    def __init__(self, whole: "Whole | None" = None) -> None:
        super().__init__()
        if whole is not None:
            self._letters, self._sizes = whole.letters, whole.sizes

    def _print_Symbol(self, e: Expr) -> str:  # noqa: N802
        return self._sizes.get(e.name, str(e.name))  # Python's names: no two are alike

    def _index(self, sign: str, index: str) -> str:
        index = index if len(index) == 1 else f"{{{index.replace(' ', '')}}}"
        return f"{'Σ' if sign == 'sum' else sign}_{index}"

    def _print_Float(self, e: Expr) -> str:  # noqa: N802
        return repr(float(e)).removesuffix(".0")  # the shortest that is this number

    def _brackets(self, inside: str) -> str:
        return f"({inside})"

    def _over(self, over: list[Expr], under: list[Expr]) -> str:
        below = self._factors(under)
        closed = (
            len(under) == 1 and not under[0].is_Mul and not _is_sum(under[0]) and not _signed(under[0])[0]
        )
        return f"{self._factors(over, False)} / {below if closed else f'({below})'}"

    def _raised(self, exp: Expr) -> str:
        if exp.is_Integer:
            return str(exp).translate(SUPERSCRIPTS)
        return f"^{self._print(exp) if exp.is_Symbol else f'({self._print(exp)})'}"

    def _called(self, e: Expr, raised: str = "") -> str:
        return f"{_PLAIN[_name(e)]}{raised}({', '.join(map(self._print, e.args))})"

    def _absolute(self, inside: str) -> str:
        return f"|({inside})|" if "|" in (inside[0], inside[-1]) else f"|{inside}|"  # ||m|| would be a norm


def _is_sum(e: Expr) -> bool:
    return _name(e) in OVER and not _name(e).startswith("max")


_PLAIN = {n: n for n in FUNCTIONS if n not in ("abs", "floor", "where")} | {
    "sigmoid": "σ",
    "sqrt": "√",
    "Phi": "Φ",
}


class TeXPrinter(_Terms, LatexPrinter):  # type: ignore[misc]
    """SymPy's LaTeX in the order that the expression has; names get their time steps.

    Parameters
    ----------
    whole : Whole
        Which names there are, and which of them have no time step.
    """

    _minus, _times, _beside = "- ", r" \cdot ", r" \, "
    _at_most, _at_least, _floor = r"\leq", r"\geq", r"\lfloor {} \rfloor"
    _cases = r"\begin{{cases}} {v} & \text{{if }} {a} > {b} \\ {w} & \text{{otherwise}} \end{{cases}}"
    _products = {  # noqa: RUF012
        "affine": r"{} \, {}",
        "product": r"{} \, {}^{{\top}}",
        "outer": r"{}^{{\top}} \, {}",
    }

    def __init__(self, whole: "Whole") -> None:
        super().__init__({"order": "none"})
        eq = whole.equations
        self._timeless = {*eq.params, *eq.constants, *whole.shapes}
        self._states = set(eq.states)
        values = (*(s.name for s in eq.statements), *eq.arguments)  # of two alike these have the plain name
        others = [*whole.names.values(), *(line.name for line in whole.backward if line.name[0] != "d")]
        self._letters, self._sizes = whole.letters, whole.sizes
        more = () if eq.is_elementwise else (*"JK", *dict.fromkeys(whole.letters.values()))
        symbols = [whole.symbols(c) for c in (*"tTNDH", *more)]
        self._t = latex_name(symbols[0], "")
        self._total = rf"\sum_{{{self._t}}}"
        timed = map(self._timed, (*values, *others))
        self._known = latex_names([*((c, "") for c in symbols), *timed])
        self._named = {*values, *others}
        greek = {"sigmoid": r"\sigma", "Phi": r"\Phi"}
        written = {*eq.arguments, *(s.name for s in eq.statements if s.written), *others}
        shown = [self._known[self._timed(name)] for name in written]
        taken = {n for n, c in greek.items() if any(name.startswith(c) for name in shown)}
        self._greek = {n: rf"\operatorname{{{n}}}" if n in taken else c for n, c in greek.items()}

    def _print_Symbol(self, e: Expr, style: str = "plain") -> str:  # noqa: N802
        name = str(e.name)
        if name in self._sizes:
            return latex_name(self._sizes[name], "")
        if name in self._named or name[:1] != "d":
            return self._value(name)
        value = name[1:]
        if value.endswith("_next") and value[:-5] in self._states and value not in self._named:
            return rf"\mathrm{{d}}{self._value(value[:-5])}^{{\mathrm{{next}}}}"
        if value.endswith("_prev") and value[:-5] in self._states:
            return rf"\mathrm{{d}}{self._value(value)}^{{\mathrm{{next}}}}"
        return rf"\mathrm{{d}}{self._value(value)}"

    def _print_Index(self, e: Expr) -> str:  # noqa: N802
        text = str(e.name)
        return re.sub(r"[^\W\d]\w*", lambda m: latex_name(m[0], ""), text).replace("..", r"\ldots")

    def _timed(self, name: str) -> tuple[str, str]:
        """Return a name and its time step: c_prev is c at t-1."""
        state = name.removesuffix("_prev")
        if state in self._states and state != name:
            return state, f"{self._t}-1"
        return name, "" if name in self._timeless else self._t

    def _value(self, name: str) -> str:
        key = self._timed(name)
        if key in self._known:
            return self._known[key]
        matrix = name[:2] in ("W_", "U_", "b_")  # with a letter in a gate's place
        return latex_name(name, "" if matrix else self._t)

    def _print_Float(self, e: Expr) -> str:  # noqa: N802
        mantissa, _, power = repr(float(e)).removesuffix(".0").partition("e")
        return rf"{mantissa} \cdot 10^{{{int(power)}}}" if power else mantissa

    def _brackets(self, inside: str) -> str:
        large = any(sign in inside for sign in (r"\frac", r"\begin", r"\sum"))
        return rf"\left({inside}\right)" if large else f"({inside})"

    def _over(self, over: list[Expr], under: list[Expr]) -> str:
        above, below = (self._print(f[0]) if len(f) == 1 else self._factors(f) for f in (over, under))
        return rf"\frac{{{above}}}{{{below}}}"

    def _raised(self, exp: Expr) -> str:
        return f"^{{{self._print(exp)}}}"

    def _is_loose(self, factor: Expr, first: bool, alone: bool) -> bool:
        cases = _name(factor) == "where" and not _is_closed(factor) and not alone
        return cases or super()._is_loose(factor, first, alone)

    def _index(self, sign: str, index: str) -> str:
        return rf"\{sign}_{{{index}}}"

    def _absolute(self, inside: str) -> str:
        if inside.startswith(r"\left|") or inside.endswith(r"\right|"):
            inside = rf"\left({inside}\right)"
        return rf"\left|{inside}\right|"

    def _called(self, e: Expr, raised: str = "") -> str:
        name = _name(e)
        if name == "sqrt":
            return rf"\sqrt{{{self._print(e.args[0])}}}"
        if name in ("tanh", "exp", "log", "max", "min", "sin", "cos"):
            called = rf"\{name}"
        else:
            called = self._greek.get(name, rf"\operatorname{{{name}}}")
        arguments = [f"{{{a}}}" if a.startswith("-") else a for a in map(self._print, e.args)]
        return called + raised + self._brackets(", ".join(arguments))


def _name(e: Expr) -> str:
    return type(e).__name__


def _signed(e: Expr) -> tuple[bool, Expr]:
    """Return whether a term has a minus sign, and the term without it; no 1 is a factor."""
    minus, factors = False, list[Expr]()
    for f in Mul.make_args(e):
        if f.is_Number and (f == -1 or (f < 0 and not factors)):
            minus, f = not minus, -f
        if f != 1:
            factors.append(f)
    if len(factors) == 1 and factors[0].is_Mul:
        inside, body = _signed(factors[0])
        return minus != inside, body
    return minus, product_of(factors)


def _fraction(e: Expr) -> tuple[list[Expr], list[Expr]]:
    """Return the factors over and under the line: 1/2 a b^(-2) is a over 2 b^2."""
    over: list[Expr] = []
    under: list[Expr] = []
    for f in Mul.make_args(e):
        if f.is_Rational and not f.is_Integer:
            over += [Integer(f.p)] * (f.p != 1)
            under.append(Integer(f.q))
        elif divides(f):
            under.append(f.base if f.exp == -1 else Pow(f.base, -f.exp, evaluate=False))
        else:
            over.append(f)
    return over or [Integer(1)], under


def _is_closed(e: Expr) -> bool:
    """Return whether a function has signs of its own around it: |a|, [a > b]."""
    return _name(e) in ("abs", "floor") or (_name(e) == "where" and set(e.args[1:]) == {0, 1})
