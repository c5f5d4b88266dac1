"""The lines of one step in PyTorch, forward and backward.

W, U and b are those of :func:`bptt.unroll`, a block of columns for each gate, so that one product makes all
that x or h_prev gives. The rest is as the page has it.
"""

import ast
from collections.abc import Callable

from sympy import Add, Symbol

from bptt.derive.algebra import function, names_in, sum_of
from bptt.derive.axes import axes_of
from bptt.derive.backward import Line
from bptt.derive.equations import Statement
from bptt.derive.torch_names import TorchNames


class TorchStep(TorchNames):
    """One step's lines; their names and arrays are those of :class:`TorchNames`."""

    # -- forward

    def equations(self) -> list[str]:
        """Return the lines from the input and the states before to the states."""
        return self._equations(cast=False)

    def forward(self) -> list[str]:
        """Return the lines of a Function's forward; under autocast products alone have another dtype."""
        matrix = next(iter(self.arrays))
        taken = [self.x] * bool(self.from_x) + [self.h] * bool(self.from_h or self.from_q)
        handed = (self.called(q) for q in self.eq.operands if q in self.eq.before)
        taken += [q for q in handed if q != self.h]
        to = ", ".join(f"{name}.to({matrix}.dtype)" for name in taken)
        lines = [f"{', '.join(taken)} = {to}  # under autocast they may have another"]
        lines += self._equations(cast=self._may_be_lower())
        saved = f"ctx.save_for_backward({', '.join(self._saved()[0])})"
        return [*lines, saved, f"return {self.returned()}"]

    def returned(self) -> str:
        """Return the states as a step hands them over."""
        return ", ".join(map(self.axes.flattened, self.states))

    def _may_be_lower(self) -> bool:
        """Return whether a state or the operand is made of products alone, to which no bias is added."""
        full = {*self.eq.params, *self.inputs, *(self.from_x if self.eq.bias else ())}
        full |= {f"{self.whole.h}_prev"} if self.from_h or self.from_q else set()
        for s in self.reached.statements:
            match s.expr:  # a condition gives nothing of its dtype
                case ast.Call(ast.Name("where"), [_, *values]):
                    read = {n.id for v in values for n in ast.walk(v) if isinstance(n, ast.Name)}
                case _:
                    read = {*s.reads}
            if read & full:
                full.add(s.name)
        return not {*self.eq.states, *self.eq.operands} <= full

    def _equations(self, *, cast: bool) -> list[str]:
        bias = f" + {self.b}" if self.b in self.arrays else ""

        def made(product: str, array: str, bias: str = "") -> str:
            return f"({product}).to({array}.dtype)" if cast and not bias else product + bias

        lines = self._split(self.before, self._unlike())
        if self._together and not self.from_q:
            both = f"{self.x} @ {self.W} + {self.h} @ {self.U_h}"
            lines.append(self._parts(self.from_x, self.from_x, made(both, self.W, bias)))
        else:
            for kind, gates, product in (
                ("x", self.from_x, made(f"{self.x} @ {self.W}", self.W, bias)),
                ("u", self.from_h, made(f"{self.h} @ {self.U_h}", self.U) if self.from_h else ""),
            ):
                lines += [self._parts([self._part[kind, g] for g in gates], gates, product)] if gates else []
            whole = [g for g in self.from_h if g[0] == "a"]
            lines += [f"{g} = {self._part['x', g]} + {self._part['u', g]}" for g in whole]
        handed = [(q, gates) for q, gates in self.eq.operands.items() if q in self.eq.before]
        lines += [self._through(g, q, made) for q, gates in handed for g in gates]
        if self.axes.deep:
            own = [self.x] if self.x in self.eq.inputs else []
            named = [*self.eq.made_first, *own, *self.inputs, *self.eq.before, *self.eq.params]
            lines += [self.axes.unflattened(n, self.called(n)) for n in named]
        values = [
            line
            for s in self.reached.statements
            for line in (
                *([f"{self.called(s.name)} = {self._value(s)}  # ({s.number})"] * (s not in self.numbers)),
                *(self._through(g, s.name, made, inside=True) for g in self.eq.operands.get(s.name, ())),
            )
        ]
        there = (*self.eq.made_first, *self.eq.before, *self.eq.params)
        sizes = self.axes.size("\n".join(values), there, f"{self.h}.new_ones")
        return [*lines, *filter(None, sizes.split("\n")), *values]

    def _through(self, g: str, q: str, made: Callable[..., str], *, inside: bool = False) -> str:
        """Return the line of a gate that takes an operand."""
        taken = self.axes.flattened(self.called(q)) if inside else self.called(q)
        block = str(self.whole.matrix("U", g))
        array = next(a for a, parts in self.blocks.items() if block in parts)
        product = made(f"{taken} @ {self.called(block)}", self.layer[array])
        value = f"{self._part['x', g]} + {product}" if g[0] == "a" else product
        return f"{g} = {self.axes.unflattened_code(g, f'({value})') if inside and self.axes.deep else value}"

    def _value(self, s: Statement) -> str:
        """Return a statement's value; of a state or the operand a tensor of its own, with all rows."""
        code = self._code.written(s)
        if s.name not in (*self.eq.states, *self.eq.operands):
            return code
        made_of = self.eq.made_of(s.name)
        rows = made_of & {*self.eq.gates, *self.eq.before, *self.eq.inputs}
        if not (rows or self.axes.plain or s.name in self.eq.states):
            shape = self.axes.shape(s.name, f"{self.h}.shape[:{-3 if self.axes.deep else -1}]")
            return f"{self.h}.new_ones({shape}) * ({code})"
        like = self.h if self.axes.plain or s.name not in self.eq.states else self.called(f"{s.name}_prev")
        few = not self.axes.plain and axes_of(s.expr, self.eq.axes) != self.eq.axes[s.name]
        if rows and not few:
            return f"{code}.clone()" if code.isidentifier() else code
        if made_of & {*self.eq.columns, *self.eq.before}:
            return f"torch.broadcast_to({code}, {like}.shape).clone()"
        return f"torch.full_like({like}, {code})"

    # -- backward

    def backward(self) -> list[str]:
        """Return the lines of a Function's backward."""
        saved, again, lines = self._saved()
        unpacked = f"{', '.join(saved)}{',' * (len(saved) == 1)} = ctx.saved_tensors"
        there = [n for n in self.before if n in saved] if self.axes.plain else []
        code = [unpacked, *self._split([*there, *self.incoming])]
        if self.axes.deep:
            code += map(self.axes.unflattened, self.eq.states, self.incoming)
        body = [f"{self.called(s.name)} = {self._back.written(s)}  # ({s.number}) again" for s in again]
        body += [self._line(x) for x in lines]
        for name, gates in {self.da_x: self.from_x, self.da_h: self.from_h}.items():
            if len(gates) > 1:
                parts = ", ".join(self.axes.flattened(f"d{g}") for g in gates)
                body.append(f"{name} = torch.cat([{parts}], dim=-1)")
        grads = {self.called(n): self.axes.flattened(f"d{n}") for n in self.reached.gradients}
        for line in self.whole.products:
            if line.name == f"d{self.x}" and not self.from_x:  # the equations alone read it
                body.append(self._line(line))
            if line.name == f"d{self.whole.h}_prev":
                body.append(self._to_h(line))
                grads[self.h] = self.axes.flattened(line.name)
        for name, value in self._sums().items():
            body.append(f"d{name} = {value} if ctx.needs_input_grad[{self.given.index(name)}] else None")
            grads[name] = f"d{name}"
        for line in self.whole.of_units:
            value, one = self._back.derived(line.expr), ""
            if line.name[1:] in self.eq.scalars and self.axes.plain:
                one = "[None].sum(1)"
            elif self.axes.deep:
                one = ".flatten()"
            body.append(
                f"{line.name} = {value if value.isidentifier() else f'({value})'}.sum(0){one}{_from(line)}"
            )
            grads[self.called(line.name[1:])] = line.name
        units = "" if self.axes.plain else self._units(())
        there = [*(n for n in self.reached.kept if n in saved), *self.incoming, *self.eq.params]
        ones = f"{self.incoming[0]}.new_ones"
        code += filter(None, self.axes.size("\n".join(body), there, units, ones).split("\n"))
        return [*code, *body, f"return {', '.join(grads.get(name, 'None') for name in self.given)}"]

    def _saved(self) -> tuple[list[str], list[Statement], list[Line]]:
        """Return what the backward reads of the forward, what it computes again, and its lines."""
        after = [*self.whole.products, *self.whole.of_units]
        needed = names_in(x.expr for x in after) | {f"d{n}" for n in (*self.eq.columns, *self.eq.before)}
        lines: list[Line] = []
        for line in reversed(self.whole.backward):
            if line.name in needed and line.name not in self.incoming:
                needed |= names_in([line.expr])
                lines.insert(0, line)
        statements = {s.name: s for s in self.reached.statements}
        again = [statements[x.name] for x in self.reached.again if x.name in needed - self.fixed]
        needed |= {n for s in again for n in s.reads}
        products = {self.x: self.from_x, self.h: self.from_h}
        products |= {self.called(q): [*gates] for q, gates in self.eq.operands.items() if q not in products}
        saved = [name for name, gates in products.items() if gates]
        saved += [name for array, name in self.layer.items() if array != "b" and name in self.arrays]
        saved += [self.called(n) for n in self.reached.kept if n in needed - self.fixed]
        return list(dict.fromkeys(saved)), again, lines

    def _line(self, line: Line) -> str:
        zero = f"torch.zeros_like({self.incoming[0]})" if line.expr == 0 else ""
        at, value = self.whole.value_of(line.name), self._back.derived(self._handed(line.expr))
        if at and not zero:
            value = self.axes.full(
                at, value, self.axes.has(line.expr), f"{self.incoming[0]}.shape[:1]", "torch"
            )
        return f"{line.name} = {zero or value}{_from(line)}"

    def _to_h(self, line: Line) -> str:
        """Return the gradient at the output before: where the equations read it, and through U."""
        product, terms = function("product"), Add.make_args(line.expr)
        through = [product(Symbol(f"d{g}"), self.whole.matrix("U", g)) for g in self.from_h]
        own = [t for t in terms if t not in through]
        code = [self._back.derived(sum_of(own))] if own else []
        if len(own) < len(terms):
            da = self.axes.flattened(self.da_h) if len(self.from_h) == 1 else self.da_h
            back = f"{da} @ {self.U_h}.T"
            code.append(
                self.axes.unflattened_code(f"{self.whole.h}", f"({back})") if self.axes.deep else back
            )
        return f"{line.name} = {' + '.join(code)}{_from(line)}"

    def _sums(self) -> dict[str, str]:
        """Return the gradients at the input and at W, U and b: products, and sums over the rows."""
        sums: dict[str, str] = {}
        da_x, da_h = (
            self.axes.flattened(name) if len(gates) == 1 else name
            for name, gates in ((self.da_x, self.from_x), (self.da_h, self.from_h))
        )
        if self.from_x:
            own = self.x in self.eq.inputs
            line = next(x for x in self.whole.products if x.name == f"d{self.x}")
            back = f"{da_x} @ {self.W}.T"
            direct = [t for t in Add.make_args(line.expr) if type(t).__name__ != "product"] if own else []
            if direct:
                back += f" + {self.axes.flattened(f'({self._back.derived(sum_of(direct))})')}"
            x = self.axes.flattened(self.x) if own else self.x
            sums |= {self.x: back, self.W: f"{x}.T @ {da_x}"}
        for array, parts in self.blocks.items():
            of_U = []
            for gates in parts.values():
                q = self.eq.operand.get(gates[0], f"{self.whole.h}_prev")
                da = da_h if gates is self.from_h else self.axes.flattened(f"d{gates[0]}")
                of_U.append(f"{self.axes.flattened(self.called(q))}.T @ {da}")
            joined = of_U[0] if len(of_U) == 1 else f"torch.cat([{', '.join(of_U)}], dim=-1)"
            sums[self.layer[array]] = joined
        return sums | ({self.b: f"{da_x}.sum(0)"} if self.b in self.arrays else {})


def _from(line: Line) -> str:
    return f"  # ({', '.join(map(str, line.numbers))})" if line.numbers else ""
