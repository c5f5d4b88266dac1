"""Lines of values with axes as stages: what one nest of loops over axes computes, and in which order.

A sum over an axis has to be whole before it is read, so a step of a cell with sums is several nests of loops,
one after the other. Each is over the axes of what it computes (a value with few axes is computed once, not at
each place of the others), and takes all lines that it can: a matrix state is gone over once where that is
possible. What is read in a later nest is stored between.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from sympy import Mul, Symbol

from bptt.derive.algebra import Expr, product_of
from bptt.derive.axes import ONES, PLACES, SIZES, Axes
from bptt.derive.backward import Line

ORDER = tuple(PLACES)
"""The axes, as arrays lie in memory."""

_OVER = {f"{how}_{axis}": (how, axis) for how in ("sum", "max", "cumsum", "backsum") for axis in ORDER}


@dataclass(frozen=True)
class Op:
    """A value: an expression over some axes, and how it is taken together over one or several of these."""

    name: str
    expr: Expr
    loops: Axes
    how: str = ""  # "sum", "max", "cumsum", "backsum"
    over: Axes = frozenset()

    @property
    def is_whole(self) -> bool:
        """Whether it is there only after its loops."""
        return self.how in ("sum", "max")

    @property
    def axes(self) -> Axes:
        """The value's."""
        return self.loops - self.over if self.is_whole else self.loops


@dataclass(frozen=True)
class Write:
    """A value, written to a place or added to what is there, once what it ends has been read."""

    value: Expr
    place: str
    axes: Axes
    add: bool = False
    ends: tuple[str, ...] = ()  # the names of what lies in that place until then


@dataclass
class Nest:
    """What loops over the same axes compute."""

    axes: Axes
    ops: list[Op] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    stored: dict[str, str] = field(default_factory=dict)  # values that others read, and where

    @property
    def down(self) -> set[str]:
        """The axes that are gone along from the end."""
        return {axis for op in self.ops if op.how == "backsum" for axis in op.over}

    @property
    def up(self) -> set[str]:
        """The axes that are gone along from the start."""
        return {axis for op in self.ops if op.how == "cumsum" for axis in op.over}

    @property
    def reads(self) -> set[str]:
        """The names of what it does not make itself."""
        made = {op.name for op in self.ops if not op.is_whole}
        exprs = [op.expr for op in self.ops] + [w.value for w in self.writes]
        return names_of(exprs) - made


@dataclass(frozen=True)
class Stages:
    """A stretch of a step.

    Attributes
    ----------
    nests : list of Nest
    scratch : dict of frozenset
        The values that are kept between nests in an array of their own, and their axes.
    """

    nests: list[Nest]
    scratch: dict[str, Axes]


def stages(
    lines: Iterable[Line], axes: Mapping[str, Axes], numbers: Iterable[str], writes: Iterable[Write]
) -> Stages:
    """Return the nests of lines.

    Parameters
    ----------
    lines : iterable of Line
    axes : dict of frozenset
        Of the names that no line makes.
    numbers : iterable of str
        Names of constants.
    writes : iterable of Write
        Of names, or of numbers.
    """
    flat = _Flat(axes, numbers)
    for line in lines:
        flat.line(line)
    return _scheduled(flat, [replace(w, value=flat.named(w.value)) for w in writes])


def names_of(exprs: Iterable[Expr]) -> set[str]:
    """Return the names in expressions."""
    return {s.name for e in exprs for s in e.free_symbols}


