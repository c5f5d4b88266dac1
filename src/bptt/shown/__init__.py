"""How values show themselves: in a notebook as HTML or LaTeX, elsewhere as text.

`base` has the class that asks for it, `markup` the parts of such HTML, `curves` the lines of a chart as SVG.
"""

from bptt.shown.base import Shown
from bptt.shown.markup import Markup, code, diff, heading, paragraph, table

__all__ = ["Markup", "Shown", "code", "diff", "heading", "paragraph", "table"]
