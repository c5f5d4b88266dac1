"""A derivation's page as a jax.custom_vjp of one step, and a scan over all; it checks itself."""

import textwrap

from bptt.derive.blocks import Page
from bptt.derive.exact import DIGITS
from bptt.derive.jax_code import JaxCode
from bptt.derive.torch_step import TorchStep

OWN = (
    *("jax", "jnp", "lay", "flat", "saved", "incoming", "judged", "unroll", "body", "outputs", "parameters"),
    *("draw", "difference", "check", "step", "states", "at_t"),
)
"""The names that a module has for itself, beside its step's."""


def function_name(cell: str) -> str:
    """Return what the step of a cell is called.

    Examples
    --------
    >>> function_name("gru-cho")
    'gru_cho_step'
    """
    name = f"{cell.replace('-', '_')}_step"
    return name if name.isidentifier() else "step"


def module(page: Page) -> str:
    """Return the module's text."""
    name = function_name(page.whole.equations.name)
    it = TorchStep(page.whole, (name, f"{name}_forward", f"{name}_backward", *OWN))
    line = JaxCode().line
    given, states, arrays = (", ".join(names) for names in (it.given, it.states, it.arrays))
    forward = [line(x) for x in it.forward() if "under autocast" not in x and not x.startswith("return ")]
    *forward, saved = forward
    saved = saved.removeprefix("ctx.save_for_backward")
    saved = saved[:-1] + ",)" if "," not in saved else saved
    returned = line(it.returned())
    backward = [line(x) for x in it.backward()[1:]]
    unpacked = it.backward()[0].replace("ctx.saved_tensors", "saved")
    lone = len(it.incoming) == 1
    parts = [
        _head(page, it, name),
        *_helpers("\n".join([*forward, *backward])),
        _function(f"def judged({given}):", f"The step in operations that JAX derives: the judge of {name}.",
                  [*map(line, it.equations()), f"return {returned}"]),
        "@jax.custom_vjp\n" + _function(
            f"def {name}({given}):", _shapes(it, name), [f"return {name}_forward({given})[0]"]),
        _function(f"def {name}_forward({given}):", "Return the states, and what the backward reads.",
                  [*forward, f"return {returned if len(it.states) == 1 else f'({returned})'}, {saved}"]),
        _function(f"def {name}_backward(saved, incoming):", f"Return the gradients at {given}.",
                  [f"{it.incoming[0] if lone else ', '.join(it.incoming)} = incoming", unpacked, *backward])
        + f"\n\n\n{name}.defvjp({name}_forward, {name}_backward)",
        _rest(page, it, name, states, arrays),
    ]  # fmt: skip
    return "\n\n\n".join(parts) + "\n"


def _head(page: Page, it: TorchStep, name: str) -> str:
    states = ", ".join(it.states)
    doc = [
        f"{page.whole.equations.name}: one step with its backward, as a jax.custom_vjp.",
        *page.paragraphs,
        "The numbers in the comments are those of the equations. A name with a d before it is the gradient "
        "of the loss at what it names; what reaches a state from the loss of this step and from the step "
        "after JAX has added up. Run it, and it checks itself against the gradients that JAX derives.",
    ]
    use = f"    outputs, {states} = unroll({it.x}, {', '.join([*it.inputs, states])}, *parameters(key, D, H))"
    inside = "\n\n".join([*(textwrap.fill(p, 98) for p in doc), use]).replace("\\", "\\\\")
    constants = "\n".join(JaxCode().line(x) for x in it.constants())
    return "\n\n".join(filter(None, [f'"""{inside.replace(chr(34) * 3, chr(39) * 3)}\n"""',
                                     "import jax\nimport jax.numpy as jnp", constants]))  # fmt: skip


def _helpers(text: str) -> list[str]:
    """Return the functions that the lines call beside JAX's."""
    own = {
        "lay(": 'def lay(a, sizes):\n    """Return a with axes in place of its last."""\n'
        "    return a.reshape(*a.shape[:-1], *sizes)",
        "flat(": 'def flat(a):\n    """Return a with one axis in place of its last three."""\n'
        "    return a.reshape(*a.shape[:-3], -1)",
    }
    return [made for called, made in own.items() if called in text]


