"""Whether judged code is right, by plain central differences of its loss, without a checker's help."""

import ast
import copy
import random
import re
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from bptt.types import Array

UNLIKE = Path(__file__).parent / "unlike"
STEP = 1e-5
FILE = "judged_file.py"
Namespace = dict[str, Any]


class Truth(NamedTuple):
    """How a file is called, and what its gradients are the gradients of.

    Parameters
    ----------
    example
        Statements to be run in the file's namespace; the last one holds the backward.
    loss
        An expression for the loss after all statements of the example but the last.
    gradients
        What is a parameter, and its gradient after the example: expressions.
    backward
        How each stretch of backward code begins: a function's line, or one that goes to its function's end.
    after
        How lines begin from which, to their function's end, gradients are clipped and used.
    """

    example: str
    loss: str
    gradients: dict[str, str]
    backward: tuple[str, ...]
    after: tuple[str, ...] = ()


def unlike(name: str) -> str:
    """Return the text of a file of `unlike`."""
    return (UNLIKE / f"{name}.py").read_text("utf-8")


def exact(text: str, truth: Truth) -> tuple[str, Truth]:
    """Return a file of which differences can be taken: in double precision, no guard in a logarithm."""
    text = re.sub(r".*np\.log\(.*", lambda line: re.sub(r" \+ 1e-\d+", "", line[0]), text)
    return text.replace("float32", "float64"), truth._replace(
        example=truth.example.replace("float32", "float64")
    )


def leaves(value: Any) -> Iterator[Any]:
    """Yield the arrays of a value, whatever holds them; a list of numbers is an array of its own."""
    if is_dataclass(value):
        value = [getattr(value, field.name) for field in fields(value)]
    if hasattr(value, "detach"):
        value = value.detach().numpy()
    if isinstance(value, dict):
        value = [value[key] for key in sorted(value)]
    if isinstance(value, list | tuple) and not all(isinstance(item, float) for item in value):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def flat(value: Any) -> Array:
    """Return all numbers of a value in one row."""
    return np.concatenate([np.ravel(np.asarray(leaf, np.float64)) for leaf in leaves(value)])


class Run:
    """A file that was run with its example: the names, and what the parameters were before the backward.

    Parameters
    ----------
    text, truth
        The file, and how it is called.
    seed
        Of the numbers that the file and the example draw.
    """

    def __init__(self, text: str, truth: Truth, seed: int):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 (judged code draws from the old generator)
        if "import torch" in text:
            import torch

            torch.manual_seed(seed)
        self.truth = truth
        module = ModuleType("judged_file")
        self.names: Namespace = vars(module)
        self.names["np"] = np
        sys.modules["judged_file"] = module  # a dataclass looks for the module of its fields' types
        exec(compile(text, FILE, "exec"), self.names)
        *self.before, self.last = ast.parse(truth.example).body
        self._execute(self.before)
        self.names["was"] = {at: copy.deepcopy(self._value(at)) for at in truth.gradients}

    def _execute(self, statements: list[ast.stmt]) -> None:
        exec(compile(ast.Module(statements, []), "example", "exec"), self.names)

    def _value(self, expression: str) -> Any:
        return eval(expression, self.names)

    def loss(self) -> float:
        """Return the loss before the example's last statement."""
        return float(self._value(self.truth.loss))

    def differences(self) -> dict[str, Array]:
        """Return the gradients of the loss by central differences."""
        return {at: np.array([*self._slopes(self._value(at))]) for at in self.truth.gradients}

    def _slopes(self, parameter: Any) -> Iterator[float]:
        for leaf in leaves(parameter):
            for index in np.ndindex(np.shape(leaf)) if hasattr(leaf, "shape") else range(len(leaf)):
                here = leaf[index]
                leaf[index] = here + STEP
                above = self.loss()
                leaf[index] = here - STEP
                below = self.loss()
                leaf[index] = here
                yield (above - below) / (2 * STEP)

    def gradients(self) -> dict[str, Array]:
        """Run the example's last statement; return the gradients that the code itself made."""
        self._execute([self.last])
        return {at: flat(self._value(made)) for at, made in self.truth.gradients.items()}


def apart(got: dict[str, Array], wanted: dict[str, Array]) -> float:
    """Return how far gradients are apart: max |got - wanted| / max |wanted|, the largest over parameters."""
    worst = 0.0
    for at, right in wanted.items():
        if got[at].shape != right.shape or not np.isfinite(got[at]).all():
            return np.inf
        worst = max(worst, float(np.abs(got[at] - right).max() / max(np.abs(right).max(), 1e-4)))
    return worst
