"""One model on some sequences: everything that a page shows of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bptt.errors import ConfigError
from bptt.flow.connections import EVERYTHING, probe, products_of, refusal
from bptt.looking import properties as props
from bptt.looking import units
from bptt.looking.equations import equations
from bptt.looking.forward import LayerRun, Piece, Ran, double, run
from bptt.looking.gradient import WITHIN, Reach, paths_in, reach
from bptt.looking.reading import Reading
from bptt.looking.values import constants, per_unit, values
from bptt.looking.view import Layer, Property, Seen
from bptt.nets.losses import LOSSES
from bptt.nets.model import Model, expect_params
from bptt.types import Array, Params

MOST_PRODUCTS = 1 << 41
"""Products of two numbers that a measure may take: some minutes."""

MOST_KEPT = 1 << 28
"""Numbers that a layer may give: one gigabyte in float32."""

FEW = 12
"""Inputs at each step, of which each is a property where there are no more."""


@dataclass(frozen=True)
class How:
    """What of a model is looked at.

    Attributes
    ----------
    layers : tuple of int, or None
        Which; all of them.
    lags : int
        K, how many steps the gradient is followed back.
    properties : mapping
        A user's own (see :mod:`bptt.looking.properties`).
    """

    layers: tuple[int, ...] | None = None
    lags: int = 100
    properties: props.Given = field(default_factory=dict)


def seen(
    model: Model,
    params: Params,
    reading: Reading,
    how: How,
    *,
    name: str,
    about: Mapping[str, str],
    chunk: int | None = None,
) -> Seen:
    """Return all that is shown of a model.

    Parameters
    ----------
    model : Model
    params : dict of arrays
    reading : Reading
        What it is run on.
    how : How
    name : str
    about : mapping
        Short words for the heading; what the model says of itself is added.
    chunk : int, optional
        The length of the chunks that it was trained in.

    Raises
    ------
    ConfigError, DivergedError
        If there is no such layer, or it takes more than minutes; if states do not stay finite.
    """
    expect_params(params, model.shapes)
    pieces = reading.pieces
    which = tuple(dict.fromkeys(how.layers or range(model.layers)))
    if any(not 0 <= layer < model.layers for layer in which):
        has = "layer 0 alone" if model.layers == 1 else f"layers 0 to {model.layers - 1}"
        raise ConfigError(f"the model has {has}, got {', '.join(map(str, which))}")
    lengths = [len(piece.inputs) for piece in pieces]
    lags = max(1, min(how.lags, max(lengths) - 1))
    model, params = double(model, params)
    _expect_affordable(model, lengths, lags, min(which))
    rans, reached = list[Ran](), list[list[list[Reach]]]()
    for piece in pieces:
        rans.append(run(model, params, piece))
        reached.append(reach(rans[-1], lags, which))
    loss = np.concatenate([ran.loss for ran in rans]).astype(np.float32)
    starts = np.cumsum([0, *lengths[:-1]])
    tokens = [token for piece in pieces for token in piece.tokens]
    properties = _properties(reading, how, tokens, loss, starts, chunk)
    layers = [
        _layer(model, rans, [of[k][d] for of in reached], layer, d, properties, loss, chunk)
        for k, layer in enumerate(which)
        for d in range(len(model.stack.directions))
    ]
    mean = float(np.nanmean(loss)) if np.isfinite(loss).any() else None
    return Seen(
        name=name,
        about=_about(model, params, mean, reading) | dict(about),
        kind=reading.kind,
        tokens=tokens,
        truth=[said for piece in pieces for said in piece.truth],
        loss=loss,
        guesses=_guesses(model, rans, pieces, reading),
        vocabulary=reading.outputs,
        layers=layers,
        properties=properties,
        starts=starts,
    )


def _expect_affordable(model: Model, lengths: Sequence[int], lags: int, lowest: int) -> None:
    """Raise a ConfigError where the measure takes more than minutes, or a layer more than a gigabyte."""
    cell, H, T = model.stack.cell, model.hidden, sum(lengths)
    both, shapes = len(model.stack.directions), model.stack.shapes()
    paths = paths_in(cell, below=False)
    longest = max(lengths)
    everywhere = both > 1 and lowest < model.layers - 1 and model.pool is None
    rows = longest if everywhere else 1 if model.pool is not None else min(lags + 1, longest)
    narrow = (min(shape) * shape[-1] for shape in shapes.values() if len(shape) == 2)  # as W of words is
    matrices = sum(narrow)
    products = T * rows * matrices
    if paths and refusal(cell) is None:
        products += T * rows * both * (model.layers - lowest) * H * H * products_of(probe(cell), paths)
    products += 2 * len(paths) * T * rows * matrices * (refusal(cell) is not None)
    width = sum(cell.width(name, H) for name in (*cell.gates, *cell.states))
    kept = T * (4 * width + (lags + 1) * (len(paths) + 2))
    for count, most in ((products, MOST_PRODUCTS), (kept, MOST_KEPT)):
        if count > most:
            raise ConfigError(
                f"{cell.name}, {H:,} units: {T:,} steps, each followed {lags:,} steps back, take "
                f"{count / most:.2g} times what a look may: ask for fewer steps, or fewer lags"
            )


def _properties(
    reading: Reading, how: How, tokens: list[str], loss: Array, starts: Array, chunk: int | None
) -> list[Property]:
    pieces, found = reading.pieces, list[Property]()
    text = [part for piece in pieces for part in piece.text or ()]
    if len(text) == len(tokens):
        found += props.of_text(text, starts)
    if 0 < len(reading.columns) <= FEW:
        inputs = np.concatenate([piece.inputs for piece in pieces])
        found += [
            Property(name, "what is read", "number", inputs[:, d].astype(np.float32))
            for d, name in enumerate(reading.columns)
        ]
    for name, array in (pieces[0].given or {}).items():
        whole = np.concatenate([np.asarray((piece.given or {})[name]) for piece in pieces])
        if array.ndim == 1:
            found.append(Property(name, "given at each step", "number", whole.astype(np.float32)))
    found += props.of_steps(loss, starts, chunk)
    own = props.given(dict(how.properties), text if len(text) == len(tokens) else tokens)
    return [*own, *found]


def _layer(
    model: Model,
    rans: Sequence[Ran],
    reached: Sequence[Reach],
    layer: int,
    d: int,
    properties: list[Property],
    loss: Array,
    chunk: int | None,
) -> Layer:
    sides = [ran.layers[layer][d] for ran in rans]
    cell, most = sides[0].cell, units.most_of([len(own.a) for own in sides])
    each = [values(own) for own in sides]
    shown = [_joined([of[k] for of in each]) for k in range(len(each[0]))]
    states = [value["name"] for value in shown if value["kind"] == "state"]
    of_states = {
        v["name"]: [of[k]["array"] for of in each] for k, v in enumerate(shown) if v["name"] in states
    }
    remembers, by = units.remembers(sides, of_states, most)
    of = states[-1] if len(states) == 1 else states[1]
    array = next(value["array"] for value in shown if value["name"] == of)
    norm = np.concatenate([own.norm for own in reached]).astype(np.float32)
    inputs = np.concatenate([own.inputs for own in reached]).astype(np.float32)
    if model.pool is None:
        norm[~np.isfinite(loss)] = inputs[~np.isfinite(loss)] = np.nan
    elif not np.isfinite(loss).any():
        norm[:] = inputs[:] = np.nan
    name = f"layer {layer}"
    if len(rans[0].layers[layer]) > 1:
        name += f", from the {'end' if d else 'beginning'}"
    return Layer(
        name=name,
        units=model.hidden,
        reverse=bool(d),
        values=shown,
        states=states,
        equations=equations(cell),
        constants=constants(sides[0]),
        remembers=remembers,
        remembers_by=by,
        remembers_most=most,
        follows=units.follows(properties, array),
        follows_of=of,
        gradient={
            "paths": [{"name": name, "words": WORDS.get(name) or _words(name)} for name in reached[0].paths],
            "states": [*cell.states],
            "lags": norm.shape[1] - 1,
            "norm": norm,
            "inputs": inputs,
        },
        chunk=chunk,
        starts=_starts(sides),
    )


def _starts(sides: Sequence[LayerRun]) -> Params:
    """Return where states start, of those that start alike in all sequences and not at zero."""
    found = {}
    for s, state in enumerate(sides[0].cell.states):
        first = sides[0].first[s]
        if first.any() and all(np.array_equal(own.first[s], first) for own in sides):
            found[state] = per_unit(sides[0], state, first)[0].astype(np.float32)
    return found


WORDS = {
    EVERYTHING: "the whole gradient, by all ways",
    WITHIN: "by all ways from step to step within this layer",
    "direct": "elementwise, through no weight matrix",
    "every gate": "through a weight matrix at every step, any gate's",
}
"""What paths are."""


def _words(path: str) -> str:
    return f"through {path.removeprefix('gate ')}'s weight matrix at every step"


def _joined(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a value of several sequences as one."""
    array = np.concatenate([part["array"] for part in parts])
    spans = {"lo": min(part["lo"] for part in parts), "hi": max(part["hi"] for part in parts)}
    return parts[0] | spans | {"array": array}


