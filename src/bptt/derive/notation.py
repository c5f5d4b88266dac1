"""How an expression is written: as text in Unicode, and as LaTeX with its time steps.

Text leaves the time step out, as a step's code does: ``c_prev``, ``dc_next``. LaTeX has it: c_{t-1}.
"""

from typing import TYPE_CHECKING, Any

from sympy import Integer, Mul, Symbol
from sympy.printing.latex import LatexPrinter
from sympy.printing.str import StrPrinter

from bptt.derive.algebra import PRODUCTS, Expr, sides, without_sign
from bptt.derive.names import latex_name, latex_names

if TYPE_CHECKING:
    from bptt.derive.whole import Whole

SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Index(Symbol):  # type: ignore[misc]
    """Something that has no time step: an index, a size, a condition on t."""


class TextPrinter(StrPrinter):  # type: ignore[misc]
    """Products by juxtaposition, powers raised, σ for the sigmoid."""

    def _print_Symbol(self, e: Expr) -> str:  # noqa: N802  the library's names, here and below
        return str(e.name)  # Python's names: no two are alike

    def _print_Float(self, e: Expr) -> str:  # noqa: N802
        return repr(float(e)).removesuffix(".0")  # the shortest that is this number

    def _print_Add(self, e: Expr) -> str:  # noqa: N802
        text = ""
        for term in e.args:
            minus = _is_negative(term)
            body = without_sign(term) if minus else term
            shown = f"({self._print(body)})" if body.is_Add else self._print(body)
            sign = ("-" if minus else "") if not text else (" - " if minus else " + ")
            text += sign + shown
        return text

    def _print_Mul(self, e: Expr) -> str:  # noqa: N802
        if _is_negative(e):
            body = without_sign(e)
            return f"-({self._print(body)})" if body.is_Add else f"-{self._print(body)}"
        first = e.args[0]
        split = first.is_Rational and not first.is_Integer  # 1/2 a / b is a / (2 b)
        over = [f for f in e.args[split:] if not _is_inverse(f)] or [Integer(1)]
        under = [f.base if f.exp == -1 else f.base**-f.exp for f in e.args[split:] if _is_inverse(f)]
        if split:
            over, under = [Integer(first.p), *over], [Integer(first.q), *under]
        if len(over) > 1 and over[0] == 1:
            over = over[1:]
        text = self._factors(over)
        if not under:
            return text
        below = self._factors(under)
        closed = len(under) == 1 and not under[0].is_Mul and not _is_negative(under[0])
        return f"{text} / {below}" if closed else f"{text} / ({below})"

    def _factors(self, factors: list[Expr]) -> str:
        text = ""
        for f in factors:
            loose = f.is_Add or (f.is_Mul and len(factors) > 1) or (text and f.is_Number and f < 0)
            shown = f"({self._print(f)})" if loose or _name(f) == "total" else self._print(f)
            text += shown if not text else (" · " if f.is_Number else " ") + shown
        return text

    def _print_Pow(self, e: Expr) -> str:  # noqa: N802
        base, exp = e.args
        if exp == -1:
            return f"1 / {self._factors([base])}" if not base.is_Mul else f"1 / ({self._print(base)})"
        raised = str(exp).translate(SUPERSCRIPTS) if exp.is_Integer and exp > 0 else None
        if raised and base.is_Function and _name(base) in _PLAIN and len(base.args) == 1:
            return f"{_PLAIN[_name(base)]}{raised}({self._print(base.args[0])})"
        closed = base.is_Symbol or (base.is_Number and base >= 0) or base.is_Function
        shown = self._print(base) if closed else f"({self._print(base)})"
        if raised:
            return shown + raised
        return f"{shown}^{self._print(exp) if exp.is_Symbol else f'({self._print(exp)})'}"

    def _print_Function(self, e: Expr) -> str:  # noqa: N802
        name = _name(e)
        if name == "where":
            return _where(e, self._print, _TEXT)
        arguments = [self._print(a) for a in e.args]
        match name:
            case "abs":
                return f"|{arguments[0]}|"
            case "affine":
                return f"{arguments[0]} {arguments[1]}"
            case "product":
                return f"{arguments[0]} {arguments[1]}ᵀ"
            case "outer":
                return f"{arguments[0]}ᵀ {arguments[1]}"
            case "total":
                loose = e.args[0].is_Add or _is_negative(e.args[0])
                return f"Σ ({arguments[0]})" if loose else f"Σ {arguments[0]}"
        return f"{_PLAIN[name]}({', '.join(arguments)})"

    _print_log = _print_exp = _print_Function


_PLAIN = {n: n for n in ("tanh", "relu", "exp", "log", "softplus", "max", "min")} | {
    "sigmoid": "σ",
    "sqrt": "√",
}


