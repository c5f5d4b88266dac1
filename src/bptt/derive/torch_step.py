"""The lines of one step in PyTorch, forward and backward.

W, U and b are those of :func:`bptt.unroll`, a block of columns for each gate, so that one product makes all
that x or h_prev gives. The rest is as the page has it.
"""

import ast
import builtins
from collections.abc import Sequence

from sympy import Add, Symbol

from bptt.derive.algebra import Expr, function, names_in, sum_of
from bptt.derive.backward import Line
from bptt.derive.equations import Statement
from bptt.derive.names import unlike
from bptt.derive.torch_code import TorchCode
from bptt.derive.whole import Whole


class TorchStep:
    """One step's lines, and the names in them.

    Parameters
    ----------
    whole : Whole
    own : names
        What stands around the step: a cell's names that are alike get an underscore.

    Attributes
    ----------
    numbers : list of Statement
        What is made of constants alone and is no state: it stands outside of the functions.
    x, h : str
        The input, and the output before the step.
    before, states : list of str
        The states before and after the step.
    arrays : dict of str
        The parameters by name, each with its shape.
    incoming : list of str
        The gradients that autograd hands in, each of a state: dh, or dh_next where the step adds to it.
    """

    def __init__(self, whole: Whole, own: Sequence[str]) -> None:
        self.whole, self.reached = whole, whole.derivation.step
        self.eq = eq = whole.equations
        self.from_x = [g for g in eq.gates if g[0] in "ax"]
        self.from_h = [g for g in eq.gates if g[0] in "au" and g not in eq.operand]
        self.from_q = [*eq.operand]
        self.numbers = self._numbers()
        self.fixed = {*eq.constants, *(s.name for s in self.numbers)}
        self._taken = {*own, *eq.names, *whole.names.values(), *(line.name for line in whole.backward)}
        self._taken |= {f"d{n}" for n in eq.names} | {f"d{s}_next" for s in eq.states}
        clash = [n for n in eq.names if n in own or (n in self.fixed and hasattr(builtins, n))]
        self._names = {n: self._new(f"{n}_") for n in clash}
        self.x, self.h, self.q = whole.x, self.called(f"{whole.h}_prev"), self.called(eq.q or "")
        self.before, self.states = ([self.called(s) for s in names] for names in (eq.before, eq.states))
        self.W, self.U, self.b, self.H = map(self._new, ("W", "U", "b", "H"))
        self.arrays = self._shapes()
        self.given = [self.x, *self.before, *self.arrays]
        self.blocks = self._blocks()
        parts = [*(("x", g) for g in self.from_x), *(("u", g) for g in self.from_h)]
        self._part = {(k, g): g if g[0] == k else self._new(f"{k}{g[1:]}") for k, g in parts}
        self._together = self.from_x == self.from_h
        self.da_x = self._joint("da" if self._together else "da_x", self.from_x)
        self.da_h = self.da_x if self._together else self._joint("da_h", self.from_h)
        self.incoming = self._incoming()
        self._code = TorchCode(self.fixed, self._names, like=self.h)
        self._back = TorchCode(self.fixed, self._names, like=self.incoming[0])

    # -- what there is, and what it is called

    def called(self, name: str) -> str:
        """Return what a name of the equations, or of the page, is in the code."""
        return self._names.get(name, name)

    def constants(self) -> list[str]:
        """Return the lines that stand outside of the functions."""
        lines = [f"{self.called(n)} = {value!r}" for n, value in self.eq.constants.items()]
        return lines + [
            f"{self.called(s.name)} = {self._code.written(s)}  # ({s.number})" for s in self.numbers
        ]

    def _new(self, name: str) -> str:
        name = unlike(name, self._taken)
        self._taken |= {name, f"d{name}"}
        return name

    def _joint(self, name: str, gates: Sequence[str]) -> str:
        return f"d{gates[0]}" if len(gates) == 1 else self._new(name)

    def _numbers(self) -> list[Statement]:
        moving, found = {*self.eq.gates, *self.eq.params, *self.eq.before}, []
        for s in self.reached.statements:
            if moving.isdisjoint(s.reads) and s.name not in (*self.eq.states, self.eq.q):
                found.append(s)
            else:
                moving.add(s.name)
        return found

    def _shapes(self) -> dict[str, str]:
        x, h = _times(len(self.from_x), "H"), _times(len(self.from_h + self.from_q), "H")
        arrays = {self.W: f"(D, {x})"} if self.from_x else {}
        if self.from_h or self.from_q:
            arrays[self.U] = f"(H, {h})"
        if self.from_x and self.eq.bias:
            arrays[self.b] = f"({x},)"
        return arrays | {self.called(n): "(1,)" if n in self.eq.scalars else "(H,)" for n in self.eq.params}

    def _blocks(self) -> dict[str, int]:
        """Return U's blocks, how many gates wide: that for h_prev, and one for each product of q."""
        blocks = {self._new("U_h"): len(self.from_h)} if self.from_h else {}
        blocks |= {str(self.whole.matrix("U", g)): 1 for g in self.from_q}
        if len(blocks) == 1:
            self._names |= dict.fromkeys(blocks, self.U)  # it is all of U
        return blocks

    @property
    def U_h(self) -> str:  # noqa: N802  the matrix's name
        """The block of U for h_prev."""
        return self.called(next(iter(self.blocks)))

    def _incoming(self) -> list[str]:
        lines = {line.name: self._handed(line.expr) for line in self.whole.backward}
        nexts = [f"d{s}_next" for s in self.eq.states]
        return [n.removesuffix("_next") if lines.get(n[:-5]) == Symbol(n) else n for n in nexts]

    def _handed(self, expr: Expr) -> Expr:
        """Return an expression without dy, which autograd has added to what comes from the step after."""
        return sum_of([t for t in Add.make_args(expr) if t != Symbol(self.whole.out)])

    # -- forward

    def equations(self) -> list[str]:
        """Return the lines from the input and the states before to the states."""
        return self._equations(cast=False)

    def forward(self) -> list[str]:
        """Return the lines of a Function's forward; under autocast products alone have another dtype."""
        matrix = next(iter(self.arrays))
        taken = [self.x] * bool(self.from_x) + [self.h] * bool(self.from_h or self.from_q)
        to = ", ".join(f"{name}.to({matrix}.dtype)" for name in taken)
        lines = [f"{', '.join(taken)} = {to}  # under autocast they may have another"]
        lines += self._equations(cast=self._may_be_lower())
        saved = f"ctx.save_for_backward({', '.join(self._saved()[0])})"
        return [*lines, saved, f"return {', '.join(self.states)}"]

    def _may_be_lower(self) -> bool:
        """Return whether a state or the operand is made of products alone, to which no bias is added."""
        full = {*self.eq.params, *(self.from_x if self.eq.bias else ())}
        full |= {f"{self.whole.h}_prev"} if self.from_h or self.from_q else set()
        for s in self.reached.statements:
            match s.expr:  # a condition gives nothing of its dtype
                case ast.Call(ast.Name("where"), [_, *values]):
                    read = {n.id for v in values for n in ast.walk(v) if isinstance(n, ast.Name)}
                case _:
                    read = {*s.reads}
            if read & full:
                full.add(s.name)
        return not {*self.eq.states, self.eq.q or self.eq.states[0]} <= full

    def _equations(self, *, cast: bool) -> list[str]:
        bias = f" + {self.b}" if self.b in self.arrays else ""

        def made(product: str, array: str, bias: str = "") -> str:
            return f"({product}).to({array}.dtype)" if cast and not bias else product + bias

        lines = []
        if self._together and not self.from_q:
            both = f"{self.x} @ {self.W} + {self.h} @ {self.U_h}"
            lines.append(_chunks(self.from_x, made(both, self.W, bias)))
        else:
            lines += self._split(self.h)
            for kind, gates, product in (
                ("x", self.from_x, made(f"{self.x} @ {self.W}", self.W, bias)),
                ("u", self.from_h, made(f"{self.h} @ {self.U_h}", self.U) if self.from_h else ""),
            ):
                lines += [_chunks([self._part[kind, g] for g in gates], product)] if gates else []
            whole = [g for g in self.from_h if g[0] == "a"]
            lines += [f"{g} = {self._part['x', g]} + {self._part['u', g]}" for g in whole]
        for s in self.reached.statements:
            if s not in self.numbers:
                lines.append(f"{self.called(s.name)} = {self._value(s)}  # ({s.number})")
            for g in self.from_q if s.name == self.eq.q else ():
                product = made(f"{self.q} @ {self.called(str(self.whole.matrix('U', g)))}", self.U)
                lines.append(f"{g} = {self._part['x', g]} + {product}" if g[0] == "a" else f"{g} = {product}")
        return lines

    def _split(self, like: str) -> list[str]:
        """Return the lines that give U's blocks their names; `like` has H columns."""
        if len(self.blocks) < 2:
            return []
        sizes = ", ".join(_times(k, self.H) for k in self.blocks.values())
        return [
            f"{self.H} = {like}.shape[-1]",
            f"{', '.join(self.blocks)} = torch.split({self.U}, [{sizes}], dim=-1)",
        ]

    def _value(self, s: Statement) -> str:
        """Return a statement's value; of a state or the operand a tensor of its own, with all rows."""
        code = self._code.written(s)
        if s.name not in (*self.eq.states, self.eq.q):
            return code
        made_of = self.eq.made_of(s.name)
        if made_of & {*self.eq.gates, *self.eq.before}:
            return f"{code}.clone()" if code.isidentifier() else code
        if made_of & {*self.eq.params}:
            return f"torch.broadcast_to({code}, {self.h}.shape).clone()"
        return f"torch.full_like({self.h}, {code})"

    # -- backward

    def backward(self) -> list[str]:
        """Return the lines of a Function's backward."""
        saved, again, lines = self._saved()
        unpacked = f"{', '.join(saved)}{',' * (len(saved) == 1)} = ctx.saved_tensors"
        code = [unpacked, *self._split(self.incoming[0])]
        code += [f"{self.called(s.name)} = {self._back.written(s)}  # ({s.number}) again" for s in again]
        code += [self._line(x) for x in lines]
        for name, gates in {self.da_x: self.from_x, self.da_h: self.from_h}.items():
            if len(gates) > 1:
                code.append(f"{name} = torch.cat([{', '.join(f'd{g}' for g in gates)}], dim=-1)")
        grads = {self.called(n): f"d{n}" for n in self.reached.gradients}
        for line in self.whole.products:
            if line.name == f"d{self.whole.h}_prev":
                code.append(self._to_h(line))
                grads[self.h] = line.name
        for name, value in self._sums().items():
            code.append(f"d{name} = {value} if ctx.needs_input_grad[{self.given.index(name)}] else None")
            grads[name] = f"d{name}"
        for line in self.whole.of_units:
            value, one = self._back.derived(line.expr), ""
            if line.name[1:] in self.eq.scalars:
                one = "[None].sum(1)"
            code.append(
                f"{line.name} = {value if value.isidentifier() else f'({value})'}.sum(0){one}{_from(line)}"
            )
        return [*code, f"return {', '.join(grads.get(name, 'None') for name in self.given)}"]

    def _saved(self) -> tuple[list[str], list[Statement], list[Line]]:
        """Return what the backward reads of the forward, what it computes again, and its lines."""
        after = [*self.whole.products, *self.whole.of_units]
        needed = names_in(x.expr for x in after) | {f"d{n}" for n in (*self.eq.gates, *self.eq.before)}
        lines: list[Line] = []
        for line in reversed(self.whole.backward):
            if line.name in needed and line.name not in self.incoming:
                needed |= names_in([line.expr])
                lines.insert(0, line)
        statements = {s.name: s for s in self.reached.statements}
        again = [statements[x.name] for x in self.reached.again if x.name in needed - self.fixed]
        needed |= {n for s in again for n in s.reads}
        products = {self.x: self.from_x, self.h: self.from_h, self.q: self.from_q}
        saved = [name for name, gates in products.items() if gates]
        saved += [name for name in (self.W, self.U) if name in self.arrays]
        saved += [self.called(n) for n in self.reached.kept if n in needed - self.fixed]
        return list(dict.fromkeys(saved)), again, lines

    def _line(self, line: Line) -> str:
        zero = f"torch.zeros_like({self.incoming[0]})" if line.expr == 0 else ""
        return f"{line.name} = {zero or self._back.derived(self._handed(line.expr))}{_from(line)}"

    def _to_h(self, line: Line) -> str:
        """Return the gradient at the output before: where the equations read it, and through U."""
        product, terms = function("product"), Add.make_args(line.expr)
        through = [product(Symbol(f"d{g}"), self.whole.matrix("U", g)) for g in self.from_h]
        own = [t for t in terms if t not in through]
        code = [self._back.derived(sum_of(own))] if own else []
        code += [f"{self.da_h} @ {self.U_h}.T"] if len(own) < len(terms) else []
        return f"{line.name} = {' + '.join(code)}{_from(line)}"

    def _sums(self) -> dict[str, str]:
        """Return the gradients at the input and at W, U and b: products, and sums over the rows."""
        sums: dict[str, str] = {}
        if self.from_x:
            sums |= {self.x: f"{self.da_x} @ {self.W}.T", self.W: f"{self.x}.T @ {self.da_x}"}
        of_U = [f"{self.h}.T @ {self.da_h}"] if self.from_h else []
        of_U += [f"{self.q}.T @ d{g}" for g in self.from_q]
        if of_U:
            sums[self.U] = of_U[0] if len(of_U) == 1 else f"torch.cat([{', '.join(of_U)}], dim=-1)"
        return sums | ({self.b: f"{self.da_x}.sum(0)"} if self.b in self.arrays else {})


def _times(k: int, H: str) -> str:
    return H if k == 1 else f"{k} * {H}"


def _chunks(names: Sequence[str], product: str) -> str:
    if len(names) == 1:
        return f"{names[0]} = {product}"
    return f"{', '.join(names)} = torch.chunk({product}, {len(names)}, dim=-1)"


def _from(line: Line) -> str:
    return f"  # ({', '.join(map(str, line.numbers))})" if line.numbers else ""
