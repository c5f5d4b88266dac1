"""The time loops of a cell, forward and backward, as one compiled function each.

What :mod:`bptt.layer.reference` does step by step in NumPy, for some rows of a batch in one call, so that no
Python runs between steps and several threads can each take rows of their own. The products x W, h U and
da Uᵀ, da Wᵀ stay in registers (:mod:`bptt.kernels.llvm.gemm`); the cell's own arithmetic follows while what
it reads is in the cache (:mod:`bptt.kernels.llvm.pointwise`), from the same derivation that is printed.

Arrays (:mod:`.interface` lists them) run over *rows*: all steps of all sequences. Step k of the loop has
`counts[k]` rows that start at row `starts[k]`; so time may run in either direction, and sequences may end
early, without a test inside. Numbers of equations are those of :mod:`bptt.layer.reference`.
"""

from collections.abc import Iterable, Mapping
from functools import partial

from llvmlite import ir

from bptt.derive.backward import Pass
from bptt.derive.proof import prove
from bptt.kernels.cell.interface import Interface
from bptt.kernels.cell.loop import Loop, Slots
from bptt.kernels.llvm import pointwise
from bptt.kernels.llvm.bfloat16 import Gemm16
from bptt.kernels.llvm.gemm import Gemm
from bptt.kernels.llvm.loops import count_loop, i64
from bptt.kernels.llvm.vector import Value


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


class _Forward(Loop):
    name = "forward"

    def run(self) -> None:
        b, d, output = self.b, self.d, self.eq.states[0]
        with count_loop(b, self.field["steps"]) as k:
            start, n = self.number_at("starts", k), self.number_at("counts", k)
            with count_loop(b, n) as j:
                self.enter(b.add(start, j), j)
                self.begin(b.add(start, j))  # (1) a = b + b_h, and the token's row of W
            with b.if_then(b.and_(self.there("x"), b.not_(self.there("ahead")))):
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
            with b.if_then(self.there(f"after.{output}")), count_loop(b, n) as j:
                for s in self.eq.states:
                    self.copy(f"carry.{s}", j, f"after.{s}", b.add(start, j))

    def begin(self, row: Value) -> None:
        """Start the pre-activations with the biases, and with the token's row of the table."""
        b, v = self.b, self.v

        def body(
            column: Value, mask: Value | None, part: tuple[str, Value] | None = None, offset: Value = None
        ) -> None:
            column = column if offset is None else b.add(offset, column)
            value = v.load(v.at(self.pointer("bias"), column), mask)
            if part is not None:
                value = v.add(v.load(self.place(*part, column, self.GH), mask), value)
            v.store(value, self.place("a", row, column, self.GH), mask)

        with b.if_else(self.there("tokens")) as (then, otherwise):
            with then:
                token = self.number_at("tokens", row)
                self.each_vector(partial(body, part=("table", token)), self.GH)
            with otherwise, b.if_else(self.there("ahead")) as (is_made, is_not):
                with is_made:
                    for first, last, is_fed in self.fed():
                        part = ("a", row) if is_fed else None
                        from_here = partial(body, part=part, offset=b.mul(self.H, i64(first)))
                        self.each_vector(from_here, b.mul(self.H, i64(last - first)))
                with is_not:
                    self.each_vector(body, self.GH)

    def fed(self) -> Iterable[tuple[int, int, bool]]:
        """Return neighbouring gates, the first and the one after the last, and whether W feeds them."""
        end = 0
        for gates, _ in sorted(self.interface.products["W"], key=lambda run: run[0].start):
            if gates.start > end:
                yield end, gates.start, False
            yield gates.start, gates.stop, True
            end = gates.stop
        if end < self.interface.G:
            yield end, self.interface.G, False

    def enter(self, row: Value, j: Value) -> None:
        """Keep the states as the step finds them: those carried, or after a reset the first."""
        with self.b.if_then(self.flag("reset", row)):
            for s in self.eq.states:
                with self.b.if_else(self.there(f"start.{s}")) as (then, otherwise):
                    with then:
                        self.copy(f"start.{s}", i64(0), f"carry.{s}", j)
                    with otherwise:
                        self.fill(f"carry.{s}", j)
        for s in self.eq.states:
            self.copy(f"carry.{s}", j, f"prev.{s}", row)

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


class _Backward(Loop):
    name = "backward"

    def run(self) -> None:
        b, d, eq = self.b, self.d, self.eq
        output = self.pointer(f"dcarry.{eq.states[0]}")
        with count_loop(b, self.field["steps"], down=True) as k:
            start, n = self.number_at("starts", k), self.number_at("counts", k)
            with b.if_then(self.there(f"dafter.{eq.states[0]}")), count_loop(b, n) as j:
                for s in eq.states:
                    self.copy(f"dafter.{s}", b.add(start, j), f"dcarry.{s}", j, add=True)
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
            with b.if_then(b.and_(self.there("dx"), b.not_(self.there("ahead")))):
                with count_loop(b, n) as j:
                    self.fill("dx", b.add(start, j), self.field["D"])
                self.back("W", self.row("dx", start, self.field["D"]), start, n, self.field["D"])
            with count_loop(b, n) as j, b.if_then(self.flag("reset", b.add(start, j))):
                for s in eq.states:
                    with b.if_then(self.there(f"dstart.{s}")):
                        self.copy(f"dcarry.{s}", j, f"dstart.{s}", j, add=True)
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
            if name in p.gradients and name not in self.interface.cell.given:
                place = self.place(f"dunit.{name}", j, column)
                self.v.store(self.v.add(self.v.load(place, mask), values[p.gradients[name]]), place, mask)
