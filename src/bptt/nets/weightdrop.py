"""Weights that one training step goes without: whole words of the embedding, entries of U.

::

    (1)  E' = e E       e (V, 1), words dropped                  Gal and Ghahramani 2016; Merity et al. 2018
    (2)  U' = m U       m of U's shape, entries dropped          weight-drop, Merity et al. 2018
         dE = e dE'     dU = m dU'

The factors are 0, or 1/(1-p), and hold for all rows and steps of a batch, so that the layers run as they do
without, on E' and U'. Where the output matrix is the embedding transposed, it is all of E.
"""

from dataclasses import dataclass

from bptt.errors import ConfigError
from bptt.kernels.backends import Backend, multiply
from bptt.nets import dropout
from bptt.nets.input import Input
from bptt.types import Generator, Params


@dataclass(frozen=True)
class WeightDrop:
    """What is dropped of a model's weights.

    Parameters
    ----------
    words : float
        The part of the words whose rows are dropped: of E, or without an embedding of W, of both
        directions alike.
    entries : float
        The part of U's entries, in each layer and direction.
    input : Input
    """

    words: float
    entries: float
    input: Input

    def __post_init__(self) -> None:
        dropout.expect_part("embedding_dropout", self.words)
        dropout.expect_part("weight_dropout", self.entries)
        cell = self.input.stack.cell
        if self.words and not self.input.tokens:
            raise ConfigError("embedding_dropout drops words, and these inputs are real features")
        if self.entries and not (cell.from_h or cell.from_q):
            raise ConfigError(f"weight_dropout drops entries of U, and U of {cell.name} has none")

    def factors(self, rng: Generator | None, params: Params) -> Params:
        """Return what each weight is multiplied by, by the names of those that are dropped."""
        stack, found = self.input.stack, Params()
        for names, p, of_rows in (
            (("embedding",) if self.input.embedding else self.input.folds, self.words, True),
            *(((f"layers.{k}.{way}U",), self.entries, False)
              for k in range(stack.layers) for way in stack.directions),
        ):  # fmt: skip
            if p:
                own = params[names[0]]
                drawn = dropout.factors(rng, (len(own), 1) if of_rows else own.shape, p, own.dtype)
                found |= {} if drawn is None else dict.fromkeys(names, drawn)
        return found


def apply(arrays: Params, factors: Params, backend: Backend = "auto") -> Params:
    """Return weights with some dropped, or the gradients at the weights from those at what was left."""
    dropped = {name: multiply(arrays[name], drop, backend) for name, drop in factors.items()}
    return arrays | dropped if factors else arrays
