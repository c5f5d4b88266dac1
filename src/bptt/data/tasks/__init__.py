"""Tasks made by a generator, with a best loss that is known and a test that says whether one is solved."""

from dataclasses import fields

from bptt.data.tasks.adding import Adding
from bptt.data.tasks.ar2 import AR2
from bptt.data.tasks.base import Predict, Task, Verdict, counted
from bptt.data.tasks.copying import Copy
from bptt.data.tasks.order import TemporalOrder
from bptt.data.tasks.reber import EmbeddedReber, legal_next
from bptt.errors import ConfigError

__all__ = [
    "AR2",
    "TASKS",
    "Adding",
    "Copy",
    "EmbeddedReber",
    "Predict",
    "Task",
    "TemporalOrder",
    "Verdict",
    "counted",
    "legal_next",
    "make",
]

TASKS: dict[str, type[Task]] = {task.name: task for task in (EmbeddedReber, Adding, TemporalOrder, Copy, AR2)}
"""The tasks by name, as the command line has them."""


def make(name: str, *, batch: int, seed: int, **sizes: float) -> Task:
    """Return a task by its name.

    Parameters
    ----------
    name : str
        One of `TASKS`.
    batch : int
        Rows of a training batch.
    seed : int
        Where the training batches start.
    **sizes : int or float
        What else the task's class takes, such as `delay` for "copy".

    Raises
    ------
    ConfigError
        If there is no such task, or it has no such size, or a size makes no sense.

    Examples
    --------
    >>> make("copy", batch=8, seed=0, delay=50).next().inputs.shape
    (70, 8)
    """
    if name not in TASKS:
        raise ConfigError(f"task: there is no {name!r}; choose from {', '.join(TASKS)}")
    known = [field.name for field in fields(TASKS[name]) if field.init and field.name != "batch"]
    if strange := ", ".join(sizes.keys() - set(known)):
        raise ConfigError(f"{name}: has no {strange}; its sizes are {', '.join(known)}")
    return TASKS[name](batch=batch, seed=seed, **sizes)
