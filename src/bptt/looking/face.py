"""``bptt.look``: a run, or a model, as a page."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from bptt.data.text import Corpus, Vocabulary
from bptt.errors import ConfigError, DataError, ShapeError
from bptt.files import write_atomically
from bptt.looking.forward import Piece
from bptt.looking.measure import How, seen
from bptt.looking.page import page
from bptt.looking.reading import (
    Reading,
    first_of,
    outputs_of,
    part_of,
    reading_of,
    row_of,
    text_piece,
    written,
)
from bptt.looking.view import Kind, Seen, View
from bptt.nets.model import Model
from bptt.training.runs.format import PYTHON
from bptt.training.trained import Trained
from bptt.types import Array, Batch, Params

Source: TypeAlias = str | os.PathLike[str] | Trained
"""A run's folder, or what was read of it."""

Own: TypeAlias = Array | Callable[[list[str]], Any] | str | Sequence[float]
"""A property of one's own."""


@dataclass(frozen=True, eq=False)
class Look:
    """What is seen of one model or two, and its page.

    In a notebook it shows itself.

    Attributes
    ----------
    view : View
        The numbers.
    """

    view: View

    @property
    def runs(self) -> list[Seen]:
        """What is seen of each model: the view's."""
        return self.view.runs

    @cached_property
    def html(self) -> str:
        """The page: one HTML file that asks for nothing else."""
        return page(self.view)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file, which it replaces as a whole."""
        write_atomically(Path(path), self.html.encode())

    def _repr_html_(self) -> str:
        whole = escape(self.html, quote=True)
        return (
            f'<iframe srcdoc="{whole}" title="{escape(self.view.title, quote=True)}" '
            'sandbox="allow-scripts allow-downloads" style="width:100%;height:800px;border:0"></iframe>'
        )

    def __repr__(self) -> str:
        runs = ", ".join(f"{run.name}: {len(run.tokens):,} steps" for run in self.view.runs)
        return f"<look at {runs}>"


def look(
    model: Source | Model,
    params: Params | None = None,
    tokens: Array | str | Corpus | Batch | None = None,
    targets: Array | None = None,
    *,
    path: str | None = None,
    against: Source | tuple[Model, Params] | None = None,
    vocabulary: Vocabulary | Sequence[str] | None = None,
    layers: int | Sequence[int] | None = None,
    lags: int = 100,
    steps: int = 1000,
    properties: Mapping[str, Own] | None = None,
    last: bool = False,
    name: str | None = None,
) -> Look:
    r"""Look at what a network remembers, how far its gradient reaches, and what truncation cuts off.

    Parameters
    ----------
    model : path, Trained, or Model
        A run's folder, or what :meth:`bptt.Trained.load` read; or a model, with its `params` and `tokens`.
    params : dict of arrays, optional
    tokens : (L,) integers, str, Corpus, (T, D) or Batch, optional
        What it reads: tokens, a text itself, the validation part of a loaded text, or real inputs; or a
        batch, whose rows are sequences by themselves. Of a run by default the first of its validation data.
    targets : (T,) or (T, K), optional
        What was to come. Default: the next token, where inputs and outputs are the same tokens.
    path : str, optional
        A file of the run's kind instead: a text, a list, a table.
    against : path, Trained, or (Model, dict of arrays), optional
        Another one, seen on the same steps.
    vocabulary : Vocabulary or list of str, optional
        What tokens stand for, of a model that is given by itself.
    layers : int or sequence of int, optional
        Which are looked at; all of them.
    lags : int
        K, how many steps the gradients are followed back. Default: 100.
    steps : int
        The most steps. Default: 1,000.
    properties : dict, optional
        What units may follow besides: numbers (T,), a function of the tokens that returns them, or a regular
        expression, inside whose matches it is true.
    last : bool
        Of a folder the last checkpoint, not the best.
    name : str, optional
        What to call it.

    Returns
    -------
    Look
        With ``runs``, ``view``, ``html`` and ``save(path)``.

    Raises
    ------
    ConfigError, DataError, RunError, ShapeError, DivergedError
        If something of this cannot be had, takes more than minutes, or does not stay finite.

    Examples
    --------
    >>> import numpy as np, bptt
    >>> model = bptt.Model(inputs=3, outputs=3, hidden=4, cell="gru")
    >>> params = model.init(np.random.default_rng(0))
    >>> seen = bptt.look(model, params, np.array([0, 1, 2, 0, 1, 2, 0]), vocabulary=["a", "b", "\n"], lags=3)
    >>> seen
    <look at gru: 7 steps>
    >>> layer = seen.runs[0].layers[0]
    >>> [value["name"] for value in layer.values], layer.gradient["norm"].shape
    (['h', 'r', 'z', 'n'], (7, 4, 6))
    """
    if not all(isinstance(count, int | np.integer) and count >= 1 for count in (lags, steps)):
        raise ConfigError(f"lags and steps must be whole numbers from 1, got {lags} and {steps}")
    of = () if layers is None else tuple(np.atleast_1d(layers).tolist())
    if not all(isinstance(layer, int) for layer in of):
        raise ConfigError(f"layers must be whole numbers, got {layers!r:.60}")
    how = How(of or None, lags, dict(properties or {}))
    if isinstance(model, Model):
        if params is None or tokens is None or path is not None:
            raise ConfigError(
                "a model by itself wants its params and tokens, and no path: look(model, params, tokens)"
            )
        reading = _of_arrays(model, tokens, targets, vocabulary, steps)
        runs = [seen(model, params, reading, how, name=name or model.stack.cell.name, about={})]
    else:
        if params is not None or targets is not None:
            raise ConfigError("params and targets are for a model by itself; a run has its own")
        trained = _trained(model, last)
        reading = _reading(trained, path, tokens, steps)
        runs = [_seen(trained, reading, how, name)]
    if against is not None:
        runs.append(_against(against, runs[0], reading, how, path, steps, last))
    return Look(View(" and ".join(dict.fromkeys(run.name for run in runs)), runs))


def _trained(source: Source, last: bool) -> Trained:
    return source if isinstance(source, Trained) else Trained.load(source, "last" if last else "best")


def _seen(trained: Trained, reading: Reading, how: How, name: str | None) -> Seen:
    s = trained.settings
    chunked = s.job in ("stream", "lines") and s.data != PYTHON
    return seen(
        trained.model,
        trained.params,
        reading,
        how,
        name=name or Path(os.path.abspath(trained.source)).name,  # noqa: PTH100  without its ..
        about={"step": f"{trained.step:,}"},
        chunk=s.chunk if chunked else None,
    )


def _reading(trained: Trained, path: str | None, tokens: Any, steps: int) -> Reading:
    if tokens is None:
        return reading_of(trained, path, steps)
    if path is not None:
        raise ConfigError("path and tokens are two ways to say what is read; give one")
    if trained.settings.job != "stream":
        raise DataError("tokens are for a model of one long text; others read a file: path=")
    return _of_arrays(trained.model, tokens, None, trained.vocabulary, steps)


def _of_text(vocabulary: Vocabulary, tokens: Array | str | bytes | Corpus, steps: int) -> Reading:
    name = tokens.name if isinstance(tokens, Corpus) else "the text"
    text = tokens.valid if isinstance(tokens, Corpus) else tokens
    ids = vocabulary.encode(text) if isinstance(text, str | bytes) else np.asarray(text)
    return Reading("text", name, [text_piece(vocabulary, ids, steps)], written(vocabulary))


def _of_arrays(
    model: Model,
    tokens: Array | str | Corpus | Batch,
    targets: Array | None,
    vocabulary: Vocabulary | Sequence[str] | None,
    steps: int,
) -> Reading:
    """Return what a model by itself reads."""
    if isinstance(vocabulary, Vocabulary) and not isinstance(tokens, Batch) and targets is None:
        return _of_text(vocabulary, tokens, steps)
    if isinstance(tokens, str | bytes | Corpus):
        raise ConfigError("a text wants the vocabulary by which it is read: vocabulary=")
    batch = tokens if isinstance(tokens, Batch) else _one_row(model, np.asarray(tokens), targets, steps)
    model.input.checked(batch)
    T, N = batch.inputs.shape[:2]
    numbers = {"cross_entropy": (), "quantile": (1,)}.get(model.loss, (model.outputs,))
    wanted = (T if model.pool is None else 1, N, *numbers)
    if batch.targets.size and batch.targets.shape != wanted:
        raise ShapeError(f"targets of {N:,} rows of {T:,} steps must be {wanted}, got {batch.targets.shape}")
    names = written(vocabulary) if isinstance(vocabulary, Vocabulary) else list(map(str, vocabulary or ()))
    rows = ((n, row_of(model, batch, n, names)) for n in range(batch.inputs.shape[1]))
    each = (piece for n, row in rows for piece in _between_resets(model, batch, n, row))
    most = None if model.pool is not None else steps  # a sequence's one loss is of all its steps
    pieces = first_of((part_of(piece, slice(most)) for piece in each), steps)
    kind: Kind = "text" if model.token_inputs and names else "steps"
    columns = [] if model.token_inputs else [f"input {d + 1}" for d in range(model.inputs)]
    return Reading(kind, "the given steps", pieces, outputs_of(model, names), columns)


def _between_resets(model: Model, batch: Batch, n: int, piece: Piece) -> list[Piece]:
    """Return a row cut where its state begins anew: no state and no gradient crosses there."""
    if batch.reset is None:
        return [piece]
    there = slice(None) if batch.mask is None else batch.mask[:, n]
    at = np.flatnonzero(batch.reset[there, n])
    if len(at) and (model.pool is not None or model.features is not None):
        raise ConfigError("a batch with resets is looked at with a loss at each step, and without features")
    edges = [0, *at[at > 0].tolist(), len(piece.inputs)]
    return [part_of(piece, slice(a, b)) for a, b in pairwise(edges)]


def _one_row(model: Model, x: Array, y: Array | None, steps: int) -> Batch:
    """Return tokens (L,), or inputs (T, D), as a batch of one row; the next token is what was to come."""
    if x.ndim != (1 if model.token_inputs else 2) or not len(x):
        wanted = "(L,) integers" if model.token_inputs else f"(T, D = {model.inputs}) numbers"
        raise ConfigError(f"tokens must be {wanted}, got {x.dtype} {x.shape}")
    T, counted, y = len(x), None, None if y is None else np.atleast_1d(y)
    if y is None and model.token_inputs and model.outputs == model.inputs and model.pool is None:
        y, counted = np.append(x[1:], 0), np.arange(T) < T - 1
    if model.pool is None:
        x, y, T = x[:steps], None if y is None else y[:steps], min(T, steps)
    elif y is not None:
        y = y[-1:]
    if y is None:
        return Batch(x[:, None], target_mask=np.zeros((T if model.pool is None else 1, 1), bool))
    return Batch(x[:, None], y[:, None], target_mask=None if counted is None else counted[:T, None])


def _against(
    other: Source | tuple[Model, Params],
    first: Seen,
    reading: Reading,
    how: How,
    path: str | None,
    steps: int,
    last: bool,
) -> Seen:
    """Return another model, seen on the same steps."""
    how = replace(how, layers=None)
    if isinstance(other, tuple):
        model, params = other
        found = seen(model, params, reading, how, name=model.stack.cell.name, about={})
    else:
        trained = _trained(other, last)
        if reading.kind == "text" and trained.settings.job == "stream" and trained.vocabulary is not None:
            (piece,) = reading.pieces
            text = "".join(piece.text or piece.tokens) + (piece.truth[-1] or "")
            own = _of_text(trained.vocabulary, text, steps)
            own = replace(own, name=reading.name)
        else:
            own = reading_of(trained, path, steps)
        if [t for p in own.pieces for t in p.tokens] != first.tokens:
            raise ConfigError(
                f"{trained.source} does not read the same steps as {first.name}: two are seen on the same "
                "tokens, or the same table, which TEXT names"
            )
        found = _seen(trained, own, how, None)
    return replace(found, name=f"{found.name} (2)") if found.name == first.name else found
