# ruff: noqa: D102 the methods are described in the base class
"""A chunk of a sequence with its loss inside: tokens and targets in, the loss and the gradients out."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bptt.check.adapters.calls import Path, Tree, array_at, call, returned, walk
from bptt.check.adapters.clipping import unclipped
from bptt.check.adapters.home import Home, Module
from bptt.check.adapters.joint import ordered
from bptt.check.adapters.matching import fits, fitted, match_gradients
from bptt.check.adapters.names import is_gradient, parts
from bptt.check.adapters.shapes import STEPS, Layout, Shape, draw, weights
from bptt.check.adapters.signature import Signature, fill, signatures
from bptt.check.subject import Sizes, Subject, SubjectError
from bptt.types import Generator, Params

LAYOUTS = (STEPS[2], STEPS[3], STEPS[4], STEPS[0], STEPS[1])
"""One sequence alone is what such code mostly takes; a single column first."""

SCALE = 0.3
"""Of the weights: small, so that a gradient's norm stays below what such code clips at."""

MOST_TRIALS = 3000


@dataclass(frozen=True)
class Plan:
    """How to call a chunk's function; see `pair.Plan`.

    ``tokens`` tells integers from real vectors.
    """

    name: str
    home: Home
    read: Signature
    shapes: dict[str, Shape]
    roles: dict[str, str]
    layout: Layout
    tokens: bool
    loss: Path = ()
    gradients: dict[str, Path] = field(default_factory=dict)


class ChunkSubject(Subject):
    """A chunk's function at a random point; its one output is the loss.

    Attributes
    ----------
    notes : list of str
        What the judgement should mention: clipping.
    """

    form = "chunk"

    def __init__(self, plan: Plan, sizes: Sizes, rng: Generator) -> None:
        self.plan, self.sizes, self.name = plan, sizes, plan.name
        self.at = {
            name: draw(shape, sizes, rng, SCALE if plan.roles[name][0] in "WUV" else 0.5)
            for name, shape in plan.shapes.items()
        }
        self.roles = dict(plan.roles)
        self.cotangents = {"loss": np.array(1.0)}
        x = next((name for name, role in plan.roles.items() if role == "x"), None)
        self.time_axis = {x: plan.layout.time_axis} if x else {}
        self.notes: list[str] = []
        if plan.tokens:
            self.inputs: Any = [int(k) for k in rng.integers(sizes.V, size=sizes.T)]
            self.targets: Any = [int(k) for k in rng.integers(sizes.V, size=sizes.T)]
        else:
            self.targets = draw(Layout.of(plan.layout.sequence, "V"), sizes, rng)

    def result(self, at: Params) -> Any:
        """Return what the function returns."""
        plan = self.plan
        arguments = dict(plan.read.arguments) | {plan.read.target: self.targets}
        if plan.tokens:
            arguments[plan.read.x] = self.inputs
        with plan.home.opened(at, self.sizes, "V" if plan.tokens else "D") as functions:
            result = call(functions["forward"], **fill(arguments, at, self.sizes))
            return (result, plan.home.kept(functions, at)) if plan.home.keeps else result

    def outputs(self, at: Params) -> Params:
        return {"loss": np.sum(array_at(self.result(at), self.plan.loss))}

    def gradients(self, at: Params, cotangents: Params) -> Params:
        with unclipped(self.plan.home.places, self.notes):
            result = self.result(at)
        return {
            name: fitted(array_at(result, path), at[name].shape) * cotangents["loss"]
            for name, path in self.plan.gradients.items()
        }

    def outcomes(self, at: Params) -> tuple[Any, Any]:
        """Return the loss at a point for these inputs and for others."""
        other = copy.copy(self)
        if self.plan.tokens:
            other.inputs = [(k + 1) % self.sizes.V for k in self.inputs]
        moved = {n: a + 1 if self.plan.roles[n] == "x" else a for n, a in at.items()}
        return self.outputs(at)["loss"], other.outputs(moved)["loss"]

    def resized(self, sizes: Sizes, rng: Generator) -> "ChunkSubject":
        return ChunkSubject(self.plan, sizes, rng)