class TeXPrinter(LatexPrinter):  # type: ignore[misc]
    """SymPy's LaTeX in the order that the expression has; names get their time steps.

    Parameters
    ----------
    whole : Whole
        Which names there are, and which of them have no time step.
    """

    def __init__(self, whole: "Whole") -> None:
        super().__init__({"order": "none", "mul_symbol": r" \, ", "fold_short_frac": False})
        eq = whole.equations
        self._timeless = {*eq.params, *eq.constants, *whole.shapes}
        self._states = set(eq.states)
        own = [*(s.name for s in eq.statements), *eq.arguments]
        others = [*whole.names.values(), *(line.name for line in whole.backward if line.name[0] != "d")]
        self._known = latex_names(map(self._timed, (*own, *others)))
        self._named = {*own, *others}
        sigma = any(shown == r"\sigma" for shown in self._known.values())
        self._sigmoid = r"\operatorname{sigmoid}" if sigma else r"\sigma"

    def doprint(self, e: Expr) -> str:
        """Return the LaTeX, with brackets that grow only where something is tall."""
        text = str(super().doprint(e))
        tall = r"\frac" in text or r"\begin" in text
        return text if tall else text.replace(r"\left(", "(").replace(r"\right)", ")")

    def _print_Symbol(self, e: Expr, style: str = "plain") -> str:  # noqa: N802
        name = str(e.name)
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
        return latex_name(text, "") if text.isidentifier() else text.replace("..", r"\ldots")

    def _timed(self, name: str) -> tuple[str, str]:
        """Return a name and its time step: c_prev is c at t-1."""
        state = name.removesuffix("_prev")
        if state in self._states and state != name:
            return state, "t-1"
        return name, "" if name in self._timeless else "t"

    def _value(self, name: str) -> str:
        key = self._timed(name)
        if key in self._known:
            return self._known[key]
        matrix = name[:2] in ("W_", "U_", "b_")  # with a letter in a gate's place
        return latex_name(name, "" if matrix else "t")

    def _print_Float(self, e: Expr) -> str:  # noqa: N802
        mantissa, _, power = repr(float(e)).removesuffix(".0").partition("e")
        return rf"{mantissa} \cdot 10^{{{int(power)}}}" if power else mantissa

    def _print_Mul(self, e: Expr) -> str:  # noqa: N802
        if _is_negative(e):
            body = without_sign(e)
            shown = self._print(body)
            return f"- {self._brackets(shown)}" if body.is_Add else f"- {shown}"
        return str(super()._print_Mul(e))

    def _print_Pow(self, e: Expr) -> str:  # noqa: N802
        base, exp = e.args
        if base.is_Function and exp.is_Integer and exp > 0:
            raised = f"^{{{exp}}}"
            if _name(base) in _PLAIN and len(base.args) == 1:
                return self._call(base, raised)
            shown = self._print(base)
            return f"{shown}{raised}" if _name(base) in ("abs", "where") else self._brackets(shown) + raised
        return str(super()._print_Pow(e))

    def _print_Function(self, e: Expr, exp: str | None = None) -> str:  # noqa: N802
        name = _name(e)
        if name not in ("where", "abs", *PRODUCTS):
            return self._call(e, f"^{{{exp}}}" if exp else "")
        # each argument is printed once: twice in each of a function in a function would be for ever
        arguments = [] if name == "where" else [self._print(a) for a in e.args]
        shown = ""
        match name:
            case "where":
                shown = _where(e, self._print, _LATEX)
            case "abs":
                shown = rf"\left|{arguments[0]}\right|"
            case "affine":
                shown = rf"{arguments[0]} \, {arguments[1]}"
            case "product":
                shown = rf"{arguments[0]} \, {arguments[1]}^{{\top}}"
            case "outer":
                shown = rf"{arguments[0]}^{{\top}} \, {arguments[1]}"
            case "total":
                loose = e.args[0].is_Add or _is_negative(e.args[0])
                inner = self._brackets(arguments[0]) if loose else arguments[0]
                shown = rf"\sum_{{t}} {inner}"
        return f"{self._brackets(shown)}^{{{exp}}}" if exp else shown

    _print_log = _print_exp = _print_Function

    def _call(self, e: Expr, raised: str) -> str:
        names = {"sigmoid": self._sigmoid, "sqrt": r"\sqrt"}
        name = _name(e)
        if name == "sqrt" and not raised:
            return rf"\sqrt{{{self._print(e.args[0])}}}"
        if name in ("tanh", "exp", "log", "max", "min"):
            called = rf"\{name}"
        else:
            called = names.get(name, rf"\operatorname{{{name}}}")
        arguments = [f"{{{a}}}" if a.startswith("-") else a for a in map(self._print, e.args)]
        return called + raised + self._brackets(", ".join(arguments))

    @staticmethod
    def _brackets(inside: str) -> str:
        return rf"\left({inside}\right)" if r"\frac" in inside or r"\begin" in inside else f"({inside})"


_TEXT = {">": ">", "<=": "≤", "else": "where({a} > {b}, {v}, {w})", "sign": "sign({u})", "one": "[{c}]"}
_LATEX = {
    ">": ">",
    "<=": r"\leq",
    "else": r"\begin{{cases}} {v} & \text{{if }} {a} > {b} \\ {w} & \text{{otherwise}} \end{{cases}}",
    "sign": r"\operatorname{{sign}}({u})",
    "one": "[{c}]",
}


def _where(e: Expr, shown: Any, words: dict[str, str]) -> str:
    """Return v where u > 0, else w; 1 and 0 in Iverson's brackets: [a > b] is 1 where that holds, else 0."""
    u, v, w = e.args
    a, b = sides(u)
    match v, w:
        case (1, 0):
            return words["one"].format(c=f"{shown(a)} {words['>']} {shown(b)}")
        case (0, 1):
            return words["one"].format(c=f"{shown(a)} {words['<=']} {shown(b)}")
        case (1, -1):
            return words["sign"].format(u=shown(u))
    return words["else"].format(a=shown(a), b=shown(b), v=shown(v), w=shown(w))


def _name(e: Expr) -> str:
    return type(e).__name__


def _is_negative(e: Expr) -> bool:
    first = Mul.make_args(e)[0]
    return bool(first.is_Number and first < 0)


def _is_inverse(e: Expr) -> bool:
    return bool(e.is_Pow and e.exp.is_Number and e.exp < 0)
