"""The time loops of a cell, forward and backward, as one compiled function each.

What :mod:`bptt.layer.reference` does step by step in NumPy, for some rows of a batch in one call, so that no
Python runs between steps and several threads can each take rows of their own. The products x W, h U and
da Uᵀ, da Wᵀ stay in registers (:mod:`bptt.kernels.llvm.gemm`); the cell's own arithmetic follows while what
it reads is in the cache (:mod:`bptt.kernels.llvm.pointwise`), from the same derivation that is printed.

Arrays (:mod:`.interface` lists them) run over *rows*: all steps of all sequences. Step k of the loop has
`counts[k]` rows that start at row `starts[k]`; so time may run in either direction, and sequences may end
early, without a test inside. Numbers of equations are those of :mod:`bptt.layer.reference`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from llvmlite import ir

from bptt.derive.backward import Derivation, Pass
from bptt.derive.proof import prove
from bptt.kernels.cell.interface import Interface
from bptt.kernels.llvm import pointwise
from bptt.kernels.llvm.bfloat16 import Gemm16
from bptt.kernels.llvm.gemm import Gemm, Product
from bptt.kernels.llvm.loops import count_loop, i8, i64, pointer
from bptt.kernels.llvm.vector import Value, Vector
from bptt.kernels.runtime.pool import work


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


def module(interface: Interface) -> ir.Module:
    """Return the code of the works ``forward`` and ``backward``; the derivation is proven first.

    A function ``extra()`` returns how many arrays ``slots`` has.
    """
    d = interface.cell.derivation
    prove(d)
    slots = Slots(d)
    made = ir.Module(f"bptt_{interface.dtype}")
    host = interface.host
    gemm = Gemm16(made, host) if interface.is_narrow else Gemm(made, interface.dtype, host)
    for loop in (_Forward, _Backward):
        loop(interface, slots, made, gemm)
    extra = ir.Function(made, ir.FunctionType(i64, []), "extra")
    ir.IRBuilder(extra.append_basic_block("entry")).ret(i64(len(slots.extra)))
    return made


class _Loop(ABC):
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
        return self.b.inttoptr(self.field[name], pointer)

    def number_at(self, name: str, k: Value) -> Value:
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
        """Return whether an array is given."""
        return self.b.icmp_signed("!=", self.field[name], i64(0))

    def each_vector(self, body: Callable[[Value, Value | None], None], width: Value | None = None) -> None:
        """Emit `body(column, mask)` for the vectors of a row; mask is None where a vector is whole."""
        b, L = self.b, self.v.lanes
        width = self.H if width is None else width
        whole = b.sdiv(width, i64(L))
        with count_loop(b, whole) as k:
            body(b.mul(k, i64(L)), None)
        column = b.mul(whole, i64(L))
        left = b.sub(width, column)
        with b.if_then(b.icmp_signed(">", left, i64(0))):
            body(column, self.v.tail(left))

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
        return self.place(array, row, self.b.add(self.b.mul(self.H, i64(gate)), column), self.GH)

    def extra(self, name: str, row: Value, column: Value) -> Value:
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
        v, zero = self.v, self.v.const(0.0)
        self.each_vector(lambda column, m: v.store(zero, self.place(array, row, column, width), m), width)


class _Forward(_Loop):
    name = "forward"

    def run(self) -> None:
        b, d, output = self.b, self.d, self.eq.states[0]
        with count_loop(b, self.field["steps"]) as k:
            start, n = self.number_at("starts", k), self.number_at("counts", k)
            with count_loop(b, n) as j:
                self.enter(b.add(start, j), j)
                self.begin(b.add(start, j))  # (1) a = b + b_h, and the token's row of W
            with b.if_then(self.there("x")):
                self.feed("W", "x", start, n, self.field["D"])  # (1) a += x W
            self.feed("U", f"prev.{output}", start, n, self.H)  # (1) a += h_prev U
            if d.operand is not None:
                q = next(iter(self.eq.operand.values()))
                with count_loop(b, n) as j:
                    self.step(d.operand, b.add(start, j), [(q, "q", b.add(start, j))])  # (1) q
                self.feed("Uq", "q", start, n, self.H)  # (1) a += q U_q
            with count_loop(b, n) as j:
                row = b.add(start, j)
                with b.if_else(self.flag("absent", row)) as (then, otherwise):
                    with then:
                        self.fill("y", row)
                    with otherwise:  # (2) (3)
                        carried = [(s, f"carry.{s}", j) for s in self.eq.states]
                        self.step(d.main, row, [*carried, (output, "y", row)])

    def begin(self, row: Value) -> None:
        """Start the pre-activations with the biases, and with the token's row of the table."""
        b, v = self.b, self.v

        def body(column: Value, mask: Value | None, token: Value | None = None) -> None:
            value = v.load(v.at(self.pointer("bias"), column), mask)
            if token is not None:
                value = v.add(v.load(self.place("table", token, column, self.GH), mask), value)
            v.store(value, self.place("a", row, column, self.GH), mask)

        with b.if_else(self.there("tokens")) as (then, otherwise):
            with then:
                self.each_vector(partial(body, token=self.number_at("tokens", row)), self.GH)
            with otherwise:
                self.each_vector(body, self.GH)

    def enter(self, row: Value, j: Value) -> None:
        """Keep the states as the step finds them: those carried, which a reset makes zeros."""
        v = self.v
        with self.b.if_then(self.flag("reset", row)):
            for s in self.eq.states:
                self.fill(f"carry.{s}", j)
        for s in self.eq.states:

            def copy(column: Value, mask: Value | None, s: str = s) -> None:
                value = v.load(self.place(f"carry.{s}", j, column), mask)
                v.store(value, self.place(f"prev.{s}", row, column), mask)

            self.each_vector(copy)

    def feed(self, name: str, operand: str, start: Value, n: Value, size: Value) -> None:
        """Add the product of some rows of `operand` (R, size) to the gates that it feeds."""
        if not self.interface.products[name]:
            return
        A = self.operand(self.row(operand, start, size), size, n, size)
        for k, (gates, _) in enumerate(self.interface.products[name]):
            C = self.gate_at("a", gates.start, start, i64(0))
            columns = self.b.mul(self.H, i64(gates.stop - gates.start))
            self.multiply(A, self.pointer(f"{name}.{k}"), C, self.GH, n, columns)

    def step(self, p: Pass, row: Value, outputs: list[tuple[str, str, Value]]) -> None:
        """Emit a pass over a row; what is put out goes each to a row of an array."""
        made = {s.name for s in p.statements}
        read = [n for n in dict.fromkeys(n for s in p.statements for n in s.reads) if n not in made]

        def body(column: Value, mask: Value | None) -> None:
            v, slots = self.v, self.slots
            values = pointwise.emit(v, p.forward, self.read(read, row, column, mask))
            values = {name: v.const(x) if isinstance(x, float) else x for name, x in values.items()}
            for name in p.kept:
                if name in slots.extra:
                    v.store(values[name], self.extra(name, row, column), mask)
                elif name in slots.block and name not in self.eq.gates:
                    v.store(values[name], self.gate_at("a", slots.block[name], row, column), mask)
            for name, array, to in outputs:
                v.store(values[name], self.place(array, to, column), mask)

        self.each_vector(body)


