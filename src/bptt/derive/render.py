"""A cell's derivation in the forms in which it is printed."""

from importlib import import_module
from typing import NamedTuple

from bptt.cells import Cell
from bptt.derive.equation_cell import EquationCell
from bptt.errors import ConfigError


class Format(NamedTuple):
    """Which function of which module of this room prints a derivation, and what its files' names end in."""

    module: str
    function: str
    suffixes: tuple[str, ...] = ()


FORMATS = {
    "text": Format("as_text", "text"),
    "latex": Format("as_latex", "latex", (".tex",)),
    "markdown": Format("as_latex", "markdown", (".md",)),
    "html": Format("as_html", "html", (".html", ".htm")),
    "numpy": Format("as_module", "module", (".py",)),
    "torch": Format("as_torch", "module", ("_torch.py",)),
    "jax": Format("as_jax", "module", ("_jax.py",)),
}
"""The forms by name; a module is loaded when it is asked for: SymPy takes its time to be imported."""


def page(cell: Cell, format: str = "text") -> str:
    """Return the derivation of a cell's backpropagation through time, proven before it is returned.

    Parameters
    ----------
    cell : EquationCell
        A cell made of equations, as :func:`bptt.zoo.load` returns it.
    format : "text", "latex", "markdown", "html", "numpy", "torch" or "jax"
        Unicode for a terminal; a complete LaTeX document; Markdown with LaTeX in it; one HTML file that
        needs no network; a module of plain NumPy, or one of PyTorch with the step as a
        torch.autograd.Function, or of JAX with it as a jax.custom_vjp, each of which checks itself when it
        is run.

    Raises
    ------
    ProofError
        If the derived backward is not the numerical gradient.

    Examples
    --------
    >>> import bptt
    >>> [line for line in bptt.derive.page(bptt.zoo.load("rnn")).splitlines() if "(1)" in line]
    ['(1)   h = tanh(a_h)', '(1)   da_h = dh (1 - h²)']
    """
    if format not in FORMATS:
        raise ConfigError(f"the format must be one of {', '.join(FORMATS)}; got {format!r}")
    if not isinstance(cell, EquationCell):
        raise ConfigError(f"a derivation is of a cell made of equations (see bptt.cell), got {cell!r}")

    from bptt.derive.describe import describe
    from bptt.derive.printed import prove_function, prove_module, prove_vjp

    made = describe(cell)
    where = FORMATS[format]
    text: str = getattr(import_module(f"bptt.derive.{where.module}"), where.function)(made)
    programs = {"numpy": prove_module, "torch": prove_function, "jax": prove_vjp}
    if format in programs:  # which are run as they are handed out
        programs[format](text, made, cell.plain)
    return text
