"""Learning rates over time, and when to stop.

A schedule says the rate of the next update from how far training has come, and, if it is Plateau, from
the validation losses it was shown::

    rate = warm(step) schedule(step, epoch)        warm(step) = min(1, (step + 1) / warmup)

``step`` counts the updates done, ``epoch`` the passes over the data done: a float, 0.0 before the first.
So a linear warm-up (Goyal et al., "Accurate, large minibatch SGD", 2017) begins at 1 / warmup of the
rate and has all of it at update number `warmup`.
"""

import math
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, fields
from operator import index
from typing import Any, ClassVar

from bptt.data.batches import is_count
from bptt.errors import ConfigError
from bptt.shown import Shown


@dataclass
class _Checked:
    """Options, which are the fields that are given, and a state, which is the others; each is checked."""

    wanted: ClassVar[dict[str, tuple[Callable[[Any, Any], bool], str]]] = {
        "peak": (lambda x, _: 0 < x < math.inf, "a finite number above 0"),
        "total_steps": (lambda x, _: x is None or index(x) > 0, "a whole number above 0"),
        "warmup": (lambda x, its: 0 <= index(x) <= its._end, "whole, 0 to total_steps = {its._end}"),
        "keep": (lambda x, _: index(x) >= 0, "a whole number of epochs, 0 or more"),
        "factor": (lambda x, _: 0 < x <= 1, "in (0, 1]"),
        "floor": (lambda x, its: 0 <= x <= its.peak, "in [0, lr = {its.peak}]"),
        "patience": (lambda x, _: index(x) > 0, "a whole number above 0"),
        "min_delta": (lambda x, _: 0 <= x < math.inf, "0 or more, and finite"),
        "best": (lambda x, _: x is None or _is_finite(x), "null or a finite number"),
        "bad": (lambda x, _: is_count(x, 53), "a whole number, 0 or more"),
        "after": (lambda x, _: index(x) > 0, "a whole number above 0"),
        "recent": (
            lambda x, its: type(x) is list and len(x) <= its.after and all(map(_is_finite, x)),
            "a list of at most after finite numbers",
        ),
        "cuts": (lambda x, _: is_count(x, 53), "a whole number, 0 or more"),
    }
    """Whether a field's value is right beside the others, and what it must be, in words."""

    def __post_init__(self) -> None:
        for each in fields(self):
            self._check(each.name, getattr(self, each.name))

    def _check(self, name: str, value: Any) -> None:
        """Raise ConfigError unless the value is right; one of the wrong type is not."""
        right, words = self.wanted[name]
        with suppress(TypeError):
            if right(value, self):
                return
        option = "lr" if name == "peak" else name
        raise ConfigError(f"{self._name}: {option} must be {words.format(its=self)}, got {value!r}")

    @property
    def _name(self) -> str:
        return type(self).__name__.lower()

    def state(self) -> dict[str, Any]:
        """Return what was learned from the validation losses, as JSON values."""
        return {each.name: getattr(self, each.name) for each in fields(self) if not each.init}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state that `state` returned; ConfigError if it is another's."""
        own = self.state().keys()
        if state.keys() != own:
            raise ConfigError(
                f"{self._name}: a state to restore must have {', '.join(own) or 'nothing'},"
                f" got {', '.join(sorted(state)) or 'nothing'}; it was saved by something else"
            )
        for name, value in state.items():
            self._check(name, value)
        vars(self).update(state)


