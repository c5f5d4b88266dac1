"""How an expression is written: as text in Unicode, and as LaTeX with its time steps.

Text leaves the time step out, as a step's code does: ``c_prev``, ``dc_next``. LaTeX has it: c_{t-1}.
"""

import re
from typing import TYPE_CHECKING

from sympy.printing.latex import LatexPrinter
from sympy.printing.str import StrPrinter

from bptt.derive.algebra import Expr
from bptt.derive.names import latex_name, latex_names
from bptt.derive.terms import PLAIN, Terms, is_closed, is_sum, name_of, signed

if TYPE_CHECKING:
    from bptt.derive.whole import Whole

SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class TextPrinter(Terms, StrPrinter):  # type: ignore[misc]
    """Products by juxtaposition, powers raised, σ for the sigmoid."""

    _times, _beside, _total = " · ", " ", "Σ"
    _at_most, _at_least, _floor, _cases = "≤", "≥", "⌊{}⌋", "where({a} > {b}, {v}, {w})"
    _products = {"affine": "{} {}", "product": "{} {}ᵀ", "outer": "{}ᵀ {}"}  # noqa: RUF012
    _matrices = {  # noqa: RUF012
        "times": "{} {}", "turned": "{}ᵀ", "entrywise": "{} ∘ {}", "over": "{} ⊘ {}", "raised": "{}^∘{}",
        "inv": "{}⁻¹", "kron": "{} ⊗ {}", "abs": "|{}|", "reduced": "Σ[{}]",
    }  # fmt: skip
    _pullback = "D{of}{f}({a})ᵀ[{d}]"

    def _named_function(self, name: str) -> str:
        return PLAIN.get(name, name)

    def __init__(self, whole: "Whole | None" = None) -> None:
        super().__init__()
        if whole is not None:
            self._letters, self._sizes, self._axes_of = whole.letters, whole.sizes, whole.axes_of

    def _print_Symbol(self, e: Expr) -> str:  # noqa: N802
        shown = self._sizes.get(e.name, str(e.name))  # Python's names: no two are alike
        return self._indexed(shown, self._axes_of(e))

    def _with_index(self, shown: str, index: list[str]) -> str:
        return f"{shown}[{','.join(index)}]"

    def _index(self, sign: str, index: str) -> str:
        index = index if len(index) == 1 else f"{{{index.replace(' ', '')}}}"
        return f"{'Σ' if sign == 'sum' else sign}_{index}"

    def _print_Float(self, e: Expr) -> str:  # noqa: N802
        return repr(float(e)).removesuffix(".0")  # the shortest that is this number

    def _brackets(self, inside: str) -> str:
        return f"({inside})"

    def _over(self, over: list[Expr], under: list[Expr]) -> str:
        below = self._factors(under)
        closed = len(under) == 1 and not under[0].is_Mul and not is_sum(under[0]) and not signed(under[0])[0]
        return f"{self._factors(over, False)} / {below if closed else f'({below})'}"

    def _raised(self, exp: Expr) -> str:
        if exp.is_Integer:
            return str(exp).translate(SUPERSCRIPTS)
        return f"^{self._print(exp) if exp.is_Symbol else f'({self._print(exp)})'}"

    def _called(self, e: Expr, raised: str = "") -> str:
        return f"{PLAIN[name_of(e)]}{raised}({', '.join(map(self._print, e.args))})"

    def _absolute(self, inside: str) -> str:
        return f"|({inside})|" if "|" in (inside[0], inside[-1]) else f"|{inside}|"  # ||m|| would be a norm


