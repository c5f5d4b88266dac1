# ruff: noqa: D102 the methods are described in the base class
"""A chunk of a sequence with its loss inside: tokens and targets in, the loss and the gradients out."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bptt.checking.adapters.calls import Path, Tree, array_at, call, in_cache, returned, walk
from bptt.checking.adapters.clipping import before_clipping
from bptt.checking.adapters.convention import Convention
from bptt.checking.adapters.home import Home, Module
from bptt.checking.adapters.joint import ordered
from bptt.checking.adapters.losses import CROSS_ENTROPY, multiple
from bptt.checking.adapters.matching import fits, fitted, match_gradients
from bptt.checking.adapters.names import is_gradient, parts
from bptt.checking.adapters.shapes import STEPS, Layout, draw, weights
from bptt.checking.adapters.signature import fill, signatures
from bptt.checking.subject import Sizes, Subject, SubjectError
from bptt.types import Generator, Params

LAYOUTS = (STEPS[2], STEPS[3], STEPS[4], STEPS[0], STEPS[1])
"""One sequence alone is what such code mostly takes; a single column first."""

SCALE = 0.3
"""Of the weights: small, so that a gradient's norm stays below what such code clips at."""

MOST_TRIALS = 3000

WAYS = (
    (True, True, False, False),
    (False, False, False, False),
    (False, True, False, False),
    (False, True, True, False),
    (True, True, False, True),
    (False, False, False, True),
    (False, True, False, True),
)
"""Whether inputs are tokens, targets classes, both of one size, the target the last step's alone."""


@dataclass(frozen=True)
class Plan(Convention):
    """How to call a chunk's function; see `pair.Plan`.

    ``classes`` tells whether the targets are integers, ``last`` whether there is one for the last step alone,
    ``in_arrays`` whether integers are given in arrays.
    """

    classes: bool
    last: bool = False
    in_arrays: bool = False
    loss: Path = ()
    gradients: dict[str, Path] = field(default_factory=dict)
    natural: bool = False


