# ruff: noqa: D102 the methods are described in the base class
"""A forward and its backward, as two functions: the plan of how to call them, and the subject it makes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bptt.checking.adapters.calls import Each, Path, array_at, call, copied, pick, spread
from bptt.checking.adapters.clipping import before_clipping
from bptt.checking.adapters.home import Home
from bptt.checking.adapters.matching import fitted
from bptt.checking.adapters.shapes import Shape, draw
from bptt.checking.adapters.signature import fill
from bptt.checking.guard import guarded
from bptt.checking.subject import Form, Sizes, Subject, SubjectError
from bptt.types import Generator, Params


@dataclass(frozen=True)
class Cotangent:
    """In a backward's arguments: the gradient at an output of the forward."""

    output: str
    each: Each | None = None


@dataclass(frozen=True)
class Kept:
    """In a backward's arguments: what the forward left in its object."""

    attribute: str


@dataclass(frozen=True)
class Result:
    """In a backward's arguments: something that the forward returned."""

    path: Path


@dataclass(frozen=True)
class Plan:
    """How to call a forward and a backward.

    Attributes
    ----------
    name : str
    form : "step" or "sequence"
    home : Home
        Of the two functions, there called "forward" and "backward".
    arguments : dict of templates
        The forward's.
    shapes : dict of Shape
        Of every array of the point.
    roles, time_axis
        As in `Subject`.
    outputs : dict of Path
        Where each output lies in what the forward returns.
    back : dict of templates
        The backward's arguments.
    gradients : dict of Path
        Where the gradient at each name lies in what the backward returns.
    notes : tuple of str
        What the trial showed besides.
    sign : float
        Minus one where the backward takes target minus prediction.
    natural : bool
        Whether the parameters have the shapes that their object gives them.
    """

    name: str
    form: Form
    home: Home
    arguments: dict[str, Any]
    shapes: dict[str, Shape]
    roles: dict[str, str]
    time_axis: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, Path] = field(default_factory=dict)
    back: dict[str, Any] = field(default_factory=dict)
    gradients: dict[str, Path] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    sign: float = 1.0
    natural: bool = False

    def point(self, sizes: Sizes, rng: Generator) -> Params:
        """Return random arrays of the plan's shapes."""
        shapes = self.shapes | (self.home.natural(sizes) if self.natural else {})
        return {name: draw(shape, sizes, rng) for name, shape in shapes.items()}

    def run(self, at: Params, sizes: Sizes) -> Any:
        """Return what the forward returns."""
        with self.home.opened(at, sizes) as functions:
            return call(functions["forward"], **fill(self.arguments, at, sizes))

    def run_back(self, at: Params, cotangents: Params, sizes: Sizes) -> Any:
        """Return what the backward returns after the forward, or what it leaves in its home."""
        with self.home.opened(at, sizes) as functions:
            result = call(functions["forward"], **fill(self.arguments, at, sizes))
            holder = getattr(functions["backward"], "__self__", None)
            arguments = self.back_arguments(result, at, cotangents, sizes, holder)
            returned = call_as_is(functions["backward"], arguments)
            return (returned, self.home.kept(functions, at)) if self.home.keeps else returned

    def back_arguments(
        self, result: Any, at: Params, cotangents: Params, sizes: Sizes, holder: Any = None
    ) -> dict[str, Any]:
        """Return the arguments of the backward; `holder` is the object that it is a method of."""

        def put(template: Any) -> Any:
            if isinstance(template, Cotangent):
                cotangent = self.sign * cotangents[template.output]
                return spread(cotangent, template.each) if template.each else cotangent
            if isinstance(template, Kept):
                return getattr(holder, template.attribute)
            if isinstance(template, Result):
                return pick(result, template.path)
            if isinstance(template, tuple):
                return tuple(put(entry) for entry in template)
            return copied(fill(template, at, sizes))

        return {name: put(template) for name, template in self.back.items()}


@dataclass(frozen=True)
class Watched:
    """A forward and a backward to be called on arguments that the caller keeps hold of.

    Attributes
    ----------
    arguments : dict
        The forward's.
    forward : callable
        Without arguments: run it on them.
    back_arguments : callable
        From the forward's result and the cotangents to the backward's arguments.
    backward : callable
        From these to what it returns.
    """

    arguments: dict[str, Any]
    forward: Callable[[], Any]
    back_arguments: Callable[[Any, Params], dict[str, Any]]
    backward: Callable[[dict[str, Any]], Any]


class PairSubject(Subject):
    """A forward and its backward at a random point.

    Attributes
    ----------
    notes : list of str
        What the judgement should mention: clipping, and that the code takes one example at a time.
    fails : bool
        Whether the backward did not run where the forward did.
    """

    fails = False

    def __init__(self, plan: Plan, sizes: Sizes, rng: Generator) -> None:
        self.plan, self.sizes = plan, sizes
        self.name, self.form = plan.name, plan.form
        self.roles, self.time_axis = dict(plan.roles), dict(plan.time_axis)
        self.at = plan.point(sizes, rng)
        self.notes = list(plan.notes)
        result = plan.run(self.at, sizes)
        self.cotangents = {
            name: rng.normal(size=array_at(result, path).shape) for name, path in plan.outputs.items()
        }

    def outputs(self, at: Params) -> Params:
        result = self.plan.run(at, self.sizes)
        return {name: array_at(result, path) for name, path in self.plan.outputs.items()}

    def gradients(self, at: Params, cotangents: Params) -> Params:
        plan = self.plan

        def run() -> Params:
            result = plan.run_back(at, cotangents, self.sizes)
            if not plan.gradients:
                raise SubjectError(f"{plan.name}: its backward returned nothing that fits a gradient")
            return {n: fitted(array_at(result, path), at[n].shape) for n, path in plan.gradients.items()}

        try:
            return before_clipping(plan.home.places, self.notes, run)
        except SubjectError as error:
            if not self.fails:
                raise
            shapes = ", ".join(f"{name} {array.shape}" for name, array in at.items())
            raise SubjectError(f"{plan.name} runs with {shapes}; its backward does not: {error}") from None

    def fits(self) -> bool:
        """Return whether all gradients have the shapes of what they are gradients of."""
        try:
            given = self.gradients(self.at, self.cotangents)
        except SubjectError:
            return False
        return all(array.shape == self.at[name].shape for name, array in given.items())

    @contextmanager
    def watched(self, at: Params) -> Iterator["Watched"]:
        """Open the code for somebody who watches what it does to its arguments: nothing is copied."""
        with self.plan.home.opened(at, self.sizes) as functions:
            arguments = copied(fill(self.plan.arguments, at, self.sizes))
            yield Watched(
                arguments,
                lambda: guarded(functions["forward"], **arguments),
                lambda result, cotangents: self.plan.back_arguments(
                    result, at, cotangents, self.sizes, getattr(functions["backward"], "__self__", None)
                ),
                lambda given: guarded(functions["backward"], **given),
            )

    def resized(self, sizes: Sizes, rng: Generator) -> "PairSubject":
        return PairSubject(self.plan, sizes, rng)


def call_as_is(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Call a backward on arguments as they are: what the forward left may share memory with itself."""
    return guarded(function, **arguments)
