"""A view as a page: its arrays in 8 bits, the heading, and the panes' styles and scripts around them."""

from dataclasses import fields
from html import escape
from typing import Any

import numpy as np

from bptt.html import EightBits, text_of
from bptt.html import page as shell
from bptt.looking.view import Layer, Seen, View
from bptt.types import Array

STYLE = "look.css"

TOOLS = {"link": "Copy link", "help-button": "Keys"}

SCRIPTS = (
    "state.js",
    "run.js",
    "passage.js",
    "legend.js",
    "chart.js",
    "heat.js",
    "query.js",
    "facts.js",
    "series.js",
    "pane-text.js",
    "pane-units.js",
    "pane-gradient.js",
    "pane-truncation.js",
    "bar.js",
    "keys.js",
    "start.js",
)
"""In the order in which they run: what names a thing, before what uses it at once."""

AT_INPUTS = "at the inputs"

LEAST = 2.0**-24
"""Norms smaller than this part of a layer's greatest are kept as it: the states were float32."""


def page(view: View) -> str:
    """Return a view as one HTML file, which asks for nothing.

    Parameters
    ----------
    view : View
        One model, or two on the same steps. Values are kept in 8 bits between the smallest and the largest
        of each unit, gradients as logarithms in 8 bits: numbers are right to about 0.2 % of a unit's range,
        norms to 4 %.

    Returns
    -------
    str
        HTML of about 1 MB for 1,000 steps of an LSTM of 128 units.
    """
    data = {"version": view.version, "title": view.title, "runs": [_seen(seen) for seen in view.runs]}
    return shell(
        view.title,
        _own("body.html"),
        data=data,
        styles=[_own(STYLE)],
        scripts=[_own(name) for name in SCRIPTS],
        lead="".join(_about(seen, len(view.runs) > 1) for seen in view.runs),
        tools="".join(f'<button type="button" id="{name}">{words}</button>' for name, words in TOOLS.items()),
    )


def _own(name: str) -> str:
    return text_of("bptt.looking.page", name)


def _about(seen: Seen, named: bool) -> str:
    name = f'<div class="run"><dt class="unseen">run</dt><dd>{escape(seen.name)}</dd></div>' if named else ""
    words = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(word)}</dd></div>" for name, word in seen.about.items()
    )
    return f'<dl class="about">{name}{words}</dl>'


def _seen(seen: Seen) -> dict[str, Any]:
    kept = {f.name: getattr(seen, f.name) for f in fields(seen)}
    if seen.guesses is not None and "p" in seen.guesses:
        kept["guesses"] = seen.guesses | {"p": EightBits(seen.guesses["p"], 2.0**-16, 1.0, "log2")}
    return kept | {"layers": [_layer(layer) for layer in seen.layers]}


def _layer(layer: Layer) -> dict[str, Any]:
    kept = {f.name: getattr(layer, f.name) for f in fields(layer)}
    kept["values"] = [value | {"array": _by_unit(value["array"])} for value in layer.values]
    kept["follows"] = EightBits(layer.follows, -1.0, 1.0)
    kept["gradient"] = _gradient(layer.gradient)
    return kept


def _by_unit(array: Array) -> EightBits:
    """Keep a unit's values between its own smallest and largest."""
    finite = np.where(np.isfinite(array), array, np.nan)
    empty = np.isnan(finite).all(axis=0)
    filled = np.where(empty, 0.0, finite)
    return EightBits(finite, np.nanmin(filled, axis=0), np.nanmax(filled, axis=0))


def _gradient(gradient: dict[str, Any]) -> dict[str, Any]:
    """Return the paths with their norms, a path after the other, and the inputs as one more."""
    norm, paths = np.moveaxis(gradient["norm"], 2, 0), list(gradient["paths"])
    if "inputs" in gradient:
        norm = np.concatenate([norm, gradient["inputs"][None]])
        paths.append(
            {"name": AT_INPUTS, "words": "at the layer's input x, not at its states; along every way"}
        )
    kept = {name: part for name, part in gradient.items() if name != "inputs"}
    return kept | {"paths": paths, "norm": _norms(norm)}


def _norms(norm: Array) -> EightBits:
    finite = norm[np.isfinite(norm)]
    most = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
    return EightBits(norm, most * LEAST, most, "log2")
