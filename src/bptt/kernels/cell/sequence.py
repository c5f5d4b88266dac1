"""The time loops of a cell, forward and backward, as one compiled function each.

What :mod:`bptt.layer.reference` does step by step in NumPy, for some rows of a batch in one call, so that no
Python runs between steps and several threads can each take rows of their own. The products x W, h U and
da Uᵀ, da Wᵀ stay in registers (:mod:`bptt.kernels.llvm.gemm`); the cell's own arithmetic follows while what
it reads is in the cache (:mod:`bptt.kernels.llvm.pointwise`), from the same derivation that is printed.

Arrays (:mod:`.interface` lists them) run over *rows*: all steps of all sequences. Step k of the loop has
`counts[k]` rows that start at row `starts[k]`; so time may run in either direction, and sequences may end
early, without a test inside. Numbers of equations are those of :mod:`bptt.layer.reference`.
"""

from collections.abc import Iterable
from functools import partial

from llvmlite import ir
from sympy import Add, Integer, Symbol

from bptt.derive.algebra import names_in
from bptt.derive.axes import Axes
from bptt.derive.backward import Derivation, Line, Pass
from bptt.derive.proof import prove
from bptt.kernels.cell.interface import Interface
from bptt.kernels.cell.loop import Loop
from bptt.kernels.cell.slots import Slots, counts
from bptt.kernels.llvm.loops import count_loop, i64
from bptt.kernels.llvm.stages import Write
from bptt.kernels.llvm.tiles import gemm_for
from bptt.kernels.llvm.vector import Value


def module(interface: Interface) -> ir.Module:
    """Return the code of the works ``forward`` and ``backward``; the derivation is proven first.

    Functions ``extra(k)`` and ``scratch(k)`` return how many values with a set of axes (:func:`.slots.kinds`)
    are in ``slots``, and in ``scratch``.
    """
    parts = interface.parts
    d = interface.cell.derivation if parts.still is None else Derivation(parts.moving)
    still = None if parts.still is None else Derivation(parts.still)
    prove(d, still)
    if still is not None:
        prove(still)
    slots = Slots(d, interface.axes)
    made = ir.Module(f"bptt_{interface.dtype}")
    host = interface.host
    kind = "bfloat16" if interface.is_narrow else interface.dtype
    gemm = gemm_for(kind, host)(made, kind, host)
    loops = [loop(interface, d, still, slots, made, gemm) for loop in (_Forward, _Backward)]
    scratch = [max(some) for some in zip(*(loop.scratch for loop in loops), strict=True)]
    for name, numbers in (("extra", counts(slots.extra.values())), ("scratch", scratch)):
        function = ir.Function(made, ir.FunctionType(i64, [i64]), name)
        b = ir.IRBuilder(function.append_basic_block("entry"))
        found: Value = i64(0)
        for k, count in enumerate(numbers):
            found = b.select(b.icmp_signed("==", function.args[0], i64(k)), i64(count), found)
        b.ret(found)
    return made


