"""How sums, products, powers and functions are written, whatever their signs are made of."""

import re
from collections.abc import Callable, Iterator, Mapping

from sympy import Function as SymFunction
from sympy import Integer, Mul, Pow, Symbol, preorder_traversal
from sympy.printing.printer import Printer

from bptt.derive.algebra import Expr, divides, product_of, sides
from bptt.derive.axes import ONES, OVER, PLACES, Axes
from bptt.derive.functions import FUNCTIONS


class Index(Symbol):  # type: ignore[misc]
    """Something that has no time step: an index, a size, a condition on t."""


class Timeless(Symbol):  # type: ignore[misc]
    """An array that all steps share."""


class Gradient(Timeless):
    """The gradient at one: its name is d and the array's."""


class MapBase(SymFunction):  # type: ignore[misc]
    """A function of whole matrices, by the name that it is `called`."""

    called = ""


class Terms(Printer):  # type: ignore[misc]
    """How sums, products and powers are written, whatever their signs are made of.

    A printer says how it writes brackets, factors side by side, a fraction, and what is raised.
    """

    _minus = "-"
    _letters: Mapping[str, str] = {"head": "m", "unit": "jiy", "key": "klz"}
    _sizes: Mapping[str, str] = {"size_unit": "H", "size_key": "K"}
    """Indices of heads, units and keys, and how many there are: see :class:`~bptt.derive.whole.Whole`."""
    _axes_of: Callable[[Expr], Axes] = staticmethod(lambda e: frozenset())
    _at: Mapping[str, str] | None = None  # the index of each axis here; None where values stand without
    _open: tuple[str, ...] = ()  # the indices that are taken here
    _depth = 0  # in how many sums over an axis

    def begin(self, *sides: Expr) -> None:
        """Begin a line: its values have indices where they are not all of one shape. Words have none."""
        self._at, self._open = None, ()
        functions = {name_of(f) for side in sides for f in preorder_traversal(side)}
        if not sides or functions & {"affine", "outer"}:
            return
        own = self._axes_of(sides[0])
        shapes = {axes - {"head"} for side in sides for axes in self._shapes(side) if axes}
        if len(shapes) > 1 or functions & {*OVER}:
            self._at = {axis: self._letters[axis][0] for axis in PLACES if axis in own - {"head"}}
            self._open = tuple(self._at.values())

    def _shapes(self, e: Expr) -> Iterator[Axes]:
        """Yield the axes of the values in an expression, and of its products with matrices."""
        if not e.args or name_of(e) == "product":
            yield self._axes_of(e)
        else:
            for a in e.args:
                yield from self._shapes(a)

    def _indexed(self, shown: str, axes: Axes) -> str:
        """Return a value as it is shown with the indices that it has here."""
        at = self._at or {}
        index = [at[axis] for axis in PLACES if axis in axes and axis in at]
        return str(self._with_index(shown, index)) if index else shown

    def _print_Add(self, e: Expr) -> str:  # noqa: N802  the library's names, here and below
        text = ""
        for term in e.args:
            minus, body = signed(term)
            shown = self._brackets(self._print(body)) if body.is_Add else self._print(body)
            sign = (self._minus if minus else "") if not text else (" - " if minus else " + ")
            text += sign + shown
        return text

    def _print_Mul(self, e: Expr) -> str:  # noqa: N802
        minus, body = signed(e)
        over, under = fraction(body)
        shown = str(self._over(over, under)) if under else self._factors(over)
        return self._minus + shown if minus else shown

    def _print_Pow(self, e: Expr) -> str:  # noqa: N802
        base, exp = e.args
        if divides(e):
            return self._print_Mul(e)
        name = name_of(base)
        if exp.is_Integer and name in PLAIN and name != "sqrt" and len(base.args) == 1:
            return str(self._called(base, self._raised(exp)))  # tanh²(c); but of a root it is no power
        shown = str(self._print(base))
        number = base.is_Number and re.fullmatch(r"[\d.]+", shown)  # without a sign or a power of ten
        closed = base.is_Symbol or number or is_closed(base) or (exp.is_Integer and name in ("max", "min"))
        return (shown if closed else str(self._brackets(shown))) + str(self._raised(exp))

    def _print_Function(self, e: Expr) -> str:  # noqa: N802
        name = name_of(e)
        if name in PLAIN:
            return str(self._called(e))
        if name == "where":
            return self._where(e)
        if name in OVER:
            return self._over_axis(e)
        if name in self._products:
            return self._product(e)
        # each argument is printed once: twice in each of a function in a function would be for ever
        arguments = [self._print(a) for a in e.args]
        if name == "abs":
            return str(self._absolute(*arguments))
        if name == "floor":
            return str(self._floor.format(*arguments))
        loose = e.args[0].is_Add or signed(e.args[0])[0]
        return f"{self._total} {self._brackets(arguments[0]) if loose else arguments[0]}"

    def _print_MapBase(self, e: Expr) -> str:  # noqa: N802
        name, back, place = e.called.partition("_back")
        loose = [a.is_Add or a.is_Mul or getattr(a, "called", "") in ("entrywise", "over") for a in e.args]
        closed = [a.is_Symbol or a.is_Number for a in e.args]
        shown = [self._print(a) for a in e.args]
        if e.called in self._matrices:
            tight = name in ("turned", "raised")
            each = zip(shown, closed if tight else loose, strict=True)
            shown = [self._brackets(s) if flag != tight else s for s, flag in each]
            return str(self._matrices[e.called].format(*shown))
        if back:
            inside = ", ".join(shown[:-1])
            of = f"_{int(place) + 1}" if len(shown) > 2 else ""
            return str(self._pullback.format(f=self._named_function(name), of=of, a=inside, d=shown[-1]))
        return f"{self._named_function(name)}{self._brackets(', '.join(shown))}"

    def _product(self, e: Expr) -> str:
        """Return a product with a matrix; a line with indices has one number of it."""
        outside, self._at = self._at, None
        shown = str(self._products[name_of(e)].format(*map(self._print, e.args)))
        self._at = outside
        return self._indexed(self._brackets(shown), self._axes_of(e)) if outside else shown

    def _over_axis(self, e: Expr) -> str:
        """Return a sum over an axis, one so far, or the largest."""
        kind, _, axis = name_of(e).partition("_")
        letters, outside = self._letters[axis], (self._at, self._open)
        sign = {"cumsum": self._at_most, "backsum": self._at_least}.get(kind)
        upto = (self._at or {}).get(axis, letters[0])
        taken = {*self._open, upto} if sign else {*self._open}
        at = next((c for c in letters if c not in taken), letters[-1])
        self._at, self._open = None if self._at is None else {**self._at, axis: at}, (*self._open, at)
        self._depth += 1
        inside = self._print(e.args[0])
        self._depth -= 1
        self._at, self._open = outside
        if kind == "max":
            return f"{self._index('max', at)}{self._brackets(inside)}"
        index = f"{at} {sign} {upto}" if sign else at
        loose = e.args[0].is_Add or signed(e.args[0])[0]
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
        if factor.is_Add or name_of(factor) == "total" or is_sum(factor):
            return True
        return bool((factor.is_Mul and not alone) or (not first and factor.is_Number and factor < 0))

    def _factors(self, factors: list[Expr], ends: bool = True) -> str:
        """Return a product; where it ends there the last of its factors may be a sum without brackets."""
        text, factors = "", [f for f in factors if str(f) not in ONES] or [Integer(1)]
        for f in factors:
            is_last = f is factors[-1] and ends and not (self._depth and len(factors) > 1)
            loose = not (is_last and is_sum(f)) and self._is_loose(f, not text, len(factors) == 1)
            shown = self._brackets(self._print(f)) if loose else self._print(f)
            text += shown if not text else (self._times if f.is_Number else self._beside) + shown
        return text