class _Flat:
    """Lines without sums inside of expressions, and without parts that have fewer axes than the whole."""

    def __init__(self, axes: Mapping[str, Axes], numbers: Iterable[str]) -> None:
        self.axes = {**ONES, **axes}
        self.numbers = {*numbers, *SIZES}
        self.ops: dict[str, Op] = {}
        self._same: dict[str, Expr] = {}  # names that are others, or numbers
        self._known: dict[tuple[object, ...], Expr] = {}

    def line(self, line: Line) -> None:
        expr = self._flat(line.expr)
        if expr.is_Symbol or self._is_number(expr):
            self._same[line.name] = expr
        else:
            self._make(Op(line.name, expr, self._of(expr)))

    def named(self, e: Expr) -> Expr:
        """Return what a name stands for."""
        return self._same.get(e.name, e) if e.is_Symbol else e

    def _of(self, e: Expr) -> Axes:
        return Axes().union(*(self.axes.get(name, Axes()) for name in names_of([e])))

    def _is_number(self, e: Expr) -> bool:
        return names_of([e]) <= self.numbers

    def _make(self, op: Op) -> Expr:
        self.ops[op.name], self.axes[op.name] = op, op.axes
        return Symbol(op.name)

    def _part(self, expr: Expr, how: str = "", over: Axes = frozenset(), loops: Axes | None = None) -> Expr:
        """Return the name of a part, one for all that are alike."""
        key = expr, how, over
        if key not in self._known:
            loops = self._of(expr) | over if loops is None else loops
            self._known[key] = self._make(Op(f".{len(self.ops)}", expr, loops, how, over))
        return self._known[key]

    def _flat(self, e: Expr, *, whole: bool = False) -> Expr:
        """Return an expression of names; `whole`: as it is otherwise, for who takes it apart."""
        if e.is_Symbol:
            return self.named(e)
        if not e.args:
            return e
        if type(e).__name__ in _OVER:
            e = self._over(*_OVER[type(e).__name__], self._flat(e.args[0], whole=True))
            return e if whole else self._split(e)
        args = [self._flat(a, whole=e.is_Mul) for a in e.args]
        if args != list(e.args):
            if e.is_Mul:
                args = [f for a in args for f in Mul.make_args(a)]
            known = {"evaluate": False} if e.is_Add or e.is_Mul or e.is_Pow else {}
            e = e.func(*args, **known)
        return e if whole and e.is_Mul else self._split(e)

    def _split(self, e: Expr) -> Expr:
        """Return an expression with a name for each part of fewer axes: i v k C with one for i v."""
        whole = self._of(e)
        if self._is_number(e) or all(self._of(a) == whole or self._is_number(a) for a in e.args):
            return e
        if not (e.is_Add or e.is_Mul):
            args = [self._name(a) if self._of(a) != whole else a for a in e.args]
            return e.func(*args, evaluate=False) if e.is_Pow else e.func(*args)
        groups: dict[Axes, list[Expr]] = {}
        rest: list[Expr] = []
        for a in e.args:
            is_part = self._of(a) != whole and not self._is_number(a)
            (groups.setdefault(self._of(a), []) if is_part else rest).append(a)
        for few in sorted(groups, key=len):
            into = [axes for axes in groups if few < axes]
            if into:
                groups[min(into, key=lambda axes: (len(axes), sorted(axes)))][:0] = groups.pop(few)
        parts = [
            self._name(e.func(*some, evaluate=False) if some[1:] else some[0]) for some in groups.values()
        ]
        numbers = [a for a in rest if a.is_Number]
        args = [*numbers, *parts, *(a for a in rest if not a.is_Number)]
        return e.func(*args, evaluate=False) if args[1:] else args[0]

    def _name(self, e: Expr) -> Expr:
        return e if e.is_Symbol or self._is_number(e) else self._part(self._split(e))

    def _over(self, how: str, axis: str, e: Expr) -> Expr:
        over = Axes({axis})
        if how != "sum":
            return self._part(self._split(e) if axis in self._of(e) else self._name(e), how, over)
        # what is the same along the axis is multiplied by once
        factors = Mul.make_args(e)
        outside = [f for f in factors if axis not in self._of(f)]
        inside = self._split(product_of([f for f in factors if f not in outside]))
        total = Symbol(f"size_{axis}") if inside == 1 else self._total(axis, inside)
        return product_of([*outside, total])

    def _total(self, axis: str, e: Expr) -> Expr:
        inner = self.ops.get(e.name) if e.is_Symbol else None
        if (
            inner
            and inner.how == "sum"
            and {*ORDER[ORDER.index(axis) :]} & inner.loops == {axis} | inner.over
        ):
            return self._part(inner.expr, "sum", inner.over | {axis}, inner.loops)  # one sum over both
        return self._part(e, "sum", Axes({axis}))