def _shapes(it: TorchStep, name: str) -> str:
    shapes = [f"{it.x} (N, D)", *(f"{array} {shape}" for array, shape in it.arrays.items())]
    return it.whole.symbols(f"Return {', '.join(it.states)} after a step; {', '.join(shapes)}.")


def _function(signature: str, says: str, lines: list[str]) -> str:
    said = textwrap.fill(f'"""{says}', 98, subsequent_indent="    ", initial_indent="    ").strip()
    said += '\n    """' if "\n" in said else '"""'
    return "\n    ".join([signature, said, *lines])


def _rest(page: Page, it: TorchStep, name: str, states: str, arrays: str) -> str:
    at, heads = [it.x, *it.inputs], page.whole.equations.heads
    D = "D = H  # the equations read the input itself\n    " * (it.x in page.whole.equations.inputs)
    over, one = ", ".join(at), ", ".join(f"{n}_t" for n in at)
    last = (
        f"""
    print("float64 keeps too few digits of these equations to tell its own rounding from a fault.")
    print(f"In {DIGITS} digits the gradients were right; JAX's differ by: {{error:.1e}}")"""
        if page.undecided
        else """
    print(f"largest difference of all gradients from those that JAX derives: {error:.1e}")
    if not error < 1e-10:
        raise SystemExit(1)"""
    )
    firsts = "".join(f"(N, {it.width(s)}), " for s in page.whole.equations.states)
    more = "".join(f"(T, N, {it.width(n)}), " for n in it.inputs)
    return f'''def unroll({over}, {states}, {arrays}, step={name}):
    """Run over all steps: {over} (T, N, ...), the first states. Return all outputs, the last states."""

    def body(states, at_t):
        {one}{"," * (len(at) == 1)} = at_t
        states = step({one}, *states, {arrays})
        states = states if isinstance(states, tuple) else (states,)
        return states, states[0]

    ({states}{"," * (len(it.states) == 1)}), outputs = jax.lax.scan(body, ({states},), ({over},))
    return outputs, {states}


def parameters(key, D, H, dtype=None):
    """Return {arrays} to train, from U(-1, 1) / sqrt(H)."""
    shapes = [{", ".join(it.arrays.values())}]
    keys = jax.random.split(key, len(shapes))
    return [jax.random.uniform(k, s, dtype, -1, 1) / H**0.5 for k, s in zip(keys, shapes)]


def draw(T, N, D, H):
    """Return inputs, states and parameters from N(0, 1); none where they give no numbers, as log(-1)."""
    {D}shapes = [(T, N, D), {more}{firsts}*(p.shape for p in parameters(jax.random.key(0), D, H))]
    for seed in range(100):
        keys = jax.random.split(jax.random.key(seed), len(shapes))
        given = [jax.random.normal(k, s, jnp.float64) for k, s in zip(keys, shapes)]
        if all(jnp.isfinite(result).all() for result in unroll(*given)):
            return given
    return []


def difference(given):
    """Return by how much gradients differ from those of `judged`, relative to each array's largest."""

    def loss(step, given):
        results = unroll(*given, step=step)
        keys = jax.random.split(jax.random.key(1), len(results))
        return sum((r * jax.random.normal(k, r.shape, r.dtype)).sum() for k, r in zip(keys, results))

    grads = [jax.grad(loss, argnums=1)(step, given) for step in ({name}, judged)]
    differences = [abs(a - b).max() / jnp.maximum(abs(b).max(), 1) for a, b in zip(*grads)]
    return float(jnp.nan_to_num(jnp.stack(differences).max(), nan=jnp.inf))


def check():
    """Compare at several sizes, and print the largest difference."""
    jax.config.update("jax_enable_x64", True)
    sizes = [(4, 2, 3, {5 * heads}), (3, 3, 1, {2 * heads})]  # T, N, D, H
    drawn = [given for s in sizes if (given := draw(*s))]
    error = max(map(difference, drawn), default=float("nan")){last}


if __name__ == "__main__":
    check()'''