class TeXPrinter(Terms, LatexPrinter):  # type: ignore[misc]
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
    _matrices = {  # noqa: RUF012
        "times": r"{} \, {}", "turned": r"{}^{{\top}}", "entrywise": r"{} \circ {}", "over": r"{} \oslash {}",
        "raised": r"{}^{{\circ {}}}", "inv": r"{}^{{-1}}", "kron": r"{} \otimes {}",
        "abs": r"\left|{}\right|", "reduced": r"\sum \left[{}\right]",
    }  # fmt: skip
    _pullback = r"\mathrm{{D}}{of}{f}({a})^{{\top}}[{d}]"

    def __init__(self, whole: "Whole") -> None:
        super().__init__({"order": "none"})
        eq = whole.equations
        self._timeless = {*eq.params, *eq.constants, *whole.shapes, *whole.once}
        self._once = whole.once
        self._states = set(eq.states)
        values = (*(s.name for s in eq.statements), *eq.arguments)  # of two alike these have the plain name
        others = [*whole.names.values(), *(line.name for line in whole.backward if line.name[0] != "d")]
        self._letters, self._sizes, self._axes_of = whole.letters, whole.sizes, whole.axes_of
        more = () if eq.is_elementwise else (*"JK", *"".join(whole.letters.values()))
        symbols = [whole.symbols(c) for c in (*"tTNDH", *more)]
        self._t = latex_name(symbols[0], "")
        self._total = rf"\sum_{{{self._t}}}"
        timed = [*map(self._timed, (*values, *others)), *((name, self._t) for name in whole.once)]
        self._known = latex_names([*((c, "") for c in symbols), *timed])
        self._named = {*values, *others}
        greek = {"sigmoid": r"\sigma", "Phi": r"\Phi"}
        written = {*eq.arguments, *(s.name for s in eq.statements if s.written), *others}
        shown = [self._known[self._timed(name)] for name in written]
        taken = {n for n, c in greek.items() if any(name.startswith(c) for name in shown)}
        self._greek = {n: rf"\operatorname{{{n}}}" if n in taken else c for n, c in greek.items()}

    def _print_Symbol(self, e: Expr, style: str = "plain") -> str:  # noqa: N802
        return self._indexed(self._plain(str(e.name)), self._axes_of(e))

    def _plain(self, name: str) -> str:
        """Return a name with its time step."""
        if name in self._sizes:
            return latex_name(self._sizes[name], "")
        if name in self._named or name[:1] != "d":
            return self._value(name)
        value = name[1:]
        if value.endswith("_next") and value[:-5] in self._states and value not in self._named:
            return rf"\mathrm{{d}}{self._value(value[:-5])}^{{\mathrm{{next}}}}"
        if value.endswith("_prev") and value[:-5] in self._states:
            return rf"\mathrm{{d}}{self._value(value)}^{{\mathrm{{next}}}}"
        if value in self._once:  # each step adds to it
            return rf"\mathrm{{d}}{self._known[value, self._t]}"
        return rf"\mathrm{{d}}{self._value(value)}"

    def _with_index(self, shown: str, index: list[str]) -> str:
        letters, end = "".join(index), r"^{\mathrm{next}}"
        shown, next_ = shown.removesuffix(end), end if shown.endswith(end) else ""
        base, _, last = shown.rpartition("_{")
        if base and last.endswith("}") and last.count("{") + 1 == last.count("}"):
            return rf"{base}_{{{last[:-1]},\,{letters}}}{next_}"
        return rf"{shown}_{{\,{letters}}}{next_}"

    def _named_function(self, name: str) -> str:
        return rf"\operatorname{{{name}}}"

    def _print_Timeless(self, e: Expr) -> str:  # noqa: N802
        return str(latex_name(e.name, ""))

    def _print_Gradient(self, e: Expr) -> str:  # noqa: N802
        return rf"\mathrm{{d}}{latex_name(e.name[1:], '')}"

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
        cases = name_of(factor) == "where" and not is_closed(factor) and not alone
        return cases or super()._is_loose(factor, first, alone)

    def _index(self, sign: str, index: str) -> str:
        return rf"\{sign}_{{{index}}}"

    def _absolute(self, inside: str) -> str:
        if inside.startswith(r"\left|") or inside.endswith(r"\right|"):
            inside = rf"\left({inside}\right)"
        return rf"\left|{inside}\right|"

    def _called(self, e: Expr, raised: str = "") -> str:
        name = name_of(e)
        if name == "sqrt":
            return rf"\sqrt{{{self._print(e.args[0])}}}"
        if name in ("tanh", "exp", "log", "max", "min", "sin", "cos"):
            called = rf"\{name}"
        else:
            called = self._greek.get(name, rf"\operatorname{{{name}}}")
        arguments = [f"{{{a}}}" if a.startswith("-") else a for a in map(self._print, e.args)]
        return called + raised + self._brackets(", ".join(arguments))
