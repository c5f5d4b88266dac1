"""Dynamic evaluation: a model that goes on learning from the text that it is measured on.

A segment is predicted first, and only then moves the parameters, for the segments after it::

    (1)  L = mean loss of the segment, with θ as the segments before have left it
    (2)  g = dL/dθ, back to the segment's first step
    (3)  θ = θ - η g + λ (θ_0 - θ)                     or, with RMS,
         θ = θ - η g / (r + ε) + λ n (θ_0 - θ)         r² = mean of g² over training text, ε = mean of r,
                                                       n = min(r / ε, 1 / λ)

Krause, Kahembwe, Murray and Renals, "Dynamic evaluation of neural sequence models" (ICML 2018), whose ε is a
number to choose. What is measured so is no longer one model: it is told apart from other figures, and the
parameters that are given stay as they are.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bptt.data.text import TextStream
from bptt.errors import ConfigError, DataError
from bptt.nets.evaluate import Pause, go_on
from bptt.nets.model import Model
from bptt.training.jobs.stream import digest
from bptt.training.optim import Optimizer
from bptt.training.scoring import Score
from bptt.training.settings import WORDS
from bptt.training.step import Step
from bptt.training.trained import Trained
from bptt.types import Array, Batch, Params

__all__ = ["Found", "evaluate", "root_mean_squares", "scores"]

RATES = {"sgd": (0.03, 0.1, 0.3, 1.0), "rms": (3e-5, 1e-4, 3e-4, 1e-3)}
DECAYS = (0.0, 1e-3, 1e-2)
"""What is tried of η, and then of λ."""

TRIED = 1 << 14
"""The most tokens of the validation text that they are tried on."""

SEGMENTS = {"word": 5, "bpe": 5}
"""Tokens of a segment, where these are not characters, of which it has 20: as in the paper."""

LONGEST = 1 << 14
"""The most tokens of a segment, whose steps are all held at once."""

ROWS, BATCHES = 32, 100
"""Of the training text, for the mean of squares: how many rows, and at most how many segments of each."""


@dataclass(frozen=True)
class Found:
    """What a model reaches that goes on learning, and by which numbers.

    Attributes
    ----------
    scores : list of Score
    rule : "sgd" or "rms"
    rate, decay : float
    segment : int
    tried_on : int or None
        How many tokens of the validation text the rate was chosen on; None where it was given.
    """

    scores: list[Score]
    rule: str
    rate: float
    decay: float
    segment: int
    tried_on: int | None

    @property
    def says(self) -> str:
        """How it was measured, in words."""
        chosen = f", chosen on {self.tried_on:,} tokens of the validation text" if self.tried_on else ""
        return f"{self.rule}, rate {self.rate:g}, decay {self.decay:g}, segments of {self.segment}{chosen}"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        own = {name: getattr(self, name) for name in ("rule", "rate", "decay", "segment", "tried_on")}
        return own | {"scores": [score.to_json() for score in self.scores]}


def scores(
    trained: Trained,
    path: str | None = None,
    *,
    rule: str = "sgd",
    rate: float | None = None,
    decay: float | None = None,
    segment: int | None = None,
) -> Found:
    """Return how well a model predicts its validation (and test) text, or the one at `path`, as it learns.

    Each text is begun with the trained parameters.

    Parameters
    ----------
    trained : Trained
        Of one long text.
    path : str, optional
    rule : "sgd" or "rms"
    rate, decay : float, optional
        η and λ. A rate that is not given is chosen on the validation text, and so is the decay then.
    segment : int, optional
        By default 20 characters or bytes, or 5 words or subwords.

    Raises
    ------
    DataError
        If a text is not there, or is no longer what was trained on.
    ConfigError
        If a number means nothing.
    """
    if trained.settings.job != "stream":
        raise DataError(
            f"dynamic evaluation is of one long text; this is a model of {WORDS[trained.settings.job]}"
        )
    if rule not in RATES:
        raise ConfigError(f"rule must be one of {', '.join(RATES)}, got {rule!r}")
    texts, vocabulary = trained.ids_of(path), trained.vocabulary
    assert vocabulary is not None  # ids_of has looked
    T = SEGMENTS.get(vocabulary.kind, 20) if segment is None else segment
    _expect_segment(T)
    rms = None
    if rule == "rms":
        try:
            corpus = trained.corpus()
            if digest(corpus) != trained.sha256:
                raise trained.changed()
        except DataError as error:
            raise DataError(f"rms is of gradients on the training text: {error}; sgd needs none") from None
        train = vocabulary.encode(corpus.train, compact=True)
        rms = root_mean_squares(trained.model, trained.params, train, segment=T)

    def loss(ids: Array, rate: float, decay: float) -> float:
        return evaluate(trained.model, trained.params, ids, rate=rate, decay=decay, segment=T, rms=rms)

    tried_on = None
    if rate is None:
        try:
            valid = next(iter((texts if path is None else trained.ids_of()).values()))[: TRIED + 1]
        except DataError as error:
            raise DataError(f"a rate is chosen on the validation text: {error}; or give --rate") from None
        tried_on = len(valid) - 1
        rate = min(RATES[rule], key=lambda rate: loss(valid, rate, decay or 0.0))
        if decay is None:
            decay = min(DECAYS, key=lambda decay: loss(valid, rate, decay))
    decay = decay or 0.0
    found = [
        Score.of(name, "dynamic", loss(ids, rate, decay), ids, vocabulary) for name, ids in texts.items()
    ]
    return Found(found, rule, rate, decay, T, tried_on)


@dataclass(frozen=True)
class Dynamic(Optimizer):
    """One step of dynamic evaluation, (3)."""

    decay: float = 0.0
    slots = ("start",)
    equations = ("p = p - lr*g + decay*(start - p)",)


@dataclass(frozen=True)
class DynamicRMS(Optimizer):
    """One step of it with gradients scaled, (3)."""

    decay: float = 0.0
    slots = ("start", "scale", "pull")
    equations = ("p = p - lr*g/scale + decay*pull*(start - p)",)


def evaluate(
    model: Model,
    params: Params,
    ids: Array,
    *,
    rate: float,
    decay: float = 0.0,
    segment: int = 20,
    rms: Params | None = None,
    pause: Pause = go_on,
) -> float:
    """Return nats per token over a text, read once from a zero state, by a model that learns on the way.

    Parameters
    ----------
    model : Model
        Of tokens, with the cross-entropy.
    params : dict of arrays
        θ_0; they are not changed.
    ids : (L,) integers
        At least two.
    rate : float from 0
        η.
    decay : float in [0, 1)
        λ, the part of the way back to θ_0 that each segment goes.
    segment : int
        Tokens that are predicted before they are learnt from.
    rms : dict of arrays, optional
        r, from `root_mean_squares`.
    pause : callable
        Called before each segment; what it raises ends it all.

    Returns
    -------
    float
        inf where the parameters came apart.

    Raises
    ------
    ConfigError
        If a number means nothing.
    DataError
        If there is nothing to predict.

    Examples
    --------
    >>> import numpy as np, bptt
    >>> model = bptt.Model(inputs=3, outputs=3, hidden=8, forget_bias=1.0)
    >>> params, ids = model.init(np.random.default_rng(0)), np.arange(600) % 3
    >>> still, moved = (evaluate(model, params, ids, rate=rate) for rate in (0.0, 1.0))
    >>> abs(still - bptt.evaluate.carried(model, params, ids)) < 1e-5, moved < still - 0.1
    (True, True)
    """
    if not 0 <= rate < math.inf:
        raise ConfigError(f"rate must be a finite number from 0, got {rate}")
    if len(ids) < 2:
        raise DataError(f"text: a score takes at least 2 tokens, an input and its target, got {len(ids)}")
    _expect_segment(segment)
    own = {name: array.copy() for name, array in params.items()}
    rule: Optimizer = Dynamic(decay) if rms is None else DynamicRMS(decay)
    slots = rule.init({}) | _named("start", params)
    if rms is not None:
        mean = _mean(rms)
        most = 1 / decay if decay else math.inf
        slots |= _named("scale", {name: (r + mean).astype(r.dtype) for name, r in rms.items()})
        slots |= _named("pull", {name: np.minimum(r / mean, most).astype(r.dtype) for name, r in rms.items()})
    step, total = Step(_measured(model), own, rule, slots), 0.0
    state: Params | None = None
    with np.errstate(all="ignore"):
        for start in range(0, len(ids) - 1, segment):
            pause()
            part = ids[start : start + segment + 1].astype(np.int32)[:, None]
            if not math.isfinite(step(Batch(part[:-1], part[1:]), rate, state)):  # (1), (2), (3)
                return math.inf
            total, state = total + float(step.each.sum(dtype=np.float64)), step.state
    return total / (len(ids) - 1)


def _expect_segment(segment: int) -> None:
    """Raise a ConfigError unless so many tokens are learnt from at a time."""
    if not 1 <= segment <= LONGEST:
        raise ConfigError(f"segment must be from 1 to {LONGEST:,} tokens, got {segment:,}")


def root_mean_squares(model: Model, params: Params, ids: Array, *, segment: int = 20) -> Params:
    """Return r, the root of the mean of squared gradients over segments of a training text.

    Parameters
    ----------
    model, params, segment
        As in `evaluate`.
    ids : (L,) integers
        The text: the first segments of 32 places in it are read, at most 100 of each.
    """
    rows = max(1, min(ROWS, (len(ids) - 1) // segment))
    stream, model = TextStream(ids, rows, segment), _measured(model)
    sums = {name: np.zeros_like(array) for name, array in params.items()}
    state: Params | None = None
    count = min(BATCHES, stream.batches_per_epoch)
    for _ in range(count):
        batch = stream.next()
        _, _, grads, state = model.backprop(params, batch, state)
        for name, g in grads.params.items():
            sums[name] += g * g
    return {name: np.sqrt(array / count) for name, array in sums.items()}


def _measured(model: Model) -> Model:
    """Return a model whose loss is the mean of what is measured, and nothing else."""
    return replace(
        model,
        reduction="mean_over_time_and_batch",
        label_smoothing=0.0,
        activation_penalty=0.0,
        temporal_penalty=0.0,
    )


def _named(slot: str, arrays: Params) -> Params:
    return {f"{slot}.{name}": array for name, array in arrays.items()}


def _mean(rms: Params) -> float:
    """Return the mean of all entries; not zero."""
    total = math.fsum(float(r.sum(dtype=np.float64)) for r in rms.values())
    return max(total / sum(r.size for r in rms.values()), float(np.finfo(np.float32).tiny))