def _guesses(
    model: Model, rans: Sequence[Ran], pieces: Sequence[Piece], reading: Reading
) -> dict[str, Array] | None:
    """Return what the model holds likely at each step; NaN at steps that have no output."""
    found = [
        _numbers(model, ran.outputs, piece)
        if piece.scale is not None
        else {"tokens": ran.which.astype(np.uint32), "p": ran.outputs.astype(np.float32)}
        for ran, piece in zip(rans, pieces, strict=True)
    ]
    if not reading.outputs and pieces[0].scale is None:
        return None
    whole = {}
    for key in found[0]:
        parts = []
        for ran, of in zip(rans, found, strict=True):
            fill = np.nan if of[key].dtype.kind == "f" else 0
            part = np.full((len(ran.loss), *of[key].shape[1:]), fill, of[key].dtype)
            part[len(part) - len(of[key]) :] = of[key]
            parts.append(part)
        whole[key] = np.concatenate(parts)
    return whole


def _numbers(model: Model, y: Array, piece: Piece) -> dict[str, Array]:
    """Return forecasts, or numbers that are told, as they stand in the table."""
    assert piece.scale is not None
    base, scale = (of[-len(y) :, None] for of in piece.scale)
    counts = np.ones(len(y), bool) if len(piece.counted) != len(y) else piece.counted
    told = np.where(counts[:, None] | (len(y) == 1), base + scale * y, np.nan).astype(np.float32)
    levels = np.abs(np.array(model.quantiles or [0.5]) - 0.5)
    found = {"mean": told[:, int(levels.argmin())]}
    return found if model.quantiles is None else found | {"low": told[:, 0], "high": told[:, -1]}


def _about(model: Model, params: Params, loss: float | None, reading: Reading) -> dict[str, str]:
    both = " each from the beginning and the end" if model.bidirectional else ""
    of = LOSSES[model.loss].unit
    said = {
        "cell": model.stack.cell.name,
        "layers": f"{model.layers}{both}",
        "units": f"{model.hidden:,}",
        "parameters": f"{sum(array.size for array in params.values()):,}",
        "corpus": reading.name,
    }
    return said if loss is None else said | {"loss": f"{loss:.4f} {of} on these steps"}
