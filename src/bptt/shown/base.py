"""How values show themselves: as HTML or LaTeX where a notebook asks, as text elsewhere.

A class names the functions that show it, each a function of the value. They lie where all else is that is
said of it, and are imported when they are asked for::

    class Flow(Shown, html="bptt.flow.page:body", text="bptt.flow.report:text"): ...
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, ClassVar

from bptt.errors import BpttError
from bptt.shown.markup import STYLE


class Shown:
    """What shows itself by the functions that its class names, as ``MODULE:FUNCTION``.

    Parameters
    ----------
    html : str
        Returns the HTML of what stands inside a frame.
    latex : str
        Returns LaTeX, its mathematics between dollars or in environments.
    text : str
        Returns what `repr` is.
    page : str
        Returns a whole page of HTML, for a file.
    csv, markdown : str
        Returns a table, for a file.

    Examples
    --------
    >>> import numpy as np, bptt
    >>> bptt.zoo.load("rnn")._repr_html_().count("<math")
    4
    """

    _shows: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(
        cls,
        html: str = "",
        latex: str = "",
        text: str = "",
        page: str = "",
        csv: str = "",
        markdown: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init_subclass__(**kwargs)
        named = {"html": html, "latex": latex, "text": text, "page": page, "csv": csv, "markdown": markdown}
        cls._shows = {**cls._shows, **{form: by for form, by in named.items() if by}}

    def _shown(self, form: str) -> str | None:
        """Return how it shows itself; None where it does not, or there is something wrong with it."""
        if form not in self._shows:
            return None
        module, function = self._shows[form].split(":")
        show: Callable[[Any], str] = getattr(import_module(module), function)
        try:
            return show(self)
        except BpttError:  # said where it is used
            return None

    def _repr_html_(self) -> str | None:
        body = self._shown("html")
        return body and f'<div class="bptt"><style>{STYLE}</style>\n{body}\n</div>'

    def _repr_latex_(self) -> str | None:
        return self._shown("latex")

    def __repr__(self) -> str:
        return self._shown("text") or super().__repr__()
