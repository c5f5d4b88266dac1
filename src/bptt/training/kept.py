"""What of a training run outlasts its process: all that decides a later step, to a checkpoint and back."""

from typing import Any

from msgspec.structs import asdict

from bptt.errors import DivergedError
from bptt.training import divergence
from bptt.training.experiment import Experiment
from bptt.training.opening import expect_own
from bptt.training.runs.folder import Checkpoint, Run
from bptt.training.runs.format import Progress, convert
from bptt.training.schedules import EarlyStopping
from bptt.training.shards import Sharded
from bptt.training.step import Step
from bptt.training.workers import Workers
from bptt.types import Params


class Kept:
    """What a :class:`bptt.Trainer` has of its run."""

    def __init__(
        self, experiment: Experiment, run: Run, params: Params, workers: Workers | None = None
    ) -> None:
        self.experiment, self.run, self.settings = experiment, run, experiment.settings
        self.model, self.optimizer = experiment.model, experiment.optimizer()
        self.schedule = experiment.schedule()
        self.stopping = EarlyStopping(p) if (p := self.settings.patience) else None
        self.average = experiment.average()
        self.params, self.slots = params, self.optimizer.init(params)
        self.workers = workers or Workers()
        self._take: Step | Sharded | None = None
        self.carried: Params | None = None
        self.progress = Progress.none()
        self._seconds, self._saved_at = 0.0, -1
        self.end: str | None = None

    @property
    def _places(self) -> dict[str, Any]:
        """What has a place of its own, by the names of the checkpoint's values."""
        own = {"schedule": self.schedule, "stopping": self.stopping, "average": self.average}
        return {"source": self.experiment.source, **own}

    def _save(self, name: str) -> None:
        self.workers.expect_same(self.progress.step, self.params, self.slots)
        for array in (self.carried or {}).values():
            self.workers.gather_rows(array)
        arrays = {"params": self.params, "optimizer": self.slots, "state": self.carried or {}}
        arrays["average"] = self.average.arrays
        if odd := divergence.not_finite(arrays):
            raise self._diverged(odd)
        for key, place in self._places.items():
            setattr(self.progress, key, place and place.state())
        self.workers.once(lambda: self.run.save(name, Checkpoint(arrays, asdict(self.progress))))
        if name == "last":
            self._saved_at = self.progress.step

    def _restore(self, kept: Checkpoint) -> None:
        progress = convert(kept.values, Progress, str(self.run.path("last.safetensors")))
        expect_own(self.run, kept, progress, self.experiment, self.slots)
        arrays, names = kept.arrays, self.model.shapes
        self.params = {name: self.params[name] for name in names}
        self.slots = {name: arrays["optimizer"][name] for name in self.slots}
        self.carried = arrays.get("state") or None
        self.average.arrays = {name: arrays["average"][name] for name in names if "average" in arrays}
        for key, place in self._places.items():
            if place is not None and (at := getattr(progress, key)) is not None:
                place.restore(at)
        self.progress, self._saved_at = progress, progress.step

    def _diverged(self, what: str) -> DivergedError:
        return divergence.error(what, self.run, self.experiment, self.progress.step, self._saved_at)