class _Forward(Loop):
    name = "forward"

    def run(self) -> None:
        b, d, eq = self.b, self.d, self.eq
        passes = dict(zip(self.interface.operands[1:], d.operands, strict=True))
        self.once()
        with count_loop(b, self.field["steps"]) as k:
            start, n = self.number_at("starts", k), self.number_at("counts", k)
            with count_loop(b, n) as j:
                self.enter(b.add(start, j), j)
                self.begin(b.add(start, j))  # (1) a = b + b_h, and the token's row of W
            with b.if_then(b.and_(self.there("x"), b.not_(self.there("ahead")))):
                self.feed("W", "x", start, n, self.field["D"])  # (1) a += x W
            for i, q in enumerate(self.interface.operands):
                taken, width = self.interface.taken(q), self.width(self.axes[q])
                if q in self.interface.made:
                    with count_loop(b, n) as j:
                        row = b.add(start, j)
                        to = {Write(Symbol(q), taken, self.axes[q]): self.row(taken, row, width)}
                        self.step(passes[q], row, j, to)  # (1) q
                self.feed(f"U{i}", taken, start, n, width)  # (1) a += h_prev U, a += q U_q
            with count_loop(b, n) as j:
                row = b.add(start, j)
                with b.if_else(self.flag("present", row, otherwise=True)) as (then, otherwise):
                    with then:
                        self.main(row, j)  # (2) (3)
                    with otherwise:
                        y = self.width(self.axes[eq.states[0]])
                        self.fill(self.row("y", row, y), y)
            with b.if_then(self.there(f"after.{eq.states[0]}")), count_loop(b, n) as j:
                for s in eq.states:
                    to = self.state("after", s, b.add(start, j))
                    self.copy(self.state("carry", s, j), to, self.width(self.axes[s]))

    def begin(self, row: Value) -> None:
        """Start the pre-activations with the biases, and with the token's row of the table."""
        b, v = self.b, self.v
        bias, a = self.pointer("bias"), self.row("a", row, self.GH)

        def body(
            column: Value, mask: Value | None, part: Value | None = None, offset: Value | None = None
        ) -> None:
            column = column if offset is None else b.add(offset, column)
            value = v.load(v.at(bias, column), mask)
            if part is not None:
                value = v.add(v.load(v.at(part, column), mask), value)
            v.store(value, v.at(a, column), mask)

        with b.if_else(self.there("tokens")) as (then, otherwise):
            with then:
                token = self.row("table", self.number_at("tokens", row), self.GH)
                self.each_vector(partial(body, part=token), self.GH)
            with otherwise, b.if_else(self.there("ahead")) as (is_made, is_not):
                with is_made:
                    for run, is_fed in self.fed():
                        from_here = partial(body, part=a if is_fed else None, offset=self.offsets[run[0]])
                        self.each_vector(from_here, self.columns(run))
                with is_not:
                    self.each_vector(body, self.GH)

    def fed(self) -> Iterable[tuple[tuple[int, int], bool]]:
        """Return neighbouring gates, the first and the one after the last, and whether W feeds them."""
        end = 0
        for run in sorted(self.interface.products["W"]):
            if run[0] > end:
                yield (end, run[0]), False
            yield run, True
            end = run[1]
        if end < len(self.eq.gates):
            yield (end, len(self.eq.gates)), False

    @property
    def late(self) -> tuple[str, ...]:
        """The states that are kept by the step that reads them: one with keys is too large to be copied."""
        early = {q.removesuffix("_prev") for q in self.interface.operands}
        return tuple(s for s in self.eq.states if {"unit", "key"} <= self.axes[s] and s not in early)

    def where(self, name: str, row: Value) -> Value:
        state = name.removesuffix("_prev")
        if name in self.eq.before and state in self.late:
            return self.state("carry", state, self.sequence)
        if name in self.eq.gates:
            return self.gate("a", self.eq.gates.index(name), row)
        return super().where(name, row)

    def enter(self, row: Value, j: Value) -> None:
        """Keep the states as the step finds them: those carried, or after a reset the first."""
        with self.b.if_then(self.flag("reset", row)):
            for s in self.eq.states:
                at, width = self.state("carry", s, j), self.width(self.axes[s])
                with self.b.if_else(self.there(f"start.{s}")) as (then, otherwise):
                    with then:
                        self.copy(self.pointer(f"start.{s}"), at, width)
                    with otherwise:
                        self.fill(at, width)
        for s in self.eq.states:
            if s not in self.late:
                self.copy(self.state("carry", s, j), self.state("prev", s, row), self.width(self.axes[s]))

    def feed(self, name: str, operand: str, start: Value, n: Value, size: Value) -> None:
        """Add the product of some rows of `operand` (R, size) to the gates that it feeds."""
        if not self.interface.products[name]:
            return
        A = self.operand(self.row(operand, start, size), size, n, size)
        for k, run in enumerate(self.interface.products[name]):
            self.multiply(A, f"{name}.{k}", self.gate("a", run[0], start), self.GH, n, self.columns(run))

    def main(self, row: Value, j: Value) -> None:
        """Emit the step: its output, and the states after it in the place of those before."""
        to: dict[Write, Value] = {}
        for s in self.eq.states:
            axes, ends = self.axes[s], (f"{s}_prev",) if s in self.late else ()
            to[Write(Symbol(s), f"carry.{s}", axes, ends=ends)] = self.state("carry", s, j)
            if s in self.late and f"{s}_prev" in self.slots.kept:
                to[Write(Symbol(f"{s}_prev"), f"prev.{s}", axes)] = self.state("prev", s, row)
        h = self.eq.states[0]
        to[Write(Symbol(h), "put out", self.axes[h])] = self.row("y", row, self.width(self.axes[h]))
        self.step(self.d.main, row, j, to)

    def step(self, p: Pass, row: Value, j: Value, to: dict[Write, Value]) -> None:
        """Emit a pass over a row, for a sequence; what is put out goes to places, what is kept to its own."""
        self.sequence = j
        slots = self.slots
        for name in p.kept:
            ends: tuple[str, ...] = ()
            if name in slots.extra:
                if p is self.d.main and name in slots.early:
                    continue
            elif name in slots.block and name not in self.eq.gates:
                ends = (self.eq.gates[slots.block[name]],)
            else:
                continue
            to[Write(Symbol(name), f"kept {name}", self.axes[name], ends=ends)] = super().where(name, row)
        self.emit(p.forward, row, {}, to)


