"""What a cell's two loops have in common: the argument's fields, addresses, rows, vectors and products."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import reduce

from llvmlite import ir
from sympy import Symbol

from bptt.derive.axes import Axes
from bptt.derive.backward import Derivation, Line
from bptt.kernels.cell.interface import Interface
from bptt.kernels.cell.slots import Slots, counts
from bptt.kernels.llvm import nests
from bptt.kernels.llvm.bfloat16 import Gemm16
from bptt.kernels.llvm.gemm import Gemm, Product
from bptt.kernels.llvm.loops import i8, i64, over_vectors, pointer
from bptt.kernels.llvm.stages import ORDER, Write, stages
from bptt.kernels.llvm.vector import Value, Vector
from bptt.kernels.runtime.serving import work


class Loop(ABC):
    """What the two directions have in common: the argument's fields, addresses, rows and vectors.

    Attributes
    ----------
    scratch : list of int
        How many values one row keeps between loops over axes, by the numbers of their axes.
    """

    name: str

    def __init__(
        self,
        interface: Interface,
        d: Derivation,
        still: Derivation | None,
        slots: Slots,
        module: ir.Module,
        gemm: Gemm,
    ) -> None:
        self.interface, self.slots, self.gemm = interface, slots, gemm
        self.d, self.eq, self.still = d, d.equations, still
        self.axes = interface.axes
        self.scratch = counts(())
        with work(module, self.name) as (b, words, _), gemm.ready(b):
            self.b, self.v = b, Vector(b, interface.dtype, interface.host)
            self.field = interface.fields[self.name].read(b, words)
            self.H, self.R = self.field["H"], self.field["R"]
            J = b.sdiv(self.H, i64(self.eq.heads)) if self.eq.heads > 1 else self.H
            K = J if self.eq.keys is None else i64(self.eq.keys)
            self.sizes = dict(zip(ORDER, (i64(self.eq.heads), J, K), strict=True))
            self.offsets = self.starts(self.axes[g] for g in self.eq.gates)
            self.GH = self.offsets[-1]
            self.run()

    @abstractmethod
    def run(self) -> None:
        """Emit the loop."""

    # ---- addresses

    def width(self, axes: Axes) -> Value:
        """Return how many numbers a value with these axes has for each row."""
        if "unit" in axes and ("head" in axes or self.eq.heads == 1):
            return self.b.mul(self.H, self.sizes["key"]) if "key" in axes else self.H
        return reduce(self.b.mul, (self.sizes[axis] for axis in ORDER if axis in axes), i64(1))

    def starts(self, values: Iterable[Axes]) -> list[Value]:
        """Return where values begin that lie one after the other, and where the last one ends."""
        units, others, found = 0, i64(0), [i64(0)]
        for axes in values:
            if axes == self.interface.unit:
                units += 1
            else:
                others = self.b.add(others, self.width(axes))
            found.append(self.b.add(self.b.mul(self.H, i64(units)), others))
        return found

    def pointer(self, name: str) -> Value:
        """Return where an array begins."""
        return self.b.inttoptr(self.field[name], pointer)

    def number_at(self, name: str, k: Value) -> Value:
        """Return a number of an array of whole numbers."""
        return self.b.load(self.b.gep(self.pointer(name), [k], source_etype=i64), typ=i64)

    def row(self, name: str, row: Value, width: Value) -> Value:
        """Return the address of a row of an array."""
        return self.v.at(self.pointer(name), self.b.mul(row, width))

    def state(self, array: str, state: str, row: Value) -> Value:
        """Return the address of a row of one of the arrays that each state has."""
        return self.row(f"{array}.{state}", row, self.width(self.axes[state]))

    def gate(self, array: str, gate: int, row: Value) -> Value:
        """Return the address of a gate's block."""
        return self.v.at(self.row(array, row, self.GH), self.offsets[gate])

    def flag(self, name: str, row: Value, *, otherwise: bool = False) -> Value:
        """Return whether a row's flag is set, or what is said of all where the array is not there."""
        b = self.b
        before = b.block
        with b.if_then(self.there(name)):
            value = b.load(b.gep(self.pointer(name), [row], source_etype=i8), typ=i8)
            inside = b.block
        flag = b.phi(i8)
        flag.add_incoming(ir.Constant(i8, int(otherwise)), before)
        flag.add_incoming(value, inside)
        return b.icmp_signed("!=", flag, ir.Constant(i8, 0))

    def there(self, name: str) -> Value:
        """Return whether an array, or a number that is not 0, is given."""
        return self.b.icmp_signed("!=", self.field[name], i64(0))

    # ---- one row

    def where(self, name: str, row: Value) -> Value:
        """Return where the value of a name begins, for a row."""
        if name in self.eq.before:
            return self.state("prev", name.removesuffix("_prev"), row)
        if name in self.interface.parts.made:
            return self.pointer(f"still.{name}")
        if name in self.interface.cell.units:
            given = name in self.interface.cell.given
            return self.row(f"unit.{name}", row if given else i64(0), self.width(self.axes[name]))
        if name in self.slots.extra:
            return self.extra(name, row)
        block = self.slots.block.get(name)
        return self.gate("a", self.eq.gates.index(name) if block is None else block, row)

    def extra(self, name: str, row: Value) -> Value:
        """Return where a value of an extra array begins, for a row."""
        k = [*self.slots.extra].index(name)
        first = self.b.mul(self.R, self.starts(self.slots.extra.values())[k])
        return self.v.at(self.row("slots", row, self.width(self.slots.extra[name])), first)

    def once(self) -> None:
        """Emit what no step changes."""
        if self.still is not None:
            made = self.interface.parts.made
            to = {Write(Symbol(v), v, self.axes[v]): self.pointer(f"still.{v}") for v in made}
            self.emit(self.still.main.forward, i64(0), {}, to)

    def emit(
        self,
        lines: Iterable[Line],
        row: Value,
        given: Mapping[str, tuple[Axes, Value]],
        writes: Mapping[Write, Value],
    ) -> None:
        """Emit lines for a row, of arguments, what is kept and what is given, and write where it belongs.

        A place has a name that no value of a cell can have.
        """
        lines = [*lines]
        made = {line.name for line in lines}
        read = {s.name for line in lines for s in line.expr.free_symbols}
        read |= {w.value.name for w in writes if isinstance(w.value, Symbol)}
        names = [n for n in self.axes if n in read - made and n not in given]
        axes = {n: self.axes[n] for n in names} | {n: a for n, (a, _) in given.items()}
        found = stages(lines, axes, self.eq.constants, writes)
        places = {n: self.where(n, row) for n in names} | {n: at for n, (_, at) in given.items()}
        places |= {w.place: at for w, at in writes.items()}
        at = self.pointer("scratch")
        for name, kept in found.scratch.items():
            places[name] = at
            at = self.v.at(at, self.b.add(self.width(kept), i64(self.v.lanes)))
        self.scratch = [*map(max, self.scratch, counts(found.scratch.values()))]
        nests.emit(self.v, found, axes, self.eq.constants, self.sizes, places)

    def each_vector(self, body: Callable[[Value, Value | None], None], width: Value) -> None:
        """Emit `body(column, mask)` for the vectors of a row; mask is None where a vector is whole."""
        over_vectors(self.v, width, body)

    def fill(self, at: Value, width: Value, number: float = 0.0) -> None:
        """Set a row to zeros, or another number."""
        v, value = self.v, self.v.const(number)
        self.each_vector(lambda column, mask: v.store(value, v.at(at, column), mask), width)

    def copy(self, source: Value, to: Value, width: Value, *, add: bool = False) -> None:
        """Copy a row to another, or add it."""
        v = self.v

        def body(column: Value, mask: Value | None) -> None:
            value, place = v.load(v.at(source, column), mask), v.at(to, column)
            v.store(v.add(v.load(place, mask), value) if add else value, place, mask)

        self.each_vector(body, width)

    # ---- products

    def operand(self, A: Value, lda: Value, M: Value, K: Value) -> tuple[Value, Value, Value]:
        """Return where a product's rows (M, K) are, their stride, and their length, as the product counts."""
        if not isinstance(self.gemm, Gemm16):
            return A, lda, K
        to, pairs = self.pointer("narrow"), self.gemm.deep(self.b, K)
        self.b.call(self.gemm.narrow, [A, lda, M, K, to, pairs])
        return to, pairs, pairs

    def multiply(
        self, A: tuple[Value, Value, Value], B: str, C: Value, ldc: Value, M: Value, N: Value
    ) -> None:
        """Add the product of an operand (M, K) and a matrix B (K, N), by its name, to C (M, N)."""
        (at, lda, K), b, row = A, self.b, self.field[f"{B} row"]
        one, width, lies = i64(1), i64(self.gemm.width), self.there(f"{B} row")
        panel, step = b.select(lies, width, b.mul(K, width)), b.select(lies, row, width)
        b.call(self.gemm.product, Product(at, lda, one, M, self.pointer(B), panel, step, K, C, ldc, N, one))

    def columns(self, run: tuple[int, int]) -> Value:
        """Return how many columns neighbouring gates have."""
        return self.b.sub(self.offsets[run[1]], self.offsets[run[0]])
