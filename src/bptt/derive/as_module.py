"""A derivation's page as a module of plain NumPy that a student can read, and run: it checks itself."""

import re
import textwrap
from collections.abc import Set

from bptt.derive.algebra import Expr
from bptt.derive.arrays import ArrayPrinter, Arrays
from bptt.derive.as_text import words
from bptt.derive.axes import axes_of
from bptt.derive.backward import Line
from bptt.derive.blocks import Block, Page
from bptt.derive.exact import DIGITS
from bptt.derive.names import unlike
from bptt.derive.notation import TextPrinter
from bptt.derive.numpy_code import as_written, code, helped, tuple_of
from bptt.derive.whole import Whole


def module(page: Page) -> str:
    """Return the module's text."""
    made = _Module(page.whole)
    printer = TextPrinter(page.whole)
    symbols = [words(p, printer) for p in page.sections[0].parts if not isinstance(p, Block)]
    doc = [page.title, *(textwrap.fill(p, 98) for p in (*page.paragraphs, *symbols))]
    doc.append("The numbers in the comments are those of the equations. Run it, and it checks itself.")
    inside = "\n\n".join(doc).replace("\\", "\\\\").replace('"""', "'''")
    check = made.check() + (_UNDECIDED if page.undecided else _DECIDED)
    functions = (made.step_forward(), made.step_backward(), made.forward(), made.backward(), check)
    body = "\n\n\n".join(functions)
    body = made.arrays.functions(body) + body
    constants = "".join(f"{name} = {value!r}\n" for name, value in made.eq.constants.items())
    head = f'"""{inside}\n"""\n\nimport numpy as np\n' + (f"\n{constants}" if constants else "")
    return f"{head}\n\n{helped(body)}\n"


_DECIDED = """
    print(f"largest error of all gradients against the complex step: {error:.1e}")"""

_UNDECIDED = f"""
    print("float64 keeps too few digits of these equations to tell its own rounding from a fault.")
    print(f"In {DIGITS} digits the gradients were right; here the complex step differs by: {{error:.1e}}")"""
"""What a module says whose gradients a page's run has shown in many digits alone."""


