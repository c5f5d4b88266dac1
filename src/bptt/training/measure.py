"""How a model is measured while it trains, in pieces, between which training may be stopped."""

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from bptt.data.tasks import Verdict
from bptt.errors import DivergedError
from bptt.nets.evaluate import Turns
from bptt.training.experiment import Experiment, Validation
from bptt.training.runs.folder import Run
from bptt.training.workers import StoppedError, Workers
from bptt.types import Array, Params

NOTHING = np.empty(0)


class Shared(Turns):
    """Pieces of a measure: workers take one each, round after round, and training may be stopped between.

    Parameters
    ----------
    should_stop : callable
    workers : Workers
    """

    def __init__(self, should_stop: Callable[[], bool], workers: Workers) -> None:
        self._should_stop, self.workers = should_stop, workers

    def pause(self) -> None:
        """Raise a StoppedError where a stop is asked for: of this worker."""
        if self._should_stop():
            raise StoppedError

    def share(self, do: Callable[[Any], Array], pieces: Iterable[Any]) -> Iterator[Array]:
        """Yield what is found of each piece in their order; StoppedError where any worker is to stop."""
        rank, size, rest = self.workers.rank, self.workers.size, iter(pieces)
        while some := [*islice(rest, size)]:
            own: Array | None = NOTHING
            try:
                self.pause()
                if rank < len(some):
                    own = do(some[rank])
            except StoppedError:
                own = None
            found = self.workers.all_of(own)
            if found is None:
                raise StoppedError
            yield from found[: len(some)]


def measured(experiment: Experiment, params: Params, turns: Shared) -> tuple[Validation, Verdict | None]:
    """Return the validation and, of a task, the verdict; DivergedError where the loss is no number.

    All workers have what the first makes of it: where their processors differ, NumPy may, too.
    """
    with np.errstate(all="ignore"):
        found = experiment.validate(params, turns), experiment.verdict(params, turns)
    valid, verdict = turns.workers.once(lambda: found, tuple[Validation, Verdict | None])
    if not math.isfinite(valid.loss):
        raise DivergedError(f"the validation loss is {valid.loss}")
    return valid, verdict


def on_all(experiment: Experiment, run: Run, params: Params, is_best: bool, turns: Shared) -> float | None:
    """Return the loss on all validation data, of the run's best parameters, which may be `params`.

    None where that is what is measured anyway.
    """
    if experiment.sampled is None:
        return None
    workers, kept = turns.workers, Params()
    if workers.once(lambda: not is_best and run.has("best.safetensors"), bool):
        workers.once(lambda: kept.update(run.load("best", experiment.model.shapes).weights))
        params = {name: kept.get(name, np.empty_like(array)) for name, array in params.items()}
        workers.share(params)
    loss = experiment.validate(params, turns, whole=True).loss
    return workers.once(lambda: loss, float)