class ChunkSubject(Subject):
    """A chunk's function at a random point; its one output is the loss, or what multiple of it is meant.

    Attributes
    ----------
    notes : list of str
        What the judgement should mention: clipping.
    """

    form = "chunk"

    def __init__(self, plan: Plan, sizes: Sizes, rng: Generator) -> None:
        sizes = plan.sizes(sizes)
        self.plan, self.sizes, self.name = plan, sizes, plan.name
        own = plan.home.natural(sizes, "V" if plan.tokens else "D") if plan.natural else {}
        self.at = {
            name: draw(shape, sizes, rng, SCALE if plan.roles.get(name, "W")[0] in "WUV" else 0.5)
            for name, shape in (plan.shapes | own).items()
        }
        self.roles = dict(plan.roles)
        self.cotangents = {"loss": np.array(1.0)}
        x = next((name for name, role in plan.roles.items() if role == "x"), None)
        self.time_axis = {x: plan.layout.time_axis} if x else {}
        self.notes: list[str] = []
        if plan.tokens:
            self.inputs: Any = [int(k) for k in rng.integers(sizes.V, size=sizes.T)]
        if plan.classes:
            classes = [int(k) for k in rng.integers(sizes.V, size=sizes.T)]
            classes[0] = sizes.V - 1  # so that an output of another size does not pass for this one
            self.targets: Any = classes[-1] if plan.last else classes
        else:
            shape = plan.layout.state if plan.last else plan.layout.sequence
            self.targets = draw(Layout.of(shape, "V"), sizes, rng)
        self.factor, words = 1.0, ""
        if plan.gradients:
            self.factor, words = multiple(self)
        if words:
            self.notes.append(f"the gradients are those of {words.format(plan.home.loss)}")
        elif plan.gradients and plan.home.loss not in (Home.loss, CROSS_ENTROPY):
            self.notes.append(f"the gradients are those of {plan.home.loss}")

    def result(self, at: Params, with_kept: bool = True) -> Any:
        """Return what the function returns, and what gradients it leaves behind."""
        plan = self.plan
        arguments = dict(plan.read.arguments) | {plan.read.target: self.targets}
        if plan.tokens:
            arguments[plan.read.x] = self.inputs
        if plan.in_arrays:
            arguments |= {n: np.array(v) for n, v in arguments.items() if isinstance(v, list)}
        with plan.home.opened(at, self.sizes, "V" if plan.tokens else "D") as functions:
            result = call(functions["forward"], **fill(arguments, at, self.sizes))
            if not plan.home.keeps:
                return result
            return result, plan.home.kept(functions, at) if with_kept else {}

    def outputs(self, at: Params) -> Params:
        return {"loss": self.factor * np.sum(array_at(self.result(at, False), self.plan.loss))}

    def gradients(self, at: Params, cotangents: Params) -> Params:
        def run() -> Params:
            result = self.result(at)
            return {
                name: fitted(array_at(result, path), at[name].shape) * cotangents["loss"]
                for name, path in self.plan.gradients.items()
            }

        return before_clipping(self.plan.home.places, self.notes, run)

    def outcomes(self, at: Params) -> tuple[Any, Any]:
        """Return the loss at a point for these inputs and for others."""
        other = copy.copy(self)
        if self.plan.tokens:
            other.inputs = [(k + 1) % self.sizes.V for k in self.inputs]
        moved = {n: a + 1 if self.plan.roles.get(n) == "x" else a for n, a in at.items()}
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
    best: Plan | None = None
    in_arrays = False
    tried = 0
    for plan in _plans(function, home or Module({"forward": function}), source):
        tried += 1
        if tried > MOST_TRIALS:
            break
        try:
            subject = ChunkSubject(replace(plan, in_arrays=in_arrays), Sizes(), rng)
            try:
                result = subject.result(subject.at)
            except SubjectError as error:
                if in_arrays or "'list' object has no" not in str(error):
                    raise
                in_arrays = True
                subject = ChunkSubject(replace(plan, in_arrays=True), Sizes(), rng)
                result = subject.result(subject.at)
            found = _fitted(subject, result, [names, ""] if plan.home.keeps else names)
        except SubjectError:
            continue
        if found is not None:
            if best is None or len(found.gradients) > len(best.gradients):
                best = found
            if len(found.gradients) >= len(found.shapes) - len({"x", "h0", "c0"} & set(found.roles.values())):
                break
    return ChunkSubject(best, Sizes(), rng) if best else None


def _plans(function: Callable[..., Any], home: Home, source: str | None) -> Iterator[Plan]:
    for read in signatures(function, source, chunk=True):
        matrices, biases = read.matrices + home.matrices, read.biases + home.biases
        if not (read.x and read.target and matrices) or read.others:
            continue
        for tokens, classes, same, last in WAYS:
            sizes = replace(Sizes(), D=Sizes().V) if same else Sizes()
            for layout in LAYOUTS:
                if classes and "N" in layout.state:
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
                        classes=classes,
                        same=same,
                        last=last,
                    )
                if shapes := home.natural(sizes, "V" if tokens else "D"):
                    known = dict.fromkeys(x, "x") | roles
                    plan = Plan(
                        function.__name__, home, read, {}, known, layout, tokens, classes, last, same=same
                    )
                    yield replace(plan, shapes=x | states | shapes, natural=True)


def _fitted(subject: ChunkSubject, result: Any, names: Tree) -> Plan | None:
    """Return the plan with the places of the loss and of the gradients, or None where they do not fit."""
    leaves = list(walk(result, names))
    scalars = [(path, name) for path, name, leaf in leaves if leaf.size == 1 and np.isfinite(leaf).all()]
    if not scalars or len(leaves) < 3:
        return None
    named = [path for path, name in scalars if "loss" in name.lower() or "cost" in name.lower()]
    loss = named[0] if named else scalars[0][0]
    plan, at = subject.plan, subject.at
    weighed = [n for n in plan.shapes if plan.roles.get(n) not in ("h0", "c0")]
    others = [leaf for leaf in leaves if leaf[0] != loss and (leaf[1] in weighed or not _is_state(leaf[1]))]
    others = [leaf for leaf in others if not in_cache(leaf[0], names)]
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
        moved = subject.result({**at, name: at[name] * 0.5}, False)
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