class _Backward(Loop):
    name = "backward"

    def run(self) -> None:
        b, d, eq, k_ = self.b, self.d, self.eq, self.interface
        passes = dict(zip(k_.operands[1:], d.operands, strict=True))
        self.once()
        with count_loop(b, self.field["steps"], down=True) as k:
            start, n = self.number_at("starts", k), self.number_at("counts", k)
            with b.if_then(self.there(f"dafter.{eq.states[0]}")), count_loop(b, n) as j:
                for s in eq.states:
                    after = self.state("dafter", s, b.add(start, j))
                    self.copy(after, self.state("dcarry", s, j), self.width(self.axes[s]), add=True)
            with count_loop(b, n) as j:
                row = b.add(start, j)
                with b.if_else(self.flag("present", row, otherwise=True)) as (then, otherwise):
                    with then:
                        self.main(row, j)  # (3) (2) dh, da, dstates_prev
                    with otherwise:
                        self.fill(self.row("da", row, self.GH), self.GH)
                        for p in k_.cell.inputs:
                            self.fill(self.sum(p, row, j), self.width(self.axes[p]))
            for i, q in reversed([*enumerate(k_.operands)]):
                width = self.width(self.axes[q])
                if q not in k_.made:
                    is_last = b.and_(self.there("ends"), b.icmp_signed("==", k, i64(0)))
                    with b.if_then(b.not_(is_last)):  # (1) dh_prev += da Uᵀ
                        state = self.state("dcarry", q.removesuffix("_prev"), i64(0))
                        self.back(f"U{i}", state, start, n, width)
                    continue
                with count_loop(b, n) as j:
                    self.fill(self.row("dq", j, width), width)
                self.back(f"U{i}", self.pointer("dq"), start, n, width)  # (1) dq = da U_qᵀ
                with count_loop(b, n) as j:
                    row = b.add(start, j)
                    with b.if_then(
                        self.flag("present", row, otherwise=True)
                    ):  # else nothing is kept to be read
                        self.operand_step(passes[q], q, row, j)
            with b.if_then(b.and_(self.there("dx"), b.not_(self.there("ahead")))):
                D = self.field["D"]
                with count_loop(b, n) as j:
                    self.fill(self.row("dx", b.add(start, j), D), D)
                self.back("W", self.row("dx", start, D), start, n, D)
            with count_loop(b, n) as j, b.if_then(self.flag("reset", b.add(start, j))):
                for s in eq.states:
                    at, width = self.state("dcarry", s, j), self.width(self.axes[s])
                    with b.if_then(self.there(f"dstart.{s}")):
                        self.copy(at, self.state("dstart", s, j), width, add=True)
                    self.fill(at, width)
        if self.still is not None:
            with count_loop(b, self.field["n"]) as j:
                self.pull_back(self.still.main, j)

    def pull_back(self, p: Pass, j: Value) -> None:
        """Emit the gradient at parameters of what was computed once, from its sum over a sequence's steps."""
        seeds = {p.seeds[v]: (self.axes[v], self.sum(v, i64(0), j)) for v in p.seeds}
        self.emit((*p.forward, *p.backward), i64(0), seeds, self.sums(p, i64(0), j))

    def back(self, name: str, into: Value, start: Value, n: Value, size: Value) -> None:
        """Add the gates' gradients, through the transposed product, to rows of `into` (n, size)."""
        for k, run in enumerate(self.interface.products[name]):
            A = self.operand(self.gate("da", run[0], start), self.GH, n, self.columns(run))
            self.multiply(A, f"{name}.{k}", into, size, n, size)

    def sum(self, name: str, row: Value, j: Value) -> Value:
        """Return where the gradient at a parameter is summed, or the one at an input is written."""
        at, array = j, "dstill" if name in self.interface.parts.made else "dunit"
        if name in self.interface.cell.inputs:
            at, array = row, "dgiven"
        return self.row(f"{array}.{name}", at, self.width(self.axes[name]))

    def main(self, row: Value, j: Value) -> None:
        """Emit the step backwards, from dy and the gradient at the states after it."""
        p, eq, lines, given, to = self.d.main, self.eq, list[Line](), dict[str, tuple[Axes, Value]](), {}
        for k, s in enumerate(eq.states):
            axes, carry = self.axes[s], self.state("dcarry", s, j)
            name = p.seeds[s]
            if k == 0:  # (3)
                y = self.row("dy", row, self.width(axes))
                given |= {".carry": (axes, carry), ".y": (axes, y)}
                lines.append(Line(name, Add(Symbol(".carry"), Symbol(".y"), evaluate=False), ()))
                name = ".carry"
            else:
                given[name] = axes, carry
            value = self.gradient(p, f"{s}_prev")
            to[Write(value, f"dcarry.{s}", axes, ends=(name,))] = carry
        for g, gate in enumerate(eq.gates):
            ends = tuple(n for n, block in self.slots.block.items() if block == g)
            to[Write(self.gradient(p, gate), f"da.{g}", self.axes[gate], ends=ends)] = self.gate("da", g, row)
        for name in self.interface.cell.inputs:
            to[Write(self.gradient(p, name), f"d {name}", self.axes[name])] = self.sum(name, row, j)
        self.emit((*lines, *p.again, *p.backward), row, given, to | self.sums(p, row, j))

    def gradient(self, p: Pass, name: str) -> Symbol | Integer:
        """Return the name of the gradient at an argument, or 0 where there is none."""
        return Symbol(p.gradients[name]) if name in p.gradients else Integer(0)

    def operand_step(self, p: Pass, q: str, row: Value, j: Value) -> None:
        """Emit an operand's pass backwards: what it adds to the gradients at gates and states."""
        eq, to = self.eq, self.sums(p, row, j)
        for name in p.gradients:
            value, axes = self.gradient(p, name), self.axes[name]
            if name in eq.gates:
                place = self.gate("da", eq.gates.index(name), row)
            elif name in eq.before:
                place = self.state("dcarry", name.removesuffix("_prev"), j)
            elif name in self.interface.cell.inputs:
                place = self.sum(name, row, j)
            else:
                continue
            to[Write(value, f"d {name}", axes, add=True)] = place
        seed = {p.seeds[q]: (self.axes[q], self.row("dq", j, self.width(self.axes[q])))}
        self.emit((*p.again, *p.backward), row, seed, to)

    def sums(self, p: Pass, row: Value, j: Value) -> dict[Write, Value]:
        """Return the gradient at units' parameters, to be added for each sequence apart, whoever runs it."""
        return {
            Write(self.gradient(p, name), f"d {name}", self.axes[name], add=True): self.sum(name, row, j)
            for name in (*self.interface.learnt, *self.learnt_once)
            if name in p.gradients
        }

    @property
    def learnt_once(self) -> set[str]:
        """What is computed once and has a gradient that reaches parameters."""
        if self.still is None:
            return set()
        p = self.still.main
        read = names_in(line.expr for line in p.backward) | {*p.gradients.values()}
        return {v for v, seed in p.seeds.items() if seed in read}
