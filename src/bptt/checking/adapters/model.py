# ruff: noqa: D102 the methods are described in the base class
"""A model run one step a call: the caller carries the state, forward and back, and the loss is the model's.

The forward gives a prediction, the backward takes it with its target. Over T steps the subject does what
the caller of such code does: forward through time, backward through time, gradients summed.
"""

import copy
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np

from bptt.checking.adapters.calls import Path, array_at, call, copied, pick
from bptt.checking.adapters.clipping import before_clipping
from bptt.checking.adapters.convention import Convention
from bptt.checking.adapters.losses import CROSS_ENTROPY, SQUARE, loss
from bptt.checking.adapters.matching import fitted
from bptt.checking.adapters.pair import Result, call_as_is
from bptt.checking.adapters.shapes import Layout, draw, extents
from bptt.checking.adapters.signature import fill
from bptt.checking.subject import Sizes, Subject
from bptt.types import Array, Generator, Params

Target: TypeAlias = Literal["one-hot", "token", "vector"]


@dataclass(frozen=True)
class Carry:
    """In a backward's arguments: the gradient at a state that came from the step after."""

    state: str


@dataclass(frozen=True)
class Wanted:
    """In a backward's arguments: the target of the step."""


@dataclass(frozen=True)
class Plan(Convention):
    """How to call a model's step; see `pair.Plan`.

    ``adds_up`` where the code itself adds each step's gradients to those of the steps before.
    """

    target: Target = "one-hot"
    prediction: Path = ()
    states: dict[str, Path] = field(default_factory=dict)
    back: dict[str, Any] = field(default_factory=dict)
    gradients: dict[str, Path] = field(default_factory=dict)
    adds_up: bool = False
    loss: str = CROSS_ENTROPY


