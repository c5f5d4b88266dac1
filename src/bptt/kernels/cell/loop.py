"""What a cell's two loops have in common: the argument's fields, addresses, rows, vectors and products."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

from llvmlite import ir

from bptt.derive.backward import Derivation
from bptt.kernels.cell.interface import Interface
from bptt.kernels.llvm.bfloat16 import Gemm16
from bptt.kernels.llvm.gemm import Gemm, Product
from bptt.kernels.llvm.loops import i8, i64, over_vectors, pointer
from bptt.kernels.llvm.vector import Value, Vector
from bptt.kernels.runtime.serving import work


class Slots:
    """Where each value that the backward reads is kept: a block of ``a``, or an extra array.

    A gate's pre-activation that is read again stays in its block; other values take the blocks that are free
    by then. What the operand's pass keeps goes to extra arrays: the gates are still to be read.
    """

    def __init__(self, d: Derivation) -> None:
        eq = d.equations
        own = {*eq.before, *eq.params, *eq.constants}
        early = [n for n in (d.operand.kept if d.operand else ()) if n not in own]
        late = [n for n in d.main.kept if n not in own and n not in early]
        self.block = {n: eq.gates.index(n) for n in (*early, *late) if n in eq.gates}
        free = [k for k in range(len(eq.gates)) if k not in self.block.values()]
        early, late = ([n for n in names if n not in self.block] for names in (early, late))
        self.block |= zip(late, free, strict=False)
        self.extra = {n: k for k, n in enumerate((*early, *late[len(free) :]))}


class Loop(ABC):
    """What the two directions have in common: the argument's fields, addresses, rows and vectors."""

    name: str

    def __init__(self, interface: Interface, slots: Slots, module: ir.Module, gemm: Gemm) -> None:
        self.interface, self.slots, self.gemm = interface, slots, gemm
        self.d, self.eq = interface.cell.derivation, interface.cell.equations
        with work(module, self.name) as (b, words, _):
            self.b, self.v = b, Vector(b, interface.dtype, interface.host)
            self.field = interface.fields[self.name].read(b, words)
            self.H, self.R = self.field["H"], self.field["R"]
            self.GH = b.mul(self.H, i64(interface.G))
            self.run()

    @abstractmethod
    def run(self) -> None:
        """Emit the loop."""

    def pointer(self, name: str) -> Value:
        """Return where an array begins."""
        return self.b.inttoptr(self.field[name], pointer)

    def number_at(self, name: str, k: Value) -> Value:
        """Return a number of an array of whole numbers."""
        return self.b.load(self.b.gep(self.pointer(name), [k], source_etype=i64), typ=i64)

    def row(self, name: str, row: Value, width: Value | None = None) -> Value:
        """Return the address of a row of an array."""
        return self.v.at(self.pointer(name), self.b.mul(row, self.H if width is None else width))

    def place(self, name: str, row: Value, column: Value, width: Value | None = None) -> Value:
        """Return the address of a number of an array."""
        return self.v.at(self.row(name, row, width), column)

    def flag(self, name: str, row: Value) -> Value:
        """Return whether a row's flag is set; the array may not be there, and then none is."""
        b = self.b
        before = b.block
        with b.if_then(self.there(name)):
            value = b.load(b.gep(self.pointer(name), [row], source_etype=i8), typ=i8)
            inside = b.block
        flag = b.phi(i8)
        flag.add_incoming(ir.Constant(i8, 0), before)
        flag.add_incoming(value, inside)
        return b.icmp_signed("!=", flag, ir.Constant(i8, 0))

    def there(self, name: str) -> Value:
        """Return whether an array, or a number that is not 0, is given."""
        return self.b.icmp_signed("!=", self.field[name], i64(0))

    def each_vector(self, body: Callable[[Value, Value | None], None], width: Value | None = None) -> None:
        """Emit `body(column, mask)` for the vectors of a row; mask is None where a vector is whole."""
        over_vectors(self.v, self.H if width is None else width, body)

    def read(self, names: Iterable[str], row: Value, column: Value, mask: Value | None) -> dict[str, Value]:
        """Return gates, states before the step, units' parameters, constants, and what was kept, by name."""
        eq, slots = self.eq, self.slots
        values: dict[str, Value] = {}
        for name in names:
            if name in eq.constants:
                values[name] = float(eq.constants[name])
                continue
            if name in eq.before:
                place = self.place(f"prev.{name.removesuffix('_prev')}", row, column)
            elif name in self.interface.cell.given:
                place = self.place(f"unit.{name}", row, column)
            elif name in eq.params:
                place = self.v.at(self.pointer(f"unit.{name}"), column)
            elif name in slots.extra:
                place = self.extra(name, row, column)
            else:
                block = eq.gates.index(name) if name in eq.gates else slots.block[name]
                place = self.gate_at("a", block, row, column)
            values[name] = self.v.load(place, mask)
        return values

    def gate_at(self, array: str, gate: int, row: Value, column: Value) -> Value:
        """Return the address of a number in a gate's block."""
        return self.place(array, row, self.b.add(self.b.mul(self.H, i64(gate)), column), self.GH)

    def extra(self, name: str, row: Value, column: Value) -> Value:
        """Return the address of a number of an extra array."""
        before = self.b.mul(self.R, i64(self.slots.extra[name]))
        return self.place("slots", self.b.add(before, row), column)

    def operand(self, A: Value, lda: Value, M: Value, K: Value) -> tuple[Value, Value, Value]:
        """Return where a product's rows (M, K) are, their stride, and their length, as the product counts."""
        if not isinstance(self.gemm, Gemm16):
            return A, lda, K
        to, pairs = self.pointer("narrow"), self.b.sdiv(self.b.add(K, i64(1)), i64(2))
        self.b.call(self.gemm.narrow, [A, lda, M, K, to, pairs])
        return to, pairs, pairs

    def multiply(
        self, A: tuple[Value, Value, Value], B: Value, C: Value, ldc: Value, M: Value, N: Value
    ) -> None:
        """Add the product of an operand (M, K) and a packed B (K, N) to C (M, N)."""
        at, lda, K = A
        one, panel = i64(1), self.b.mul(K, i64(self.gemm.width))
        self.b.call(self.gemm.product, Product(at, lda, one, M, B, panel, K, C, ldc, N, one))

    def fill(self, array: str, row: Value, width: Value | None = None) -> None:
        """Set a row to zeros."""
        v, value = self.v, self.v.const(0.0)
        self.each_vector(lambda column, m: v.store(value, self.place(array, row, column, width), m), width)

    def copy(self, source: str, row: Value, to: str, to_row: Value, *, add: bool = False) -> None:
        """Copy a row of an array to a row of another, or add it."""
        v = self.v

        def body(column: Value, mask: Value | None) -> None:
            value, place = v.load(self.place(source, row, column), mask), self.place(to, to_row, column)
            v.store(v.add(v.load(place, mask), value) if add else value, place, mask)

        self.each_vector(body)
