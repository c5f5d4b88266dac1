"""A derivation's page as a torch.autograd.Function of one step, as people write it; it checks itself."""

import re
import textwrap
from collections.abc import Sequence

from bptt.derive.blocks import Page
from bptt.derive.exact import DIGITS
from bptt.derive.torch_step import TorchStep

OWN = ("torch", "ctx", "step", "unroll", "apply", "outputs", "parameters", "draw", "difference", "check")
"""The names that a module has for itself, beside its class's."""


def module(page: Page) -> str:
    """Return the module's text."""
    name = class_name(page.whole.equations.name)
    it = TorchStep(page.whole, (name, *OWN))
    states, arrays, given = (", ".join(names) for names in (it.states, it.arrays, it.given))
    at = ["x_t", *(f"{n}_t" for n in it.at_steps)]
    more = "".join(f"{n}, " for n in it.at_steps)
    steps = f"zip({it.x}, {', '.join(it.at_steps)})" if it.at_steps else it.x
    sizes, states_in, D = _drawn(it)
    judge = f'"""Return the same in operations that autograd derives: the judge of {name}."""'
    step = _function(f"def step({given}):", [judge, *it.equations(), f"return {it.returned()}"])
    checked = "" if _has_own(page) else _CHECKED.format(name)
    if it.inputs:  # what is given at each step is so at one
        k = len(it.inputs) + 1
        checked = checked.replace("for x, *others in", "for given in")
        checked = checked.replace("(x[0], *others)", f"(*(a[0] for a in given[:{k}]), *given[{k}:])")
    said = _UNDECIDED if page.undecided else _DECIDED + checked
    parts = [_head(page, it), _class(name, it), step]
    parts.append(f'''def unroll({it.x}, {more}{states}, {arrays}, apply={name}.apply):
    """Run over all steps: {it.x} (T, N, D), the first states. Return outputs (T, N, H), the last states."""
    outputs = []
    for {", ".join(at)} in {steps}:
        {states} = apply({", ".join(at)}, {states}, {arrays})
        outputs.append({it.states[0]})
    return torch.stack(outputs), {states}


def parameters(D, H, **options):
    """Return {arrays} to train, from U(-1, 1) / sqrt(H); options are dtype= and device=."""
    shapes = [{", ".join(it.arrays.values())}]
    return [torch.nn.Parameter((2 * torch.rand(shape, **options) - 1) / H**0.5) for shape in shapes]


def draw(T, N, D, H):
    """Return an input, states and parameters from N(0, 1); none where they give no numbers, as log(-1)."""
    {D}shapes = [(T, N, D), {states_in}*(p.shape for p in parameters(D, H))]
    for seed in range(100):
        rng = torch.Generator().manual_seed(seed)
        given = [torch.randn(s, generator=rng, dtype=torch.float64, requires_grad=True) for s in shapes]
        if all(result.isfinite().all() for result in unroll(*given)):
            return given
    return []


def difference(given):
    """Return by how much gradients differ from those of `step`, relative to each array's largest."""
    grads = []
    for apply in ({name}.apply, step):
        rng = torch.Generator().manual_seed(0)
        results = unroll(*given, apply)
        loss = sum((r * torch.randn(r.shape, generator=rng, dtype=r.dtype)).sum() for r in results)
        grads.append(torch.autograd.grad(loss, given, allow_unused=True, materialize_grads=True))
    differences = [(a - b).abs().max() / b.abs().max().clamp(min=1) for a, b in zip(*grads)]
    return torch.stack(differences).max().nan_to_num(torch.inf).item()


def check():
    """Compare at several sizes, and print the largest difference."""
    sizes = {sizes}  # T, N, D, H
    drawn = [given for s in sizes if (given := draw(*s))]
    error = max(map(difference, drawn), default=float("nan")){said}


if __name__ == "__main__":
    check()''')
    return "\n\n\n".join(parts) + "\n"


def _drawn(it: TorchStep) -> tuple[list[tuple[int, int, int, int]], str, str]:
    """Return sizes to check with, the shapes of what is given and of the states, and what D is."""
    heads = it.eq.heads
    sizes = [(4, 2, 3, 5 if heads == 1 else 3 * heads), (3, 3, 1, 2 * heads), (1, 1, 1, heads)]
    shapes = [f"(T, N, {it.width(n)}), " for n in it.inputs] + [f"(N, {it.width(s)}), " for s in it.eq.states]
    own = "D = H  # the equations read the input itself\n    " if it.x in it.eq.inputs else ""
    return sizes, "".join(shapes), own


