"""The gradient flow of a model in a layer, at random positions of a text."""

from dataclasses import replace

import numpy as np

from bptt.data.text.files import read
from bptt.errors import ConfigError, DataError
from bptt.flow.measure import Flow, expect_affordable, through_time
from bptt.layer.reference import unroll
from bptt.nets.evaluate import WINDOW
from bptt.nets.model import Model
from bptt.nets.stack import layer_params
from bptt.training.trained import Trained
from bptt.types import Array, Generator, Params

MOST_GRADIENTS = 16
"""Gradients followed from each position, in a layer of up to 128 units; fewer in a larger one."""

MOST_NUMBERS = 1 << 23
"""Numbers in the pre-activations of the positions that are measured at once; in their derivatives, twice
as many."""

MOST_OF_ONE = 1 << 25
"""Such numbers of a single position: 256 MB, some times over."""


def of_text(
    model: Model,
    params: Params,
    ids: Array,
    *,
    rng: Generator,
    lags: int = 100,
    positions: int = 256,
    layer: int | None = None,
    reverse: bool = False,
    text: str = "the text",
) -> Flow:
    """Measure a model's gradient flow in one of its layers, at random positions of a text.

    At each position the layer has read up to 256 tokens from a zero state before the first of the `lags`
    steps. In a stack the gradient's way is within the layer: what goes down to a lower layer and comes up
    again is not of it. From each position 16 random gradients are followed, entries ±1/√H, fewer in a layer
    of more than 128 units; in one of up to 16 units, all unit vectors.

    Parameters
    ----------
    model : Model
        With token inputs.
    params : dict of arrays
    ids : (L,) integers
    rng : Generator
        Draws the positions, without repetition, and the gradients.
    lags : int
        K, the most steps to go back.
    positions : int
        N, how many to average; all there are where the text has fewer.
    layer : int, optional
        As in the parameters' names, from 0. Default: the last, whose output the loss sees.
    reverse : bool
        Whether it is the direction that reads from the end, whose "k steps before" are later in the text.
    text : str
        What to call it.

    Returns
    -------
    Flow

    Raises
    ------
    ConfigError, DataError, DivergedError
        If the model has no such layer or direction; if the text is too short; if its states do not stay
        finite.

    Examples
    --------
    >>> import numpy as np, bptt, bptt.flow
    >>> rng = np.random.default_rng(0)
    >>> model = bptt.Model(inputs=9, outputs=9, hidden=8, cell="gru", layers=2)
    >>> params, ids = model.init(rng), rng.integers(9, size=500)
    >>> flow = bptt.flow.of_text(model, params, ids, rng=rng, lags=20, positions=4)
    >>> flow.where
    'layer 1 (of 0 to 1), 8 units; 4 positions of the text; up to 20 steps back'
    """
    layer = model.layers - 1 if layer is None else layer
    if not 0 <= layer < model.layers:
        has = "layer 0 alone" if model.layers == 1 else f"layers 0 to {model.layers - 1}"
        raise ConfigError(f"the model has {has}, got layer {layer}")
    if reverse and not model.bidirectional:
        raise ConfigError("the model reads from the beginning alone: there is no reverse direction")
    if not model.token_inputs or model.features is not None:
        raise ConfigError("the model does not read text from its beginning: its inputs are features")
    if lags < 1 or positions < 1:
        raise ConfigError(f"lags and positions must be whole numbers from 1, got {lags} and {positions}")
    if len(ids) < lags:
        raise DataError(
            f"{text}: in {len(ids):,} tokens no position has {lags:,} steps before it; "
            "give a longer text, or fewer lags"
        )
    ends = np.sort(rng.permutation(len(ids) - lags + 1)[:positions]) + lags
    N, H = len(ends), model.hidden
    M = max(1, min(MOST_GRADIENTS, (4 * 128 // H) ** 2))
    which = "its one layer" if model.layers == 1 else f"layer {layer} (of 0 to {model.layers - 1})"
    cell = model.stack.cell
    S, G = len(cell.states), len(cell.gates)
    width, derivatives = max(H * G * (layer + 1), model.embedding or 0), H * S * (S + G)
    read, kept = (WINDOW + lags) * width, lags * derivatives
    if max(read, kept) > MOST_OF_ONE:
        is_small = max((WINDOW + 1) * width, derivatives) <= MOST_OF_ONE
        raise ConfigError(
            f"{which}, {H:,} units: {lags:,} steps back need {max(read, kept):,} numbers at each position, "
            f"of {MOST_OF_ONE:,} at most: {'ask for fewer lags' if is_small else 'the layer is too large'}"
        )
    at_once = max(1, min(MOST_NUMBERS // read, 2 * MOST_NUMBERS // kept))
    expect_affordable(cell, H, min(H, M), lags, N, -(-N // at_once))
    start = None if H <= M else rng.choice([-1.0, 1.0], size=(N, M, H)) / np.sqrt(H)
    if model.bidirectional:
        which += f", reading from the {'end' if reverse else 'beginning'}"
    text = "".join(c if c.isprintable() else "\ufffd" for c in text)  # a file's name may hold anything
    followed = "" if start is None else f", {M} random gradient{'s' * (M > 1)} from each"
    where = f"{which}, {H} units; {N} positions of {text}{followed}; up to {lags} steps back"

    model, params = model.unmapped({name: array.astype(np.float64) for name, array in params.items()})
    cell, parts = model.stack.cell, []
    for first in range(0, N, at_once):
        rows = slice(first, first + at_once)
        with np.errstate(all="ignore"):  # through_time says what does not stay finite
            x, own, states = _layer(model, params, ids, ends[rows], lags, layer, reverse)
        some = None if start is None else start[rows]
        parts.append(through_time(cell, own, x, states, start=some))
    squares = {path: np.concatenate([part.squares[path] for part in parts], 1) for path in parts[0].paths}
    return replace(parts[0], squares=squares, where=where)


def ids_of(trained: Trained, path: str | None = None) -> tuple[str, Array]:
    """Return what a text is called and its tokens: the model's validation text, or that at `path`.

    Raises
    ------
    DataError
        If it cannot be read, holds a character that the model does not know, or the model reads no text.
    """
    if trained.vocabulary is not None and trained.settings.job != "stream":
        unit = trained.form.unit
        raise DataError(f"the model has learnt {unit}s by themselves: flow follows a model of one long text")
    vocabulary = trained.expect_text("reads")
    if path is not None:
        return path, vocabulary.encode(read(path, vocabulary.kind, encoding=trained.settings.encoding).data)
    corpus = trained.corpus()
    return f"{corpus.name}, validation", vocabulary.encode(corpus.valid)


def _layer(
    model: Model, params: Params, ids: Array, ends: Array, lags: int, layer: int, reverse: bool
) -> tuple[Array, Params, tuple[Array, ...]]:
    """Return what a layer reads in the `lags` steps up to each end, its parameters, and its states before."""
    turn = slice(None, None, -1 if reverse else 1)
    padded = np.concatenate([np.zeros(WINDOW, ids.dtype), ids[turn]])  # time runs as this direction reads
    at = ends + np.arange(WINDOW + lags)[:, None] - lags
    tokens, mask = padded[at][turn], (at >= WINDOW)[turn]  # as the text runs
    x = tokens if model.embedding is None else params["embedding"][tokens]
    if layer:
        x = replace(model.stack, layers=layer).forward(params, x, mask=mask).y
    x, mask = x[turn], mask[turn]
    own = layer_params(params, layer, reverse=reverse)
    states = unroll(model.stack.cell, own, x[:WINDOW], mask=mask[:WINDOW]).states
    return x[WINDOW:], own, states
