"""Stages as vector code: loops over heads, units and keys, for one row of the batch.

Vectors lie along the innermost axis of a nest. Over units and keys, two units are taken at once where there
is a sum over units, which is then loaded and stored once for both. Every sum has one order, whoever computes
the row.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from math import inf

from llvmlite import ir

from bptt.derive.algebra import Expr
from bptt.derive.axes import ONES, SIZES, Axes
from bptt.kernels.llvm import pointwise
from bptt.kernels.llvm.loops import count_loop, i32, i64
from bptt.kernels.llvm.stages import ORDER, Nest, Op, Stages
from bptt.kernels.llvm.vector import Value, Vector

_ALL = "all"
"""The axes of a nest as one, where all that it reads and writes has all of them."""


def emit(
    v: Vector,
    found: Stages,
    axes: Mapping[str, Axes],
    numbers: Mapping[str, float],
    sizes: Mapping[str, Value],
    places: Mapping[str, Value],
) -> None:
    """Emit stages for one row.

    Parameters
    ----------
    v : Vector
    found : Stages
    axes : dict of frozenset
        Of the names that no line makes.
    numbers : dict of float
        Constants by their names.
    sizes : dict of i64
        Of each axis.
    places : dict of addresses
        Where the values of names, of places and of `found.scratch` begin.
    """
    numbers = {**numbers} | dict.fromkeys(ONES, 1.0)
    axes, places = dict(axes), dict(places)
    for nest in found.nests:
        axes |= {op.name: op.axes for op in nest.ops}
        _Loops(v, nest, axes, numbers, sizes, places).emit()
        places |= {name: places[place] for name, place in nest.stored.items()}


@dataclass(eq=False)
class _Spot:
    """Where a nest's loops are, and the values known there."""

    at: dict[str, Value]
    values: dict[str, Value | float]

    def inside(self, axis: str, place: Value) -> "_Spot":
        """Return the spot at a place along one more axis."""
        return _Spot(self.at | {axis: place}, dict(self.values))