def _scheduled(flat: _Flat, writes: list[Write]) -> Stages:
    left = [op for op in flat.ops.values() if op.name in _needed(flat.ops, writes)]
    made = {op.name for op in left}
    waiting, nests = list(writes), list[Nest]()
    while left or waiting:
        there = [op for op in left if not names_of([op.expr]) & made]
        domains = {op.loops for op in there} or {
            w.axes for w in waiting if _written(w.axes, left, waiting, made)
        }
        nest = Nest(min(domains, key=lambda axes: (len(axes), sorted(axes))))
        missing = set(made)
        for op in left:
            way = op.over if op.how in ("cumsum", "backsum") else Axes()
            against = nest.down if op.how == "cumsum" else nest.up
            if op.loops == nest.axes and not names_of([op.expr]) & missing and not way & against:
                nest.ops.append(op)
                if not op.is_whole:
                    missing.discard(op.name)
        left = [op for op in left if op not in nest.ops]
        nest.writes = _written(nest.axes, left, waiting, missing)
        waiting = [w for w in waiting if w not in nest.writes]
        made -= {op.name for op in nest.ops}
        assert nest.ops or nest.writes
        nests.append(nest)
    return Stages(nests, _stored(nests))


def _needed(ops: Mapping[str, Op], writes: Iterable[Write]) -> set[str]:
    """Return the names of what is written and of all that it is made of."""
    needed = names_of(w.value for w in writes)
    for op in reversed([*ops.values()]):
        if op.name in needed:
            needed |= names_of([op.expr])
    return needed


def _written(axes: Axes, left: list[Op], waiting: list[Write], missing: set[str]) -> list[Write]:
    """Return what can be written in loops over axes, where values are loaded before any is stored."""
    some = [w for w in waiting if w.axes == axes and not names_of([w.value]) & missing]
    while True:
        later = names_of([op.expr for op in left] + [w.value for w in waiting if w not in some])
        fewer = [w for w in some if not later & {*w.ends}]
        if fewer == some:
            return some
        some = fewer


def _stored(nests: list[Nest]) -> dict[str, Axes]:
    """Say in each nest where what later ones read is stored; return what is stored in scratch."""
    scratch: dict[str, Axes] = {}
    for nest, later in _with_later(nests):
        for op in nest.ops:
            if op.is_whole:  # straight to where it is to be, if nothing is read there before
                found = ((n, w) for n in later for w in n.writes)
                straight = next(((n, w) for n, w in found if _is_plain(w, op) and not w.ends), None)
                if straight is not None:
                    straight[0].writes.remove(straight[1])
                    nest.stored[op.name] = straight[1].place
                    continue
            if any(op.name in n.reads for n in later):
                place = next((w.place for w in nest.writes if _is_plain(w, op)), None)
                if place is None:
                    scratch[op.name] = op.axes
                nest.stored[op.name] = op.name if place is None else place
            if op.how in ("cumsum", "backsum") and _last(op.loops) not in op.over:
                scratch[f"{op.name}.sum"] = op.loops - op.over
    nests[:] = [nest for nest in nests if nest.ops or nest.writes]
    return scratch


def _with_later(nests: list[Nest]) -> Iterator[tuple[Nest, list[Nest]]]:
    return ((nest, nests[k + 1 :]) for k, nest in enumerate(nests))


def _is_plain(w: Write, op: Op) -> bool:
    return w.value == Symbol(op.name) and w.axes == op.axes and not w.add


def _last(axes: Axes) -> str:
    return next((axis for axis in reversed(ORDER) if axis in axes), "")
