"""A cell's derivation in the forms in which it is printed."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from bptt.cells import Cell
from bptt.derive.equation_cell import EquationCell
from bptt.errors import ConfigError
from bptt.shown import Markup, Shown, code

if TYPE_CHECKING:
    from bptt.derive.blocks import Page


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


PROGRAMS = ("numpy", "torch", "jax")


class Printed(str, Shown, html="bptt.derive.render:_html", latex="bptt.derive.render:_latex"):
    """A derivation as it is printed: a text, which a notebook shows as mathematics, or as code if it is one.

    Attributes
    ----------
    page : Page
        What is printed.
    form : str
    """

    page: "Page"
    form: str
    __repr__ = str.__repr__

    def __reduce__(self) -> tuple[Any, ...]:
        return str, (str(self),)  # a copy is the text alone


def _html(printed: Printed) -> str:
    from bptt.derive.as_html import body

    return code(printed) if printed.form in PROGRAMS else Markup(body(printed.page, (4, 5)))


def _latex(printed: Printed) -> str:
    from bptt.derive.as_latex import body

    if printed.form in PROGRAMS:
        return f"\\begin{{verbatim}}\n{printed}\\end{{verbatim}}"
    return body(printed.page)


def page(cell: Cell, format: str = "text") -> Printed:
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

    Returns
    -------
    str
        At the end of a notebook's cell it shows itself as mathematics, the programs as code.

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
    text = Printed(getattr(import_module(f"bptt.derive.{where.module}"), where.function)(made))
    text.page, text.form = made, format
    programs = {"numpy": prove_module, "torch": prove_function, "jax": prove_vjp}
    if format in programs:  # which are run as they are handed out
        programs[format](text, made, cell.plain)
    return text