@dataclass
class _Loops:
    """The loops of one nest."""

    v: Vector
    nest: Nest
    axes: Mapping[str, Axes]
    numbers: Mapping[str, float]
    sizes: Mapping[str, Value]
    places: Mapping[str, Value]
    mask: Value | None = None  # where a vector is not whole
    totals: dict[str, list[Value]] = field(default_factory=dict)  # sums in registers

    def __post_init__(self) -> None:
        self.b, nest = self.v.builder, self.nest
        self.arrays = [n for n in sorted(nest.reads) if n not in self.numbers and n not in SIZES]
        self.loops = [axis for axis in ORDER if axis in nest.axes]
        is_alike = all(self.axes[n] in (nest.axes, Axes()) for n in self.arrays)
        if self.loops and is_alike and not any(op.how for op in nest.ops):
            self.loops = [_ALL]
        self.along = self.loops[-1] if self.loops and self.loops[-1] != "head" else ""
        # more at a time want more registers than there are, and lie too far apart to be fetched ahead
        self.together = 2 if any("unit" in op.over for op in nest.ops) else 1  # units

    def emit(self) -> None:
        """Emit them."""
        v, values = self.v, dict[str, Value | float](self.numbers)
        for name in self.nest.reads & {*SIZES}:
            values[name] = v.broadcast(self.b.sitofp(self.sizes[SIZES[name]], v.scalar))
        spot = _Spot({}, values)
        self.load("", [spot])
        self.loop(self.loops, [spot])

    # ---- loops

    def loop(self, loops: list[str], spots: list[_Spot]) -> None:
        """Emit the loops that are left, for spots side by side."""
        if not loops:
            self.body(spots)
            return
        axis, *inner = loops
        begun = [op for op in self.nest.ops if next((a for a in ORDER if a in op.over), "") == axis]
        for op in begun:
            self.begin(op, inner, spots)

        def inside(places: list[Value], mask: Value | None = None) -> None:
            self.mask = mask
            found = [spot.inside(axis, place) for spot in spots for place in places]
            self.load(axis, found)
            self.loop(inner, found)
            self.mask = None

        self.over(axis, inside)
        for op in begun:
            if op.is_whole and op.name in self.totals:
                self.end(op, spots)

    def over(self, axis: str, inside: Callable[..., None]) -> None:
        """Emit the loop over an axis: by vectors, or by several units, and what is left of them."""
        b, v, size, is_down = self.b, self.v, self.size(axis), axis in self.nest.down
        is_vector = axis == self.along
        step = v.lanes if is_vector else self.together if axis == "unit" else 1
        whole = b.mul(b.sdiv(size, i64(step)), i64(step))
        left = b.sub(size, whole)

        def wholes() -> None:
            with count_loop(b, whole, step) as k:
                first = b.sub(b.sub(whole, i64(step)), k) if is_down else k
                order = [0] if is_vector else reversed(range(step)) if is_down else range(step)
                inside([b.add(first, i64(n)) for n in order])

        def rest() -> None:
            if is_vector:
                with b.if_then(b.icmp_signed(">", left, i64(0))):
                    inside([whole], v.tail(left))
            elif step > 1:
                with count_loop(b, left) as k:
                    inside([b.sub(b.sub(size, i64(1)), k) if is_down else b.add(whole, k)])

        for part in (rest, wholes) if is_down else (wholes, rest):
            part()

    def size(self, *axes: str) -> Value:
        """Return how many numbers there are along axes."""
        axes = tuple(self.nest.axes) if axes == (_ALL,) else axes
        return reduce(self.b.mul, (self.sizes[axis] for axis in axes), i64(1))

    # ---- memory

    def at(self, name: str, axes: Axes, spot: _Spot) -> Value:
        """Return the address of a value's number at a spot."""
        b, offset = self.b, i64(0)
        if _ALL in spot.at:
            offset = spot.at[_ALL] if axes else offset
        else:
            for axis in ORDER:
                if axis in axes:
                    offset = b.add(b.mul(offset, self.sizes[axis]), spot.at[axis])
        return self.v.at(self.places[name], offset)

    def load(self, axis: str, spots: list[_Spot]) -> None:
        """Load the arrays whose innermost axis it is: a vector, or one number into all lanes."""
        for name in self.arrays:
            axes = self.axes[name]
            last = (
                "" if not axes else _ALL if self.loops == [_ALL] else [a for a in self.loops if a in axes][-1]
            )
            if last != axis:
                continue
            for spot in spots:
                if spot is not spots[0] and "unit" not in axes:
                    spot.values[name] = spots[0].values[name]
                else:
                    spot.values[name] = self.get(self.at(name, axes, spot), is_vector=axis == self.along)

    def get(self, place: Value, *, is_vector: bool) -> Value:
        """Return what lies at a place."""
        if is_vector and self.along:
            return self.v.load(place, self.mask)
        return self.v.broadcast(self.b.load(place, typ=self.v.scalar))

    def put(self, value: Value, place: Value, *, is_vector: bool) -> None:
        """Store a value, or of one that is the same in all lanes one number."""
        if is_vector and self.along:
            self.v.store(value, place, self.mask)
        else:
            self.b.store(self.b.extract_element(value, i32(0)), place)

    # ---- what is computed

    def body(self, spots: list[_Spot]) -> None:
        """Emit the values at spots, and store what is stored."""
        known: list[dict[Expr, Value]] = [{} for _ in spots]
        for op in self.nest.ops:
            values = [
                pointwise.value(self.v, op.expr, spot.values, k) for spot, k in zip(spots, known, strict=True)
            ]
            if op.is_whole:
                self.collect(op, values, spots)
            else:
                for spot, value in zip(spots, values, strict=True):
                    spot.values[op.name] = self.so_far(op, value, spot, spots) if op.how else value
        is_vector = bool(self.along)
        for spot, k in zip(spots, known, strict=True):
            for op in self.nest.ops:
                if op.name in self.nest.stored and not op.is_whole:
                    place = self.at(self.nest.stored[op.name], op.axes, spot)
                    self.put(spot.values[op.name], place, is_vector=is_vector)
            for w in self.nest.writes:
                place, value = (
                    self.at(w.place, w.axes, spot),
                    pointwise.value(self.v, w.value, spot.values, k),
                )
                if w.add:
                    value = self.v.add(self.get(place, is_vector=is_vector), value)
                elif self.nest.stored.get(str(w.value)) == w.place:
                    continue
                self.put(value, place, is_vector=is_vector)

    # ---- sums, the largest, sums so far

    def begin(self, op: Op, inner: list[str], spots: list[_Spot]) -> None:
        """Start what is taken together over an axis: in registers, or where it is kept."""
        start = self.v.const(-inf if op.how == "max" else 0.0)
        axes, name = op.loops - op.over, self.nest.stored[op.name] if op.is_whole else f"{op.name}.sum"
        if not self.along or self.along in op.over:
            self.totals[op.name] = [self.variable() for _ in spots]
            for total in self.totals[op.name]:
                self.b.store(start, total)
            return
        here = _Spot(spots[0].at | dict.fromkeys(inner, i64(0)), {})
        first, count = self.at(name, axes, here), self.size(*(a for a in inner if a in axes))
        b, v = self.b, self.v
        whole = b.mul(b.sdiv(count, i64(v.lanes)), i64(v.lanes))
        with count_loop(b, whole, v.lanes) as k:
            v.store(start, v.at(first, k))
        with b.if_then(b.icmp_signed("<", whole, count)):
            v.store(start, v.at(first, whole), v.tail(b.sub(count, whole)))

    def end(self, op: Op, spots: list[_Spot]) -> None:
        """Keep what was taken together in registers."""
        for spot, total in zip(spots, self.totals[op.name], strict=True):
            value = self.b.load(total, typ=self.v.type)
            size = self.v.lanes // 2 if self.along else 0
            while size:
                value = self.both(op, value, self.turned(value, size))
                size //= 2
            self.put(value, self.at(self.nest.stored[op.name], op.axes, spot), is_vector=False)

    def both(self, op: Op, a: Value, b: Value) -> Value:
        """Return two values taken together."""
        return self.v.max(a, b) if op.how == "max" else self.v.add(a, b)

    def collect(self, op: Op, values: list[Value], spots: list[_Spot]) -> None:
        """Take values together with those before them."""
        if self.mask is not None and self.along in op.over:
            start = self.v.const(-inf if op.how == "max" else 0.0)
            values = [self.v.select(self.mask, value, start) for value in values]
        totals = self.totals.get(op.name)
        count = len(totals) if totals else len(spots) if "unit" in op.axes else 1
        if count == 1:
            while values[1:]:
                pairs = zip(values[::2], values[1::2], strict=False)
                values = [self.both(op, *pair) for pair in pairs] + values[len(values) & ~1 :]
        for k, value in enumerate(values):
            if totals:
                self.b.store(self.both(op, self.b.load(totals[k], typ=self.v.type), value), totals[k])
            else:
                place = self.at(self.nest.stored[op.name], op.axes, spots[k])
                self.put(self.both(op, self.get(place, is_vector=True), value), place, is_vector=True)

    def so_far(self, op: Op, value: Value, spot: _Spot, spots: list[_Spot]) -> Value:
        """Return the sum so far."""
        b, v = self.b, self.v
        if op.name not in self.totals:
            place = self.at(f"{op.name}.sum", op.loops - op.over, spot)
            value = v.add(self.get(place, is_vector=True), value)
            self.put(value, place, is_vector=True)
            return value
        total = self.totals[op.name][spots.index(spot)]
        if self.along:
            zero = v.const(0.0)
            value = value if self.mask is None else v.select(self.mask, value, zero)
            size = 1
            while size < v.lanes:
                value = v.add(value, self.moved(value, -size if op.how == "backsum" else size))
                size *= 2
        value = v.add(b.load(total, typ=v.type), value)
        last = 0 if op.how == "backsum" else v.lanes - 1
        b.store(v.broadcast(b.extract_element(value, i32(last))), total)
        return value

    # ---- lanes

    def variable(self) -> Value:
        """Return a vector's place, which becomes a register."""
        with self.b.goto_entry_block():
            return self.b.alloca(self.v.type)

    def turned(self, value: Value, by: int) -> Value:
        """Return a vector whose lanes are exchanged with those so far away."""
        return self.shuffled(value, value, [lane ^ by for lane in range(self.v.lanes)])

    def moved(self, value: Value, by: int) -> Value:
        """Return a vector whose lanes are those so far before, and zeros."""
        lanes = range(self.v.lanes)
        order = [lane - by if lane - by in lanes else self.v.lanes for lane in lanes]
        return self.shuffled(value, self.v.const(0.0), order)

    def shuffled(self, one: Value, other: Value, order: list[int]) -> Value:
        """Return lanes of two vectors."""
        index = ir.Constant(ir.VectorType(i32, self.v.lanes), order)
        return self.b.shuffle_vector(one, other, index)