class ModelSubject(Subject):
    """A model's step, run through time at a random point; its one output is the loss.

    Attributes
    ----------
    notes : list of str
        What the judgement should mention: clipping.
    """

    form = "model"

    def __init__(self, plan: Plan, sizes: Sizes, rng: Generator) -> None:
        sizes = plan.sizes(sizes)
        self.plan, self.sizes, self.name = plan, sizes, plan.name
        said = plan.gradients and plan.loss not in (CROSS_ENTROPY, SQUARE)
        self.notes: list[str] = [f"the gradients are of {plan.loss}"] if said else []
        self.at = {name: draw(shape, sizes, rng) for name, shape in plan.shapes.items()}
        self.roles = dict(plan.roles)
        self.cotangents = {"loss": np.array(1.0)}
        self.time_axis = {} if plan.tokens else {plan.read.x: 0}
        rows = sizes.N if "N" in plan.layout.state else 1
        tokens = rng.integers(sizes.V, size=(2, sizes.T, rows))
        self.inputs = tokens[0]
        axis = plan.layout.state.index("k")
        if plan.target == "vector":
            self.wanted: Array = rng.normal(
                size=(sizes.T, *extents(Layout.of(plan.layout.state, "V"), sizes))
            )
        else:
            hot = np.eye(sizes.V)[tokens[1]]  # (T, rows, V)
            shape = (sizes.T, *extents(Layout.of(plan.layout.state, "V"), sizes))
            self.wanted = (hot if axis else hot.transpose(0, 2, 1)).reshape(shape)
        self.tokens = tokens[1]

    def outputs(self, at: Params) -> Params:
        with self._opened(at) as functions:
            return {"loss": self._forward(functions, at)[0]}

    def gradients(self, at: Params, cotangents: Params) -> Params:
        plan = self.plan
        total = before_clipping(plan.home.places, self.notes, lambda: self._summed(at))
        return {name: gradient * cotangents["loss"] for name, gradient in total.items()}

    def _summed(self, at: Params) -> Params:
        """Return the gradients of all steps, from the last step to the first."""
        plan = self.plan
        with self._opened(at) as functions:
            _, results, arguments = self._forward(functions, at)
            carry = {name: np.zeros(at[name].shape) for name in plan.states}
            total: Params = {}
            for t in reversed(range(self.sizes.T)):
                given = self._backward(functions, at, t, results[t], arguments[t], carry)
                for name, path in plan.gradients.items():
                    gradient = fitted(array_at(given, path), at[name].shape)
                    if name in plan.states:
                        carry[name] = total[name] = gradient
                    elif name == plan.read.x:
                        total.setdefault(name, np.zeros(at[name].shape))[t] = gradient
                    elif plan.adds_up or name not in total:
                        total[name] = gradient
                    else:
                        total[name] = total[name] + gradient
        return total

    def resized(self, sizes: Sizes, rng: Generator) -> "ModelSubject":
        return ModelSubject(self.plan, sizes, rng)

    def step_back(self, at: Params, times: int = 1) -> Any:
        """Return what one step's backward returns, at the first step, called so often."""
        with self._opened(at) as functions:
            _, results, arguments = self._forward(functions, at)
            carry = {name: np.zeros(at[name].shape) for name in self.plan.states}
            for _ in range(times):
                given = self._backward(functions, at, 0, results[0], arguments[0], carry)
            return given

    def first_step(self, at: Params) -> Any:
        """Return what the first step's forward returns."""
        with self._opened(at) as functions:
            return call(functions["forward"], **self._arguments(at, 0, at))

    def outcomes(self, at: Params) -> tuple[Any, Any]:
        """Return the loss at a point for these inputs and for others."""
        other = copy.copy(self)
        other.inputs = (self.inputs + 1) % self.sizes.V
        moved = {n: a + 1 if self.plan.roles[n] == "x" else a for n, a in at.items()}
        return self.outputs(at)["loss"], other.outputs(moved)["loss"]

    def _opened(self, at: Params) -> Any:
        return self.plan.home.opened(at, self.sizes, "V" if self.plan.tokens else "D")

    def _arguments(self, at: Params, t: int, states: Params) -> dict[str, Any]:
        plan = self.plan
        x: Any = at[plan.read.x][t] if not plan.tokens else self.inputs[t]
        if plan.tokens and "N" not in plan.layout.state:
            x = int(x[0])
        arguments = {**plan.read.arguments, plan.read.x: x}
        filled: dict[str, Any] = fill(arguments, {**at, **states, plan.read.x: x}, self.sizes)
        return filled

    def _forward(self, functions: Any, at: Params) -> tuple[Any, list[Any], list[dict[str, Any]]]:
        plan = self.plan
        states = {name: at[name] for name in plan.states}
        total: Any = 0.0
        results, arguments = [], []
        for t in range(self.sizes.T):
            arguments.append(self._arguments(at, t, states))
            results.append(call(functions["forward"], **arguments[-1]))
            y = array_at(results[-1], plan.prediction)
            total = total + self._loss(y, t)
            states = {name: array_at(results[-1], path) for name, path in plan.states.items()}
        return total, results, arguments

    def _loss(self, y: Array, t: int) -> Any:
        wanted = fitted(self.wanted[t], y.shape)
        return loss(self.plan.loss, y, wanted, self.plan.layout.state.index("k"))

    def _backward(
        self, functions: Any, at: Params, t: int, result: Any, arguments: dict[str, Any], carry: Params
    ) -> Any:
        one = "N" not in self.plan.layout.state
        token: Any = int(self.tokens[t][0]) if one else self.tokens[t]
        y = array_at(result, self.plan.prediction)

        def put(template: Any) -> Any:
            if isinstance(template, Carry):
                return carry[template.state].copy()
            if isinstance(template, Wanted):
                return token if self.plan.target == "token" else fitted(self.wanted[t], y.shape).copy()
            if isinstance(template, Result):
                return pick(result, template.path)
            if isinstance(template, float):
                return template
            if isinstance(template, str):
                return copied(arguments[template])
            return tuple(put(entry) for entry in template)

        given = call_as_is(functions["backward"], {name: put(t) for name, t in self.plan.back.items()})
        return (given, self.plan.home.kept(functions, at)) if self.plan.home.keeps else given
