"""A derivation's page as a module of plain NumPy that a student can read, and run: it checks itself."""

import re
import textwrap

from sympy import Symbol

from bptt.derive.algebra import replaced
from bptt.derive.as_text import words
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
    functions = (made.step_forward(), made.step_backward(), _FORWARD, _BACKWARD, check)
    body = "\n\n\n".join(functions)
    constants = "".join(f"{name} = {value!r}\n" for name, value in made.eq.constants.items())
    head = f'"""{inside}\n"""\n\nimport numpy as np\n' + (f"\n{constants}" if constants else "")
    return f"{head}\n\n{helped(body)}\n"


_FORWARD = '''def forward(params, inputs, states):
    """Run over all steps: inputs (T, N, D), states before the first, a tuple of (N, H)."""
    outputs, tape = [], []
    for x in inputs:
        states, kept = step_forward(params, x, *states)
        outputs.append(states[0])
        tape.append(kept)
    return np.stack(outputs), states, tape'''

_BACKWARD = '''def backward(params, tape, doutputs, dstates):
    """Run back over all steps.

    doutputs (T, N, H) is the gradient of the loss at the outputs; dstates, a tuple of (N, H), at the final
    states: zeros, where the loss does not read them.
    """
    grads = {name: np.zeros_like(value) for name, value in params.items()}
    dinputs = []
    for dy, kept in zip(doutputs[::-1], tape[::-1]):  # t = T .. 1
        dstates, dx, dp = step_backward(params, dy, *dstates, kept)  # dstates: what step t - 1 calls next
        dinputs.append(dx)
        for name in dp:
            grads[name] += dp[name]  # the sums over time
    return grads, np.stack(dinputs[::-1]), dstates'''


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
        q = [self.eq.q] if self.eq.q else []
        # what the products' gradients are made of, and what the step's own backward reads
        read = [name for name in self.step.kept if name not in (*self.eq.params, *self.eq.constants)]
        self.kept = list(dict.fromkeys([whole.x, f"{whole.h}_prev", *q, *read]))

    def step_forward(self) -> str:
        lines = [self.assign(self.whole.gate(g)) for g in self.eq.gates if g not in self.eq.operand]
        for s in self.step.statements:
            lines.append(f"{s.name} = {as_written(s)}  # ({s.number})")
            # made of parameters and constants alone it is the same in all rows
            of_rows = self.eq.made_of(s.name) & {*self.eq.gates, *self.eq.before}
            if s.name in (*self.eq.states, self.eq.q) and not of_rows:
                lines.append(f"{s.name} = np.broadcast_to({s.name}, {self.whole.h}_prev.shape)")
            if s.name == self.eq.q:
                lines += [self.assign(self.whole.gate(g)) for g in self.eq.operand]
        body = "\n".join(lines)
        return _function(
            f"def step_forward({', '.join([self.p, self.whole.x, *self.eq.before])}):",
            f"Return the states ({', '.join(self.eq.states)}) after a step, and what its backward reads.",
            [self.taken(body), body, f"return {tuple_of(self.eq.states)}, {tuple_of(self.kept)}"],
        )

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
        reached = self.step.gradients
        grads = [item for gate in self.eq.gates if gate in reached for item in self.sums(gate)]
        total = {
            n: ".sum(keepdims=True)[0]" if n in self.eq.scalars else ".sum(axis=0)" for n in self.eq.params
        }
        grads += [f'"{name}": d{name}{total[name]},' for name in self.eq.params if name in reached]
        inside = textwrap.indent("\n".join(grads), "    ")
        arguments = [self.p, whole.out, *(f"d{s}_next" for s in states), self.kept_argument]
        return _function(
            f"def step_backward({', '.join(arguments)}):",
            "Return the gradients at the states before and the input, and this step's at the parameters.",
            [
                f"{tuple_of(self.kept)} = {self.kept_argument}",
                self.taken(body),
                body,
                "\n".join(f"{n} = np.zeros_like({like})" for n, like in zeros if n not in made),
                f"d{self.p} = {{  # the sums over rows\n{inside}\n}}",
                f"return {tuple_of(handed)}, d{whole.x}, d{self.p}",
            ],
        )

    def taken(self, text: str) -> str:
        """Return a line that takes from the parameters those of the units that a text names."""
        names = [n for n in self.eq.params if re.search(rf"(?<!\w){n}(?!\w)", text)]
        values = ", ".join(f'{self.p}["{n}"]' for n in names)
        return f"{', '.join(names)} = {values}" if names else ""

    def assign(self, line: Line) -> str:
        """Return a line of code, with its matrices taken from the parameters."""
        at = {Symbol(n): Symbol(f'{self.p}["{n}"]') for n in self.whole.shapes if n not in self.eq.params}
        numbers = f"  # ({', '.join(map(str, line.numbers))})" if line.numbers else ""
        return re.sub(r"\['(\w+)'\]", r'["\1"]', f"{line.name} = {code(replaced(line.expr, at))}{numbers}")

    def sums(self, gate: str) -> list[str]:
        """Return the items for a gate's W, U and b."""
        items = []
        for line in self.whole.sums(gate):
            inner = line.expr.args[0]
            made = f"{inner}.sum(axis=0)" if inner.is_Symbol else code(inner)
            items.append(f'"{line.name[1:]}": {made},')
        return items

    def check(self) -> str:
        shapes = "\n".join(f'        "{n}": {tuple_of(s)},' for n, s in self.whole.shapes.items())
        return f'''def check(seed, T=4, N=2, D=3, H=5):
    """Return the largest error of all gradients against the complex step, relative to the largest."""
    rng = np.random.default_rng(seed)
    shapes = {{
{shapes}
    }}
    params = {{name: rng.normal(size=shape) for name, shape in shapes.items()}}
    inputs = rng.normal(size=(T, N, D))
    states = tuple(rng.normal(size=(N, H)) for _ in range({len(self.eq.states)}))
    doutputs = rng.normal(size=(T, N, H))
    dfinal = tuple(rng.normal(size=(N, H)) for _ in states)

    def loss(params, inputs, states):
        outputs, final, _ = forward(params, inputs, states)
        return np.sum(outputs * doutputs) + sum(np.sum(s * d) for s, d in zip(final, dfinal))

    outputs, final, tape = forward(params, inputs, states)
    if not all(np.isfinite(values).all() for values in (outputs, *final)):
        return np.nan  # the equations give no number here, as the logarithm of a negative one
    grads, dinputs, dstates = backward(params, tape, doutputs, dfinal)

    flat = {{**params, 0: inputs, **{{k + 1: s for k, s in enumerate(states)}}}}
    derived = {{**grads, 0: dinputs, **{{k + 1: s for k, s in enumerate(dstates)}}}}
    error, size = 0.0, 1.0
    for name, values in flat.items():
        for at in np.ndindex(values.shape):
            moved = values.astype(complex)
            moved[at] += 1e-30j
            v = {{**flat, name: moved}}
            l = loss({{n: v[n] for n in params}}, v[0], [v[k + 1] for k in range(len(states))])
            error = max(error, abs(derived[name][at] - l.imag / 1e-30))
            size = max(size, abs(derived[name][at]))
    return error / size


if __name__ == "__main__":
    with np.errstate(all="ignore"):
        errors = (check(seed, *sizes) for sizes in [(4, 2, 3, 5), (1, 1, 1, 1)] for seed in range(100))
        error = next((e for e in errors if not np.isnan(e)), np.nan)'''


def _function(signature: str, doc: str, blocks: list[str]) -> str:
    inside = "\n".join(block for block in (f'"""{doc}"""', *blocks) if block)
    return signature + "\n" + textwrap.indent(inside, "    ")