class _Backward(_Loop):
    name = "backward"

    def run(self) -> None:
        b, d, eq = self.b, self.d, self.eq
        output = self.pointer(f"dcarry.{eq.states[0]}")
        with count_loop(b, self.field["steps"], down=True) as k:
            start, n = self.number_at("starts", k), self.number_at("counts", k)
            with count_loop(b, n) as j:
                row = b.add(start, j)
                with b.if_else(self.flag("absent", row)) as (then, otherwise):
                    with then:
                        self.fill("da", row, self.GH)
                    with otherwise:
                        self.step(row, j)  # (3) (2) dh, da, dstates_prev
            if d.operand is not None:
                with count_loop(b, n) as j:
                    self.fill("dq", j)
                self.back("Uq", self.pointer("dq"), start, n, self.H)  # (1) dq = da U_qᵀ
                with count_loop(b, n) as j:
                    self.operand_step(b.add(start, j), j)
            self.back("U", output, start, n, self.H)  # (1) dh_prev += da Uᵀ
            with b.if_then(self.there("dx")):
                with count_loop(b, n) as j:
                    self.fill("dx", b.add(start, j), self.field["D"])
                self.back("W", self.row("dx", start, self.field["D"]), start, n, self.field["D"])
            with count_loop(b, n) as j, b.if_then(self.flag("reset", b.add(start, j))):
                for s in eq.states:
                    self.fill(f"dcarry.{s}", j)

    def back(self, name: str, into: Value, start: Value, n: Value, size: Value) -> None:
        """Add the gates' gradients, through the transposed product, to rows of `into` (n, size)."""
        for k, (gates, _) in enumerate(self.interface.products[name]):
            rows = self.b.mul(self.H, i64(gates.stop - gates.start))
            A = self.operand(self.gate_at("da", gates.start, start, i64(0)), self.GH, n, rows)
            self.multiply(A, self.pointer(f"{name}.{k}"), into, size, n, size)

    def step(self, row: Value, j: Value) -> None:
        p, eq, v = self.d.main, self.eq, self.v

        def body(column: Value, mask: Value | None) -> None:
            values = self.read((*p.kept, *eq.constants), row, column, mask)
            carries = {s: self.place(f"dcarry.{s}", j, column) for s in eq.states}
            for s, seed in p.seeds.items():
                values[seed] = v.load(carries[s], mask)
            seed = p.seeds[eq.states[0]]
            values[seed] = v.add(values[seed], v.load(self.place("dy", row, column), mask))
            values = pointwise.emit(v, (*p.again, *p.backward), values)
            zero = v.const(0.0)
            for g, gate in enumerate(eq.gates):
                v.store(values.get(p.gradients.get(gate, ""), zero), self.gate_at("da", g, row, column), mask)
            for s in eq.states:
                v.store(values.get(p.gradients.get(f"{s}_prev", ""), zero), carries[s], mask)
            self.sum_units(p, values, j, column, mask)

        self.each_vector(body)

    def operand_step(self, row: Value, j: Value) -> None:
        p, eq, v = self.d.operand, self.eq, self.v
        assert p is not None
        (seed,) = p.seeds.values()

        def body(column: Value, mask: Value | None) -> None:
            values = self.read((*p.kept, *eq.constants), row, column, mask)
            values[seed] = v.load(self.place("dq", j, column), mask)
            values = pointwise.emit(v, (*p.again, *p.backward), values)
            for name, gradient in p.gradients.items():
                if name in eq.gates:
                    place = self.gate_at("da", eq.gates.index(name), row, column)
                elif name in eq.before:
                    place = self.place(f"dcarry.{name.removesuffix('_prev')}", j, column)
                else:
                    continue
                v.store(v.add(v.load(place, mask), values[gradient]), place, mask)
            self.sum_units(p, values, j, column, mask)

        self.each_vector(body)

    def sum_units(
        self, p: Pass, values: Mapping[str, Value], j: Value, column: Value, mask: Value | None
    ) -> None:
        """Add to the gradient at units' parameters, for each sequence apart, whoever runs the others."""
        for name in self.eq.params:
            if name in p.gradients:
                place = self.place(f"dunit.{name}", j, column)
                self.v.store(self.v.add(self.v.load(place, mask), values[p.gradients[name]]), place, mask)