@dataclass(kw_only=True)
class Schedule(_Checked, Shown, html="bptt.training.shown:schedule_html"):
    """What every schedule does: warm up, give a rate, hear of validation losses, save its state.

    Parameters
    ----------
    peak : float above 0
        The rate at the end of the warm-up.
    total_steps : int above 0, or None
        Updates of the whole training; None where it has no fixed end.
    warmup : int
        Updates of linear warm-up, at most total_steps.
    """

    peak: float
    total_steps: int | None = None
    warmup: int = 0

    @property
    def _end(self) -> float:
        return math.inf if self.total_steps is None else self.total_steps

    def lr(self, step: int, epoch: float) -> float:
        """Return the rate of the next update.

        Parameters
        ----------
        step : int
            Updates done.
        epoch : float
            Passes over the data done.
        """
        warm = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        return float(warm * self._rate(step, epoch))

    def _rate(self, step: int, epoch: float) -> float:
        """Return the rate without the warm-up."""
        return self.peak

    def observe(self, valid_loss: float) -> None:
        """Hear of a validation loss."""


@dataclass(kw_only=True)
class Constant(Schedule):
    """The same rate always, after the warm-up."""


@dataclass(kw_only=True)
class Step(Schedule):
    """Hold for `keep` epochs, then multiply by `factor` at the start of each further epoch.

    ::

        rate = peak factor^max(0, e - keep)        in epoch number e = 1, 2, ...

    Zaremba, Sutskever and Vinyals, "Recurrent neural network regularization" (2014): small 4 and 1/2,
    medium 6 and 1/1.2, large 14 and 1/1.15.

    Parameters
    ----------
    keep : int
    factor : float in (0, 1]

    Examples
    --------
    >>> step = get("step", lr=1.0, keep=2, factor=0.5)
    >>> [step.lr(0, epoch) for epoch in (0.0, 1.9, 2.0, 3.5)]
    [1.0, 1.0, 0.5, 0.25]
    """

    keep: int = 4
    factor: float = 0.5

    def _rate(self, step: int, epoch: float) -> float:
        e = math.floor(epoch) + 1
        return self.peak * self.factor ** max(0, e - self.keep)


@dataclass(kw_only=True)
class Cosine(Schedule):
    """Half a cosine from the peak, after the warm-up, to `floor` at total_steps.

    ::

        rate = floor + (peak - floor) (1 + cos(π x)) / 2        x = (step - warmup) / (total_steps - warmup)

    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts" (ICLR 2017), without
    the restarts.

    Parameters
    ----------
    floor : float in [0, peak]
        The last rate.

    Examples
    --------
    >>> cosine = get("cosine", lr=1.0, total_steps=12, warmup=2)
    >>> [round(cosine.lr(step, 0.0), 3) for step in (0, 1, 2, 7, 12)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """

    floor: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.total_steps is None:
            raise ConfigError("cosine: total_steps must be given, got None")

    def _rate(self, step: int, epoch: float) -> float:
        x = 1.0 if step >= self._end else max(0, step - self.warmup) / max(1, self._end - self.warmup)
        return self.floor + (self.peak - self.floor) * (1 + math.cos(math.pi * x)) / 2


@dataclass
class EarlyStopping(_Checked):
    """Stop after `patience` validation losses in a row that are no better than the best before them.

    A loss that is nan or inf is never better. Prechelt, "Early stopping, but when?" (1998).

    Parameters
    ----------
    patience : int above 0
    min_delta : float
        How far below the best a loss must be to be better.

    Examples
    --------
    >>> stop = EarlyStopping(patience=2)
    >>> [stop.observe(loss) for loss in (3.0, 2.0, 2.5, 2.0)]
    [False, False, False, True]
    """

    patience: int
    min_delta: float = 0.0
    best: float | None = field(default=None, init=False)
    bad: int = field(default=0, init=False)

    def observe(self, valid_loss: float) -> bool:
        """Hear of a validation loss; return whether to stop."""
        return _is_at_end(self, float(valid_loss))


