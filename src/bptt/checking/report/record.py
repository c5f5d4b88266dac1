"""What is known of one example, as data: from it the words, the log and the JSON are written."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bptt.shown import Shown


@dataclass(repr=False)
class Report(Shown, html="bptt.checking.report.as_html:html", text="bptt.checking.report.words:text"):
    """What is known of one example.

    Attributes
    ----------
    verdict : {"right", "wrong", "cannot tell"}
    file : str
        What was judged: a file, or a function.
    example, origin : str
        The lines that were run, and where they come from.
    piece : tuple of str
        The functions that they show.
    loss : str
        What was differentiated.
    kind : {"scalar", "handed", "implied", ""}
        The code's own number, outputs times what was handed over, or what the backward begins with.
    factor : float
        All gradients are this times the loss's.
    reason : str
        Why it cannot be told; or that what is wrong is truncated.
    gradients : list of dict
        Each with ``name``, ``verdict``, ``where``, ``error``, ``note``; a wrong one also with ``at``, ``got``
        and ``wanted``.
    notes : list of str
    located : list of dict
        Each with ``place``, ``path``, ``line``, ``text``, ``must``, ``step``, ``got``, ``wanted``,
        ``equation``.
    mends : list of dict
        Each with ``place``, ``path``, ``line``, ``before``, ``after``, ``reason``.
    whole : bool
        Whether with the mends every gradient is right.
    diff : str
        What makes them.
    cell : str
        Which known cell the forward is; empty: none that is known.
    trace : list of dict
        What each statement of the backward is (``is``), and at which of its times (``times``).
    fixed : dict of str
        By the path of a file, its text with the mends.

    Examples
    --------
    >>> report = Report("wrong", "rnn.py", gradients=[{"name": "W", "verdict": "wrong", "error": 0.5}])
    >>> report.names("wrong")
    ['W']
    """

    verdict: str
    file: str
    example: str = ""
    origin: str = ""
    piece: tuple[str, ...] = ()
    loss: str = ""
    kind: str = ""
    factor: float = 1.0
    reason: str = ""
    gradients: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    located: list[dict[str, Any]] = field(default_factory=list)
    mends: list[dict[str, Any]] = field(default_factory=list)
    whole: bool = False
    diff: str = ""
    cell: str = ""
    trace: list[dict[str, Any]] = field(default_factory=list)
    fixed: dict[str, str] = field(default_factory=dict)

    def names(self, verdict: str) -> list[str]:
        """Return the names of the arrays whose gradients have a verdict."""
        return [g["name"] for g in self.gradients if g["verdict"] == verdict]

    def to_json(self, *, trace: bool = False) -> dict[str, Any]:
        """Return it as JSON values; without the files' new texts, which the diff says."""
        left = {"fixed"} if trace else {"fixed", "trace"}
        return {key: value for key, value in asdict(self).items() if key not in left}

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> "Report":
        """Return the report of its fields, as JSON has them; of others nothing is kept."""
        known = {key: value for key, value in fields.items() if key in cls.__dataclass_fields__}
        return cls(**known | {"piece": tuple(known.get("piece", ()))})


class Reports(
    list[Report], Shown, html="bptt.checking.report.as_html:every", text="bptt.checking.report.words:every"
):
    """Reports on the pieces of one file, which show themselves one after the other."""

    __repr__ = Shown.__repr__


def worst(reports: Sequence[Report]) -> str:
    """Return the verdict on all: wrong if one is, right if all are.

    Examples
    --------
    >>> worst([Report("right", "a.py"), Report("cannot tell", "a.py")]), worst([])
    ('cannot tell', 'cannot tell')
    """
    verdicts = {report.verdict for report in reports} or {"cannot tell"}
    return next(verdict for verdict in ("wrong", "cannot tell", "right") if verdict in verdicts)