def class_name(cell: str) -> str:
    """Return what the Function of a cell is called.

    Examples
    --------
    >>> class_name("gru-cho"), class_name("2d")
    ('GruChoStep', 'Step')
    """
    name = "".join(part[:1].upper() + part[1:] for part in re.split("[-_]", cell)) + "Step"
    return name if name.isidentifier() else "Step"


_DECIDED = """
    print(f"largest difference of all gradients from autograd's: {error:.1e}")
    if not error < 1e-10:
        raise SystemExit(1)"""

_CHECKED = """
    for x, *others in drawn:
        torch.autograd.gradcheck({}.apply, (x[0], *others))  # raises where it finds a fault"""

_UNDECIDED = f"""
    print("float64 keeps too few digits of these equations to tell its own rounding from a fault.")
    print(f"In {DIGITS} digits the gradients were right; autograd's differ by: {{error:.1e}}")"""
"""What a module says whose gradients a page's run has shown in many digits alone."""


def _has_own(page: Page) -> bool:
    """Return whether a derivative is as it is asked for, and no difference quotient is."""
    return any(s.function in ("stop", "surrogate") for s in page.whole.equations.statements)


def _head(page: Page, it: TorchStep) -> str:
    doc = [
        f"{page.whole.equations.name}: one step with its backward, as a torch.autograd.Function.",
        *page.paragraphs,
        "The numbers in the comments are those of the equations. A name with a d before it is the gradient "
        "of the loss at what it names; what reaches a state from the loss of this step and from the step "
        "after autograd has added up. Run it, and it checks itself: by autograd"
        + (", of what stop and surrogate say." if _has_own(page) else ", and by torch.autograd.gradcheck."),
    ]
    states = ", ".join(it.states)
    given = ", ".join([it.x, *it.at_steps])
    use = f"    outputs, {states} = unroll({given}, {states}, *parameters(D, H))"
    inside = "\n\n".join([*(textwrap.fill(p, 98) for p in doc), use])
    inside = inside.replace("\\", "\\\\").replace('"""', "'''")
    return "\n\n".join([f'"""{inside}\n"""', "import torch", *filter(None, ["\n".join(it.constants())])])


def _class(name: str, it: TorchStep) -> str:
    first = f"One step: {', '.join(it.states)} = {name}.apply({', '.join(it.given)})."
    states = f"{', '.join(it.before)} {'is' if len(it.before) == 1 else 'are'} (N, H)"
    if not it.axes.plain:
        states = "; ".join(f"{n} is (N, {it.width(s)})" for n, s in zip(it.before, it.eq.states, strict=True))
    shapes = [f"{it.x} is (N, D)", states, *(f"{array} {shape}" for array, shape in it.arrays.items())]
    said = it.whole.symbols(f"{'; '.join(shapes)}. {_columns(it)}".strip())
    if it.at_steps:
        shapes = [it.whole.symbols(f"(N, {it.width(n)})") for n in it.inputs]
        named = (f"{n} {shape}" for n, shape in zip(it.at_steps, shapes, strict=True))
        said += f" Given at each step: {'; '.join(named)}."
    doc = textwrap.fill(said, 98, initial_indent=" " * 4, subsequent_indent=" " * 4)
    backward = _function(f"def backward(ctx, {', '.join(it.incoming)}):", it.backward())
    return f'''class {name}(torch.autograd.Function):
    """{first}

{doc}
    """

    @staticmethod
{textwrap.indent(_function(f"def forward(ctx, {', '.join(it.given)}):", it.forward()), "    ")}

    @staticmethod
    @torch.autograd.function.once_differentiable
{textwrap.indent(backward, "    ")}'''


def _columns(it: TorchStep) -> str:
    """Return which gates' columns the matrices have, where they have those of several."""
    arrays = {it.W: it.from_x, it.b: it.from_x}
    for array, parts in it.blocks.items():
        arrays[it.layer[array]] = [g for fed in parts.values() for g in fed]
    arrays = {name: arrays[name] for name in it.arrays if name in arrays}
    by_gates: dict[str, list[str]] = {}
    for array, gates in arrays.items():
        if array in it.arrays and len(gates) > 1:
            by_gates.setdefault(", ".join(gates), []).append(array)
    names = {gates: f"{', '.join(a[:-1])} and {a[-1]}" if a[1:] else a[0] for gates, a in by_gates.items()}
    return " ".join(f"The columns of {a} are those of {gates}." for gates, a in names.items())


def _function(signature: str, lines: Sequence[str]) -> str:
    return "\n    ".join([signature, *lines])
