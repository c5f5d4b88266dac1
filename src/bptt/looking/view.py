"""What is seen: the data behind a page, as arrays and words. Nothing here measures."""

from dataclasses import dataclass, field
from typing import Any, Literal

from bptt.types import Array

Kind = Literal["text", "lists", "labels", "series", "steps"]
"""What one step is: a token of a text, of a text by itself, of a labelled sequence; a time; a task's step."""


@dataclass(frozen=True, eq=False)
class Property:
    """What a unit may follow.

    Attributes
    ----------
    name, words : str
        What it is called, and what it says in a sentence.
    kind : "yes/no" or "number"
    array : (T,) float32
        NaN where it says nothing.
    """

    name: str
    words: str
    kind: Literal["yes/no", "number"]
    array: Array = field(repr=False)


@dataclass(frozen=True, eq=False, repr=False)
class Layer:
    """One layer, or one of its directions, at every step.

    Attributes
    ----------
    name : str
    units : int
        H.
    reverse : bool
        Whether it reads from the end: "k steps before" are then k steps later.
    values : list of dict
        ``name``, ``kind`` ("state", "gate" or "value"), ``lo`` and ``hi`` (what colours span), ``array``
        (T, H) float32, and ``summary``: in words, what stands in the array of a value that has not one
        number for each unit, else None.
    states : list of str
        Which of these are states, the output first.
    equations : list of dict
        ``name``, ``text``, ``mathml``, ``terms``: pieces of the text, ``{"t": "c_prev", "value": "c",
        "before": True}`` where a piece is a value.
    constants : dict of float or (H,)
        What else the equations name: units' parameters and numbers.
    remembers : dict of (H,) float32
        For each state, how many steps each unit remembers (see :mod:`bptt.looking.units`).
    remembers_by : dict of str
        "direct" or "autocorrelation": which of the two measures.
    remembers_most : int
        The most steps that were looked at.
    follows : (P, H) float32
        The correlation of each property with each unit of the value `follows_of`.
    gradient : dict
        ``paths`` (``name``, ``words``), ``states``, ``lags`` K, ``norm`` (T, K+1, P) float32, and ``inputs``
        (T, K+1): see :mod:`bptt.looking.gradient`. NaN where there is no loss, or no step.
    chunk : int or None
        The length of the chunks that it was trained in.
    starts : dict of (H,) float32
        Where states start that do not start at zero, if all sequences start alike.
    """

    name: str
    units: int
    reverse: bool
    values: list[dict[str, Any]]
    states: list[str]
    equations: list[dict[str, Any]]
    constants: dict[str, float | Array]
    remembers: dict[str, Array]
    remembers_by: dict[str, str]
    remembers_most: int
    follows: Array
    follows_of: str
    gradient: dict[str, Any]
    chunk: int | None
    starts: dict[str, Array] = field(default_factory=dict)

    def __repr__(self) -> str:
        names = " ".join(value["name"] for value in self.values)
        return f"<{self.name}: {self.units:,} units, {names}; {len(self.gradient['paths'])} paths>"


@dataclass(frozen=True, eq=False, repr=False)
class Seen:
    """One model on T steps.

    Attributes
    ----------
    name : str
    about : dict
        Short words for the heading.
    kind : str
        What one step is.
    tokens, truth : list of T str
        What stands at each step, and what was to come; None where nothing is known of that.
    loss : (T,) float32
        NaN where there is none.
    guesses : dict or None
        ``tokens`` (T, 8) into `vocabulary` and ``p`` (T, 8), the likeliest first; of numbers ``mean``, and
        ``low`` and ``high`` of quantiles, (T,).
    vocabulary : list of str
    layers : list of Layer
    properties : list of Property
    starts : (M,) integers
        The steps at which a sequence begins.
    """

    name: str
    about: dict[str, str]
    kind: Kind
    tokens: list[str]
    truth: list[str | None]
    loss: Array
    guesses: dict[str, Array] | None
    vocabulary: list[str]
    layers: list[Layer]
    properties: list[Property]
    starts: Array

    def __repr__(self) -> str:
        return f"<{self.name}: {len(self.tokens):,} steps, {', '.join(map(repr, self.layers))}>"


@dataclass(frozen=True, eq=False)
class View:
    """What a page shows: one model, or two on the same steps.

    Attributes
    ----------
    title : str
    runs : list of Seen
    """

    title: str
    runs: list[Seen] = field(default_factory=list)
    version: int = 1
