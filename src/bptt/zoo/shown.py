"""A cell as it shows itself in a notebook: its equations, or what its class says of them."""

import inspect

from bptt.cells import Cell
from bptt.shown import Markup, code, heading, paragraph
from bptt.zoo import equations_of


def html(cell: Cell) -> str:
    """Return the cell's step forward as mathematics."""
    found = equations_of(cell)
    if found is None:
        return heading(cell.name) + code(inspect.getdoc(type(cell)) or repr(cell))
    from bptt.derive.as_html import body
    from bptt.derive.describe import step

    parts = [Markup(body(step(found), (4, 5)))]
    if found.maps:
        made = ", ".join(f"{at}: {made}" for at, made in found.maps.items())
        parts.append(paragraph(f"Matrices made of others: {made}", "faint"))
    return "\n".join(parts)


def latex(cell: Cell) -> str:
    """Return the same as LaTeX."""
    found = equations_of(cell)
    if found is None:
        return f"\\begin{{verbatim}}\n{inspect.getdoc(type(cell)) or repr(cell)}\n\\end{{verbatim}}"
    from bptt.derive.as_latex import body
    from bptt.derive.describe import step

    return body(step(found))
