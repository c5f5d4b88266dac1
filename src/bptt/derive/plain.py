"""A derived line as people write it: no other algebra than putting together and apart what is there."""

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Set

from sympy import Integer, Mul, Pow, Symbol, preorder_traversal

from bptt.derive.algebra import Expr, divides, product_of, replaced, sum_of
from bptt.derive.axes import ONES, OVER, Axes
from bptt.derive.backward import Line


def plain(e: Expr, axes_of: Callable[[Expr], Axes], heads: int) -> Expr:
    """Return an expression with what is alike for all before a sum, and without a sum over one head."""
    if not e.args:
        return e
    args = [plain(a, axes_of, heads) for a in e.args]
    name = type(e).__name__
    if name == "sum_head" and heads == 1:
        return args[0]
    if name in OVER and not name.startswith("max"):
        parts, axis = Mul.make_args(args[0]), name.partition("_")[2]
        inside = [f for f in parts if axis in axes_of(f)]
        if any(str(f) not in ONES for f in inside):
            alike = [f for f in parts if f not in inside]
            return _in_order([*alike, e.func(product_of(inside))])
    if e.is_Mul:
        return _in_order(args)
    return e.func(*args, evaluate=False) if e.is_Add or e.is_Pow else e.func(*args)


def over_one(e: Expr) -> Expr:
    """Return a sum in which terms over one denominator stand over it together."""
    if not e.is_Add:
        return e
    each = [f for t in e.args for f in dict.fromkeys(Mul.make_args(t))]
    below = Counter(f for f in each if divides(f) and not f.base.is_Number)
    divisor, count = max(below.items(), key=lambda found: found[1], default=(Integer(1), 0))
    if count < 2:
        return e
    there = [t for t in e.args if divisor in Mul.make_args(t)]
    terms = [t for t in e.args if t not in there]
    there.sort(key=lambda t: t.args[0] == -1)  # what is subtracted stands last
    over = sum_of([product_of(_without_one(Mul.make_args(t), divisor)) for t in there])
    terms.insert(min(map(e.args.index, there)), product_of([over, divisor]))
    return sum_of(terms)


def _without_one(parts: Iterable[Expr], factor: Expr) -> list[Expr]:
    left = list(parts)
    left.remove(factor)
    return left


def _in_order(parts: list[Expr]) -> Expr:
    """Return a product with one sign, one number, and a power of what it is divided by several times."""
    flat = [f for part in parts for f in Mul.make_args(part)]
    number, powers, over = Integer(1), dict[Expr, Expr](), list[Expr]()
    for f in flat:
        if divides(f) and f.exp.is_Integer:
            powers[f.base] = powers.get(f.base, 0) + f.exp
        elif f.is_Number:
            number *= f
        else:
            over.append(f)
    signs = [Integer(-1)] if number < 0 else []
    numbers = [] if float(abs(number)) == 1 else [abs(number)]  # to SymPy a float of 1 is no 1
    return product_of([*signs, *numbers, *over, *(Pow(b, e, evaluate=False) for b, e in powers.items())])


def factors(e: Expr) -> Iterator[Expr]:
    """Yield each name in an expression as often as it stands there; a power is as many factors."""
    if e.is_Symbol:
        yield e
    for a in e.args * (abs(int(e.exp)) if e.is_Pow and e.exp.is_Integer else 1):
        yield from factors(a)


_OFTEN, _LARGE = 3, 7


def named(lines: Iterable[Line], taken: Container[str]) -> list[Line]:
    """Return the lines with a name for each sum of many parts that they would repeat."""
    left = list(lines)
    letters = [c for c in "svwr" if c not in taken and f"d{c}" not in taken]
    counts = Counter(e for x in left for e in _sums(x.expr))
    for expr, count in counts.items():
        if count >= _OFTEN and letters:
            at = next((k for k, x in enumerate(left) if expr in set(_sums(x.expr))), None)
            if at is None:
                continue  # it was a part of one that has a name by now
            name = Symbol(letters.pop(0))
            left = [Line(x.name, replaced(x.expr, {expr: name}), x.numbers) for x in left]
            left.insert(at, Line(name.name, expr, ()))
    return left


def _sums(e: Expr) -> Iterator[Expr]:
    """Yield sums inside an expression that are large, or less so and divide, as often as they stand there."""
    for a in e.args:
        least = _LARGE - 2 * divides(e)
        if a.is_Add and (len(a.args) > 2 or sum(1 for _ in preorder_traversal(a)) >= least):
            yield a
        yield from _sums(a)


def without(e: Expr, zeros: Set[Expr]) -> Expr:
    """Return an expression without what is zero in it: a gradient is a factor wherever it stands."""
    if e.is_Add:
        left = [t for t in (without(a, zeros) for a in e.args) if t != 0]
        return e if left == list(e.args) else sum_of(left)
    if e.is_Mul:
        factors = [without(a, zeros) for a in e.args]
        if 0 in factors:
            return Integer(0)
        return e if factors == list(e.args) else product_of(factors)
    if type(e).__name__ == "product":
        return Integer(0) if e.args[0] in zeros else e
    if type(e).__name__ in OVER:
        inside = without(e.args[0], zeros)
        return Integer(0) if inside == 0 else e if inside == e.args[0] else e.func(inside)
    return Integer(0) if e in zeros else e
