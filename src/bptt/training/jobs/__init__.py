"""The jobs: what a run learns, from which kind of data. A job is a file, and its line in `JOBS`."""

from typing import Any

from bptt.data.text import Vocabulary
from bptt.training.experiment import Experiment
from bptt.training.jobs.generated import Generated
from bptt.training.jobs.labels import Labels
from bptt.training.jobs.lines import Lines
from bptt.training.jobs.series import Forecasting
from bptt.training.jobs.stream import Stream
from bptt.training.settings import Settings

JOBS: dict[str, type[Experiment]] = {
    "stream": Stream,
    "series": Forecasting,
    "lines": Lines,
    "labels": Labels,
    "generated": Generated,
}
"""By the names that :attr:`bptt.Settings.job` gives."""


def experiment(
    settings: Settings, *, facts: dict[str, Any] | None = None, known: Vocabulary | None = None
) -> Experiment:
    """Load the data and describe the model; tokens that are `known` keep their ids.

    BpttError if the data cannot be used, a setting means nothing, or the data are no longer those of
    `facts`, which are from the configuration of a run that is resumed.
    """
    made = JOBS[settings.job].of(settings, known)
    made.expect_sound(facts)
    return made