@dataclass
class NonMonotone(_Checked):
    """Say when a validation loss is above the lowest one, but for the last `after` before it.

    Merity, Keskar and Socher, "Regularizing and optimizing LSTM language models" (ICLR 2018), algorithm 1,
    whose n is `after`.

    Parameters
    ----------
    after : int above 0

    Examples
    --------
    >>> watch = NonMonotone(after=2)
    >>> [watch.observe(loss) for loss in (3.0, 2.0, 2.5, 2.4, 2.3, 1.9)]
    [False, False, False, False, True, False]
    """

    after: int
    best: float | None = field(default=None, init=False)
    recent: list[float] = field(default_factory=list, init=False)

    def observe(self, valid_loss: float) -> bool:
        """Hear of a validation loss; return whether averaging begins."""
        begins = self.best is not None and valid_loss > self.best
        self.recent = [*self.recent, float(valid_loss)]
        if len(self.recent) > self.after:
            self.best = min(self.recent[0], math.inf if self.best is None else self.best)
            self.recent = self.recent[1:]
        return begins


@dataclass(kw_only=True)
class Plateau(Schedule):
    """Multiply by `factor` after `patience` validation losses in a row without improvement.

    As in PyTorch's word language model, where each such loss divides the rate by 4. PyTorch's
    ReduceLROnPlateau waits for one more: its patience=0 is 1 here.

    Parameters
    ----------
    factor : float in (0, 1]
    patience : int above 0
    min_delta : float
        How far below the best a loss must be to improve on it.
    floor : float in [0, peak]
        The least rate.

    Examples
    --------
    >>> plateau = get("plateau", lr=1.0)
    >>> for loss in (5.0, 4.0, 4.5):
    ...     plateau.observe(loss)
    >>> plateau.lr(0, 0.0), plateau.state()
    (0.25, {'best': 4.0, 'bad': 0, 'cuts': 1})
    """

    factor: float = 0.25
    patience: int = 1
    min_delta: float = 0.0
    floor: float = 0.0
    best: float | None = field(default=None, init=False)
    bad: int = field(default=0, init=False)
    cuts: int = field(default=0, init=False)

    def _rate(self, step: int, epoch: float) -> float:
        return max(self.floor, self.peak * self.factor**self.cuts)

    def observe(self, valid_loss: float) -> None:
        """Hear of a validation loss; cut the rate if the patience is at its end."""
        if _is_at_end(self, float(valid_loss)):
            self.cuts += 1
            self.bad = 0


SCHEDULES: dict[str, type[Schedule]] = {k.__name__.lower(): k for k in (Constant, Step, Plateau, Cosine)}
"""Schedules by the name that `get` takes: constant, step, plateau, cosine."""


def get(name: str, *, lr: float, total_steps: int | None = None, warmup: int = 0, **own: Any) -> Schedule:
    """Return the schedule of that name.

    Parameters
    ----------
    name : str
        One of `SCHEDULES`.
    lr : float above 0
        The rate at the end of the warm-up.
    total_steps : int, optional
        Updates of the whole training; cosine needs it.
    warmup : int
        Updates of linear warm-up.
    **own
        The schedule's own options, by their names.

    Raises
    ------
    ConfigError
        For an unknown name or option, or a value that means nothing.
    """
    if name not in SCHEDULES:
        raise ConfigError(f"schedule must be one of {', '.join(SCHEDULES)}, got {name!r}")
    known = ["lr", *(f.name for f in fields(SCHEDULES[name]) if f.init and f.name != "peak")]
    if odd := sorted(own.keys() - set(known)):
        raise ConfigError(f"{name}: options are {', '.join(known)}; got {', '.join(odd)}")
    return SCHEDULES[name](peak=lr, total_steps=total_steps, warmup=warmup, **own)


def _is_at_end(watch: EarlyStopping | Plateau, loss: float) -> bool:
    """Take note of a validation loss; return whether so many in a row were no better as patience allows."""
    if math.isfinite(loss) and (watch.best is None or loss < watch.best - watch.min_delta):
        watch.best, watch.bad = loss, 0
    else:
        watch.bad += 1
    return watch.bad >= watch.patience


def _is_finite(x: Any) -> bool:
    return type(x) in (int, float) and abs(x) <= sys.float_info.max
