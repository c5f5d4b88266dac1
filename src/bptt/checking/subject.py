"""What is judged, in one form: named arrays in, named outputs and named gradients out.

Whatever shape somebody's code has (a step, a sequence, a chunk with its loss, a class with a dict of
parameters), an adapter turns it into a `Subject`. The judge knows nothing else.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, TypeAlias

from bptt.errors import BpttError
from bptt.types import Generator, Params

Form: TypeAlias = Literal["function", "step", "sequence", "chunk", "model"]


class SubjectError(BpttError):
    """The code under judgement failed by itself: it raised, hung, or returned what is no gradient."""


@dataclass(frozen=True)
class Sizes:
    """How large the arrays of a trial are: time, batch, input, hidden, vocabulary; all different."""

    T: int = 3
    N: int = 2
    D: int = 5
    H: int = 4
    V: int = 6


class Subject(ABC):
    """Code under judgement at one random point.

    Attributes
    ----------
    name : str
        What the code is called in its file.
    form : str
        "function" (a loss and its gradients), "step" (one time step), "sequence" (a whole forward and
        backward through time), "chunk" (a sequence with its loss inside), "model" (a class or functions
        over parameters, one step a call).
    sizes : Sizes
    at : dict of float64 arrays
        The point: random parameters, inputs and initial states, by the code's own argument names. What is
        not differentiated (tokens, targets) is not here.
    roles : dict of str
        For those names whose part is known: "x", "h0", "c0", "W" (input weights), "U" (recurrent weights),
        "WU" or "UW" (both in one matrix, rows of x or of h first), "b", "V" (output matrix), "c" (its bias),
        with a gate's letter behind a colon where there is an array for each gate ("W:f").
    cotangents : dict of float64 arrays
        Random, one for each output that has a gradient put in; ``{"loss": 1.0}`` where there is a loss.
    time_axis : dict of int
        For each input and output that runs through time, the axis of t.
    """

    name: str
    form: Form
    sizes: Sizes
    at: Params
    roles: dict[str, str]
    cotangents: Params
    time_axis: dict[str, int]

    @abstractmethod
    def outputs(self, at: Params) -> Params:
        """Run the forward on arrays of any dtype and return its outputs, by the names of `cotangents`.

        Raises
        ------
        SubjectError
            If the code fails or returns what is no output.
        """

    @abstractmethod
    def gradients(self, at: Params, cotangents: Params) -> Params:
        """Run forward and backward once and return the gradients, by the names of `at`.

        A name is missing where the code returns no gradient for it.

        Raises
        ------
        SubjectError
            If the code fails or returns what is no gradient.
        """

    @abstractmethod
    def resized(self, sizes: Sizes, rng: Generator) -> "Subject":
        """Return the same code at another random point, of other sizes (as far as its form has them)."""