PLAIN = {n: n for n in FUNCTIONS if n not in ("abs", "floor", "where")} | {
    "sigmoid": "σ",
    "sqrt": "√",
    "Phi": "Φ",
}


def name_of(e: Expr) -> str:
    """Return which function an expression is, or what else it is to SymPy."""
    return type(e).__name__


def signed(e: Expr) -> tuple[bool, Expr]:
    """Return whether a term has a minus sign, and the term without it; no 1 is a factor."""
    minus, factors = False, list[Expr]()
    for f in Mul.make_args(e):
        if f.is_Number and (f == -1 or (f < 0 and not factors)):
            minus, f = not minus, -f
        if f != 1:
            factors.append(f)
    if len(factors) == 1 and factors[0].is_Mul:
        inside, body = signed(factors[0])
        return minus != inside, body
    return minus, product_of(factors)


def fraction(e: Expr) -> tuple[list[Expr], list[Expr]]:
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


def is_closed(e: Expr) -> bool:
    """Return whether a function has signs of its own around it: |a|, [a > b]."""
    return name_of(e) in ("abs", "floor") or (name_of(e) == "where" and set(e.args[1:]) == {0, 1})


def is_sum(e: Expr) -> bool:
    """Return whether it is a sum over an axis, or one so far."""
    return name_of(e) in OVER and not name_of(e).startswith("max")