class _Module:
    """The module's functions. Names that the cell does not use are the module's own."""

    def __init__(self, whole: Whole) -> None:
        self.whole, self.eq = whole, whole.equations
        self.step = whole.derivation.step
        used = {x.name for x in (*self.step.backward, *self.step.forward)} | set(self.eq.arguments)
        self.p = unlike("p", used)
        self.kept_argument = unlike("kept", used)
        self.given = [n for n in self.eq.inputs if n != whole.x]
        self.arrays = Arrays(whole, used)
        # what the products' gradients are made of, and what the step's own backward reads
        read = [name for name in self.step.kept if name not in (*self.eq.params, *self.eq.constants)]
        still = [n for n in self.given if n not in self.step.gradients]  # with a gradient of zeros
        self.kept = list(dict.fromkeys([whole.x, f"{whole.h}_prev", *self.eq.operands, *read, *still]))

    def step_forward(self) -> str:
        eq, h, before = self.eq, f"{self.whole.h}_prev", {*self.eq.before}
        lines = [self.gate(g) for g in eq.gates if g not in eq.operand]
        lines += [self.gate(g) for q, gates in eq.operands.items() if q in before for g in gates]
        own = [self.whole.x] if self.whole.x in eq.inputs else []
        lines += filter(None, [self.arrays.reshaped([*own, *self.given, *eq.before])])
        first = len(lines)
        for s in self.step.statements:
            lines.append(f"{s.name} = {as_written(s)}  # ({s.number})")
            # made of parameters and constants alone it is the same in all rows
            of_rows = eq.made_of(s.name) & {*eq.gates, *eq.before, *eq.inputs}
            few = not self.arrays.plain and axes_of(s.expr, eq.axes) != eq.axes[s.name]
            if s.name in eq.states and (few or not of_rows):
                like = h if self.arrays.plain else f"{s.name}_prev"
                lines.append(f"{s.name} = np.broadcast_to({s.name}, {like}.shape)")
            elif s.name in eq.operands and not of_rows:
                lines.append(f"{s.name} = np.broadcast_to({s.name}, {self.operand_shape(s.name)})")
            lines += [self.gate(g, with_axes=True) for g in eq.operands.get(s.name, ())]
        there = (*eq.made_first, *eq.before, *eq.params, *self.given)
        sizes = self.arrays.size("\n".join(lines), there, self.units())
        lines[first:first] = filter(None, [sizes])
        body = "\n".join(lines)
        return _function(
            f"def step_forward({', '.join([self.p, self.whole.x, *self.given, *eq.before])}):",
            f"Return the states ({', '.join(eq.states)}) after a step, and what its backward reads.",
            [
                self.taken(body),
                body,
                f"return {tuple_of([self.arrays.flat(s) for s in eq.states])}, {tuple_of(self.kept)}",
            ],
        )

    def units(self) -> str:
        """Return how many units there are, of the matrices."""
        if self.arrays.plain:
            return ""
        matrices = {n: ([g], f'{self.p}["{n}"]') for (k, g), n in self.whole.names.items() if k in "WU" and g}
        return self.arrays.units(matrices)

    def operand_shape(self, q: str) -> str:
        """Return the shape of an operand that has no rows of its own, as the output's or with its own."""
        if self.arrays.plain:
            return f"{self.whole.h}_prev.shape"
        rows = "-3], 1, 1, 1" if self.arrays.deep else "-1], 1"
        return f"np.broadcast_shapes(np.shape({q}), (*{self.whole.h}_prev.shape[:{rows}))"

    def gate(self, gate: str, *, with_axes: bool = False) -> str:
        """Return the line of a gate, in which what is handed in has its axes, or is as it was handed in."""
        return self.assign(self.whole.gate(gate), set() if with_axes else {*self.eq.before}, of_gate=gate)

    def step_backward(self) -> str:
        whole, states = self.whole, self.eq.states
        statements, names = {s.name: s for s in self.step.statements}, [x.name for x in self.step.again]
        again = [f"{s} = {as_written(statements[s])}  # ({statements[s].number}) again" for s in names]
        body = "\n".join(
            again + [self.assign(x) for x in (*whole.backward, *whole.of_units, *whole.products)]
        )
        made = {x.name for x in (*whole.backward, *whole.products) if x.expr != 0}
        handed = [f"d{s}_prev" for s in states]
        zeros = [(n, f"{whole.h}_prev") for n in handed] + [(f"d{whole.x}", whole.x)]
        if not self.arrays.plain:
            zeros = [(f"d{s}_prev", f"d{s}_next") for s in states] + zeros[-1:]
        zeros += [(f"d{n}", n) for n in self.given]
        reached = self.step.gradients
        grads = [item for gate in self.eq.gates if gate in reached for item in self.sums(gate)]
        total = {
            n: ".sum(keepdims=True)[0]" if n in self.eq.scalars else ".sum(axis=0)" for n in self.eq.params
        }
        if not self.arrays.plain:  # these are summed over the units
            total |= dict.fromkeys(self.eq.scalars, ".sum(axis=0)")
        flat = self.arrays.flat
        grads += [f'"{name}": {flat(f"d{name}")}{total[name]},' for name in self.eq.params if name in reached]
        inside = textwrap.indent("\n".join(grads), "    ")
        nexts = [f"d{s}_next" for s in states]
        arguments = [self.p, whole.out, *nexts, self.kept_argument]
        back = [flat(f"d{n}") for n in self.given]
        dx = flat(f"d{whole.x}") if whole.x in self.eq.inputs else f"d{whole.x}"
        returned = [tuple_of([flat(n) for n in handed]), dx, f"d{self.p}"]
        returned += [tuple_of(back)] if back else []
        return _function(
            f"def step_backward({', '.join(arguments)}):",
            "Return the gradients at the states before and the input, and this step's at the parameters.",
            [
                f"{tuple_of(self.kept)} = {self.kept_argument}",
                self.taken(body),
                self.arrays.reshaped([whole.out, *nexts], [whole.h, *states]),
                self.arrays.size(body, (*self.kept[1:], *nexts), self.units()),
                body,
                "\n".join(f"{n} = np.zeros_like({like})" for n, like in zeros if n not in made),
                f"d{self.p} = {{  # the sums over rows\n{inside}\n}}",
                f"return {', '.join(returned)}",
            ],
        )

    def forward(self) -> str:
        more, x, inputs = (", given", "x, *at", "zip(inputs, *given)") if self.given else ("", "x", "inputs")
        return f'''def forward(params, inputs, states{more}):
    """Run over all steps: inputs (T, N, D), states before the first, {self.sizes()}."""
    outputs, tape = [], []
    for {x} in {inputs}:
        states, kept = step_forward(params, {x}, *states)
        outputs.append(states[0])
        tape.append(kept)
    return np.stack(outputs), states, tape'''

    def backward(self) -> str:
        given = bool(self.given)
        also = " The gradients at what is given come last." if given else ""
        where = f"doutputs (T, N, {self.width(self.whole.h)}) is the gradient of the loss at the outputs"
        called, stepped = "step_backward(params, dy, *dstates, kept)", "dstates: what step t - 1 calls next"
        at = "\n        dgiven.append(dat)" if given else ""
        returned = ", tuple(np.stack(d) for d in zip(*dgiven[::-1]))" if given else ""
        return f'''def backward(params, tape, doutputs, dstates):
    """Run back over all steps.

    {where}; dstates, {self.sizes()}, at the final
    states: zeros, where the loss does not read them.{also}
    """
    grads = {{name: np.zeros_like(value) for name, value in params.items()}}
    dinputs{", dgiven" * given} = []{", []" * given}
    for dy, kept in zip(doutputs[::-1], tape[::-1]):  # t = T .. 1
        dstates, dx, dp{", dat" * given} = {called}  # {stepped}
        dinputs.append(dx){at}
        for name in dp:
            grads[name] += dp[name]  # the sums over time
    return grads, np.stack(dinputs[::-1]), dstates{returned}'''

    def width(self, name: str) -> str:
        """Return how many numbers a value has, in H and numbers."""
        heads = self.eq.heads
        return self.whole.width(name, f"(H // {heads})" if heads > 1 else "H", f"{self.eq.keys}")

    def sizes(self) -> str:
        """Return of what size the states are."""
        if self.arrays.plain:
            return "a tuple of (N, H)"
        return tuple_of([f"(N, {self.width(s)})" for s in self.eq.states])

    def taken(self, text: str) -> str:
        """Return a line that takes from the parameters those of the units that a text names."""
        names = [n for n in self.eq.params if re.search(rf"(?<!\w){n}(?!\w)", text)]
        values = ", ".join(self.arrays.shaped(n, f'{self.p}["{n}"]') for n in names)
        return f"{', '.join(names)} = {values}" if names else ""

    def assign(self, line: Line, flat: Set[str] = frozenset(), of_gate: str = "") -> str:
        """Return a line of code, with its matrices taken from the parameters."""
        numbers = f"  # ({', '.join(map(str, line.numbers))})" if line.numbers else ""
        made = self.code(line.expr, flat)
        made = self.arrays.shaped(of_gate, made) if of_gate else made
        at = self.whole.value_of(line.name)
        if not of_gate and at and line.expr != 0 and line.name not in {x.name for x in self.whole.of_units}:
            made = self.arrays.full(at, made, self.arrays.has(line.expr), f"{self.whole.out}.shape[:1]")
        return f"{line.name} = {made}{numbers}"

    def code(self, expr: Expr, flat: Set[str] = frozenset()) -> str:
        """Return an expression as code; names in `flat` are as they are handed in."""
        is_flat = flat if self.whole.x in self.eq.inputs and not flat else {*flat, self.whole.x}
        made = code(expr, ArrayPrinter(self.arrays, self.p, is_flat))
        return re.sub(r"\['(\w+)'\]", r'["\1"]', made)

    def sums(self, gate: str) -> list[str]:
        """Return the items for a gate's W, U and b."""
        items = []
        for line in self.whole.sums(gate):
            inner = line.expr.args[0]
            flat = self.arrays.flat(str(inner))
            made = f"{flat}.sum(axis=0)" if inner.is_Symbol else self.code(inner)
            items.append(f'"{line.name[1:]}": {made},')
        return items

    def check(self) -> str:
        eq, given = self.eq, self.given
        known = {n: tuple_of(s) for n, s in self.whole.sized("D", self.width, "1").items()}
        shapes = "\n".join(f'        "{n}": {s},' for n, s in known.items())
        widths, also = (tuple_of([*map(self.width, names)]) for names in (eq.states, given))
        states = f"size=(N, H)) for _ in range({len(eq.states)})"
        dfinal, count = "size=(N, H)", "H"
        if not self.arrays.plain:
            states, dfinal = f"size=(N, K)) for K in {widths}", "size=s.shape"
            count = self.width(self.whole.h)
        more = ", given" if given else ""
        draws = f"\n    given = tuple(rng.normal(size=(T, N, K)) for K in {also})"
        flat = ', **{f"given {k}": g for k, g in enumerate(given)}' if given else ""
        derived = ', **{f"given {k}": g for k, g in enumerate(dgiven)}' if given else ""
        moved = ', [v[f"given {k}"] for k in range(len(given))]' if given else ""
        H = 5 if eq.heads == 1 else 3 * eq.heads
        sizes = [(4, 2, 3, H), (1, 1, 1, eq.heads)]
        D = "D = H  # the equations read the input itself\n    " if self.whole.x in eq.inputs else ""
        return f'''def check(seed, T=4, N=2, D=3, H={H}):
    """Return the largest error of all gradients against the complex step, relative to the largest."""
    {D}rng = np.random.default_rng(seed)
    shapes = {{
{shapes}
    }}
    params = {{name: rng.normal(size=shape) for name, shape in shapes.items()}}
    inputs = rng.normal(size=(T, N, D)){draws if given else ""}
    states = tuple(rng.normal({states})
    doutputs = rng.normal(size=(T, N, {count}))
    dfinal = tuple(rng.normal({dfinal}) for {"_" if self.arrays.plain else "s"} in states)

    def loss(params, inputs, states{more}):
        outputs, final, _ = forward(params, inputs, states{more})
        return np.sum(outputs * doutputs) + sum(np.sum(s * d) for s, d in zip(final, dfinal))

    outputs, final, tape = forward(params, inputs, states{more})
    if not all(np.isfinite(values).all() for values in (outputs, *final)):
        return np.nan  # the equations give no number here, as the logarithm of a negative one
    grads, dinputs, dstates{", dgiven" if given else ""} = backward(params, tape, doutputs, dfinal)

    flat = {{**params, 0: inputs, **{{k + 1: s for k, s in enumerate(states)}}{flat}}}
    derived = {{**grads, 0: dinputs, **{{k + 1: s for k, s in enumerate(dstates)}}{derived}}}
    error, size = 0.0, 1.0
    for name, values in flat.items():
        for at in np.ndindex(values.shape):
            moved = values.astype(complex)
            moved[at] += 1e-30j
            v = {{**flat, name: moved}}
            l = loss({{n: v[n] for n in params}}, v[0], [v[k + 1] for k in range(len(states))]{moved})
            error = max(error, abs(derived[name][at] - l.imag / 1e-30))
            size = max(size, abs(derived[name][at]))
    return error / size


if __name__ == "__main__":
    with np.errstate(all="ignore"):
        errors = (check(seed, *sizes) for sizes in {sizes} for seed in range(100))
        error = next((e for e in errors if not np.isnan(e)), np.nan)'''


def _function(signature: str, doc: str, blocks: list[str]) -> str:
    inside = "\n".join(block for block in (f'"""{doc}"""', *blocks) if block)
    return signature + "\n" + textwrap.indent(inside, "    ")