def chunk_subject(
    function: Callable[..., Any],
    rng: Generator,
    source: str | None = None,
    home: Home | None = None,
    names: Tree = "",
) -> ChunkSubject | None:
    """Return a chunk's function as a subject, or None where it is none.

    Parameters
    ----------
    function : callable
        As ``loss(inputs, targets, hprev) -> loss, dWxh, dWhh, dWhy, dbh, dby, h``, over parameters that it
        is given or reads from its module or its object.
    rng : Generator
    source : str, optional
        The text of its file, for the names in its return statement.
    home : Home, optional
        Where it lives, if it is a method.
    names : tree of str, optional
        Those in its return statement, where they cannot be read.
    """
    names = names or returned(function, source)
    tried = 0
    for plan in _plans(function, home or Module({"forward": function}), source):
        tried += 1
        if tried > MOST_TRIALS:
            break
        try:
            subject = ChunkSubject(plan, Sizes(), rng)
            result = subject.result(subject.at)
            if (found := _fitted(subject, result, [names, ""] if plan.home.keeps else names)) is not None:
                return ChunkSubject(found, Sizes(), rng)
        except SubjectError:
            continue
    return None


def _plans(function: Callable[..., Any], home: Home, source: str | None) -> Iterator[Plan]:
    for read in signatures(function, source, chunk=True):
        matrices, biases = read.matrices + home.matrices, read.biases + home.biases
        if not (read.x and read.target and matrices) or read.others:
            continue
        for tokens in (True, False):
            for layout in LAYOUTS:
                if tokens and "N" in layout.state:
                    continue
                states = {n: Layout.of(layout.state, "H") for n in (read.h, read.c) if n}
                roles = {n: r for n, r in ((read.h, "h0"), (read.c, "c0")) if n}
                x = {} if tokens else {read.x: Layout.of(layout.sequence, "D")}
                for way in weights(matrices, biases, layout, "V" if tokens else "D"):
                    if "V" not in way.roles.values() or any(
                        len(way.shapes[n]) != ndim for n, ndim in home.ndims.items()
                    ):
                        continue
                    yield Plan(
                        name=function.__name__,
                        home=home,
                        read=read,
                        shapes=way.shapes | x | states,
                        roles=way.roles | dict.fromkeys(x, "x") | roles,
                        layout=layout,
                        tokens=tokens,
                    )


def _fitted(subject: ChunkSubject, result: Any, names: Tree) -> Plan | None:
    """Return the plan with the places of the loss and of the gradients, or None where they do not fit."""
    leaves = list(walk(result, names))
    scalars = [(path, name) for path, name, leaf in leaves if leaf.size == 1 and np.isfinite(leaf).all()]
    if not scalars or len(leaves) < 3:
        return None
    named = [path for path, name in scalars if "loss" in name.lower() or "cost" in name.lower()]
    loss = named[0] if named else scalars[0][0]
    plan, at = subject.plan, subject.at
    weighed = [n for n, role in plan.roles.items() if role not in ("h0", "c0")]
    others = [leaf for leaf in leaves if leaf[0] != loss and (leaf[1] in weighed or not _is_state(leaf[1]))]
    gradients = match_gradients(others, at, plan.roles, weighed)
    for state in (n for n, role in plan.roles.items() if role in ("h0", "c0")):
        for path, name, leaf in leaves:
            part = plan.roles[state][0]
            if is_gradient(name) and part in parts(name[1:]) and fits(leaf, at[state].shape):
                gradients[state] = path
    if len(gradients) < len(weighed) / 2:
        return None
    shapes_fit = all(fits(array_at(result, p), at[n].shape) for n, p in gradients.items())
    base = np.sum(array_at(result, loss))
    for name in at:
        moved = subject.result({**at, name: at[name] * 0.5})
        if np.sum(array_at(moved, loss)) == base:
            return None
    if not shapes_fit:
        return None
    found = replace(plan, loss=loss, gradients=gradients)
    located = copy.copy(subject)
    located.plan = found
    return replace(found, roles=ordered(plan.roles, plan.shapes, subject.sizes, at, located.outcomes))


def _is_state(name: str) -> bool:
    """Return whether a name in a return statement is that of a state, not of its gradient."""
    return bool(name) and not is_gradient(name) and bool({"h", "c", "s", "state"} & set(parts(name)[:1]))
