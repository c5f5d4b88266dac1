"""Averaged weights: what is measured and kept is a mean of the weights that training passes through.

::

    a = a + mu_n (p - a)        after the update that gives the n-th weights p of the mean; a_1 = p_1

    ema        mu_n = (1 - d) / (1 - d^n)     a_n = Σ d^(n-i) p_i / Σ d^(n-i)
    nt-asgd    mu_n = 1 / n                   a_n = Σ p_i / n

The exponential mean of decay d is that of Kingma and Ba, "Adam" (ICLR 2015), section 7.2, where the start at
zero is corrected; it begins with the first update. The plain one is that of Polyak and Juditsky (1992); it
begins where validation says so: Merity, Keskar and Socher, "Regularizing and optimizing LSTM language models"
(ICLR 2018), algorithm 1. Training itself goes on with p, as if there were no mean.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from bptt.data.batches import is_count
from bptt.errors import RunError
from bptt.kernels.backends import Backend
from bptt.training.optim import Optimizer
from bptt.training.schedules import NonMonotone
from bptt.types import Params

Averaging: TypeAlias = Literal["none", "ema", "nt-asgd"]
"""How weights are averaged."""


@dataclass(frozen=True)
class _Nearer(Optimizer):
    """The part lr of the way from p to g, which here is the weights themselves."""

    equations = ("p = p + lr*(g - p)",)


class Average:
    """A mean of weights, which may not have begun.

    Parameters
    ----------
    kind : "none", "ema" or "nt-asgd"
    decay : float in [0, 1)
        d, of an exponential mean.
    after : int above 0
        The checks without a better one after which a plain mean begins.

    Attributes
    ----------
    arrays : dict of arrays
        a; empty until the mean begins.
    count : int
        n, how many weights it is of.

    Examples
    --------
    >>> import numpy as np
    >>> average = Average("ema", decay=0.5)
    >>> for p in (1.0, 4.0):
    ...     average.update({"w": np.array([p])})
    >>> average.arrays["w"]  # (0.5 * 1 + 4) / (0.5 + 1)
    array([3.])
    """

    def __init__(self, kind: Averaging, *, decay: float = 0.999, after: int = 5) -> None:
        self.kind, self.decay = kind, decay
        self.trigger = NonMonotone(after)
        self.arrays: Params = {}
        self.count = 0

    def weights(self, params: Params) -> Params:
        """Return what is measured and kept: the mean, or `params` where it has not begun."""
        return self.arrays or params

    @property
    def figures(self) -> dict[str, float]:
        """How many weights a plain mean is of, once it has begun: for the log."""
        return {"averaged": self.count} if self.arrays and self.kind == "nt-asgd" else {}

    def update(self, params: Params, *, backend: Backend = "auto") -> None:
        """Take in the weights after an update."""
        if self.arrays:
            self.count += 1
            d, n = self.decay, self.count
            mu = (1 - d) / (1 - d**n) if self.kind == "ema" else 1 / n
            _NEARER.update(self.arrays, params, _NEARER.init({}), mu, backend=backend)
        elif self.kind == "ema":
            self._begin(params)

    def observe(self, valid_loss: float, params: Params) -> None:
        """Hear of the validation loss of `params`, or of their mean; a plain mean may begin with them."""
        if self.kind == "nt-asgd" and self.trigger.observe(valid_loss) and not self.arrays:
            self._begin(params)

    def _begin(self, params: Params) -> None:
        self.arrays, self.count = {name: p.copy() for name, p in params.items()}, 1

    def state(self) -> dict[str, Any] | None:
        """Return how far it has come, as JSON values, but for the arrays; None where no mean is wanted."""
        return None if self.kind == "none" else {"count": self.count, **self.trigger.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up a state that `state` returned; RunError or ConfigError if it is none."""
        rest = dict(state)
        count = rest.pop("count", None)
        if not isinstance(count, int) or not is_count(count):
            raise RunError(f"an average of weights has a count, got {count!r:.60}")
        self.trigger.restore(rest)
        self.count = count


_NEARER = _Nearer()
