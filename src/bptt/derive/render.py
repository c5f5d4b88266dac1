"""A cell's derivation in the forms in which it is printed."""

from bptt.cells import Cell
from bptt.derive.equation_cell import EquationCell
from bptt.errors import ConfigError

FORMATS = ("text", "latex", "markdown", "html", "numpy")


def page(cell: Cell, format: str = "text") -> str:
    """Return the derivation of a cell's backpropagation through time, proven before it is returned.

    Parameters
    ----------
    cell : EquationCell
        A cell made of equations, as :func:`bptt.zoo.load` returns it.
    format : "text", "latex", "markdown", "html" or "numpy"
        Unicode for a terminal; a complete LaTeX document; Markdown with LaTeX in it; one HTML file that
        needs no network; a module of plain NumPy that checks itself when it is run.

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

    from bptt.derive import as_html, as_latex, as_module, as_text  # SymPy takes its time to be imported
    from bptt.derive.describe import describe
    from bptt.derive.printed import prove_module

    made = describe(cell)
    forms = {
        "text": as_text.text,
        "latex": as_latex.latex,
        "markdown": as_latex.markdown,
        "html": as_html.html,
        "numpy": as_module.module,
    }
    text = forms[format](made)
    if format == "numpy":
        prove_module(text, made, cell)  # a program is run as it is handed out
    return text
