"""Trial of a model's step: every convention in turn, until the forward runs, and the backward after it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from bptt.checking.adapters.calls import Path, Tree, array_at, in_cache, returned, walk
from bptt.checking.adapters.constructing import RATE
from bptt.checking.adapters.home import Home, Module
from bptt.checking.adapters.joint import ordered
from bptt.checking.adapters.losses import CROSS_ENTROPY, SOFTMAX, SQUARE, agrees
from bptt.checking.adapters.matching import fits, match_gradients
from bptt.checking.adapters.model import Carry, ModelSubject, Plan, Target, Wanted
from bptt.checking.adapters.names import is_gradient, part, parts, state_name, without_d
from bptt.checking.adapters.pair import Result
from bptt.checking.adapters.shapes import STEPS, Layout, extents, weights
from bptt.checking.adapters.signature import parameters, signatures, slots
from bptt.checking.subject import Sizes, SubjectError
from bptt.types import Generator

MOST_TRIALS = 3000

VECTOR: tuple[tuple[Target, str], ...] = (("vector", SQUARE), ("one-hot", SOFTMAX), ("token", SOFTMAX))
PROBABLE: tuple[tuple[Target, str], ...] = (
    ("one-hot", CROSS_ENTROPY),
    ("token", CROSS_ENTROPY),
    ("one-hot", SQUARE),
)
"""What targets and losses are tried, where the predictions are probabilities and where they are not."""


def model_subject(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    rng: Generator,
    source: str | None = None,
    home: Home | None = None,
) -> ModelSubject | None:
    """Return a model's step as a subject, or None where it is none.

    Parameters
    ----------
    forward, backward : callable
        As ``forward(x, state) -> prediction, state, cache`` and
        ``backward(prediction, target, dstate, cache) -> gradients, dstate``, in any convention.
    rng : Generator
    source : str, optional
        The text of their file, for the names in their return statements.
    home : Home, optional
        Where the two live, if they are methods.
    """
    if not any("target" in parts(p.name) for p in parameters(backward)):
        return None
    home = home or Module({"forward": forward, "backward": backward})
    names = returned(forward, source)
    tried = 0
    for plan in _plans(forward, home, source):
        tried += 1
        if tried > MOST_TRIALS:
            break
        subject = ModelSubject(plan, Sizes(), rng)
        try:
            result = subject.first_step(subject.at)
            known = _with_outputs(plan, subject, result, names)
            known = known and _with_backward(known, backward, result, names)
            if known is None or not _all_matter(ModelSubject(known, Sizes(), rng)):
                continue
        except SubjectError:
            continue
        first: ModelSubject | None = None
        for target, kind in VECTOR if known.target == "vector" else PROBABLE:
            plan = replace(known, target=target, loss=kind)
            found = _with_gradients(plan, rng, returned(backward, source))
            if found is not None and agrees(found):
                return found
            first = first or found
        if first is not None:
            return first
    return None


def _plans(forward: Callable[..., Any], home: Home, source: str | None) -> Iterator[Plan]:
    for read in signatures(forward, source):
        matrices, biases = read.matrices + home.matrices, read.biases + home.biases
        if not (read.x and read.h and matrices) or read.others:
            continue
        for tokens, same in ((False, False), (True, False), (False, True)):
            for layout in STEPS:
                states = {n: Layout.of(layout.state, "H") for n in (read.h, read.c) if n}
                roles = {n: r for n, r in ((read.h, "h0"), (read.c, "c0")) if n}
                x = {} if tokens else {read.x: ("T", *Layout.of(layout.state, "D"))}
                for way in weights(matrices, biases, layout, "V" if tokens else "D"):
                    if "V" in way.roles.values() and all(
                        len(way.shapes[n]) == ndim for n, ndim in home.ndims.items()
                    ):
                        yield Plan(
                            forward.__name__,
                            home,
                            read,
                            way.shapes | x | states,
                            way.roles | dict.fromkeys(x, "x") | roles,
                            layout,
                            tokens,
                            same=same,
                        )


def _with_outputs(plan: Plan, subject: ModelSubject, result: Any, names: Tree) -> Plan | None:
    """Return the plan with the places of the prediction and of the states."""
    at = subject.at
    y_shape = extents(Layout.of(plan.layout.state, "V"), subject.sizes)
    states: dict[str, Path] = {}
    prediction: Path | None = None
    probable: Literal["one-hot", "vector"] = "vector"
    wanted = {n: r[0] for n, r in plan.roles.items() if r in ("h0", "c0")}
    leaves = [leaf for leaf in walk(result, names) if len(leaf[0]) <= 2 and not in_cache(leaf[0], names)]
    for path, name, leaf in leaves:
        if leaf.shape == y_shape and np.isfinite(leaf).all():
            ones = bool(np.allclose(leaf.sum(plan.layout.state.index("k")), 1) and (leaf > 0).all())
            if prediction is None or (ones and probable == "vector"):
                prediction, probable = path, "one-hot" if ones else "vector"
            continue
        left = [s for s in wanted if s not in states and leaf.shape == at[s].shape]
        said = [s for s in left if wanted[s] in parts(name)[:1]]
        if said or (left and not name):
            states[(said or left)[0]] = path
    if prediction is None or len(states) < len(wanted):
        return None
    return replace(plan, prediction=prediction, states=states, target=probable)


def _with_backward(plan: Plan, backward: Callable[..., Any], result: Any, names: Tree) -> Plan | None:
    """Return the plan with the backward's arguments, or None where they are not understood."""
    labels = {n: (k,) for k, n in enumerate(names) if isinstance(n, str)} if isinstance(names, list) else {}
    states = {plan.roles[s][0]: s for s in plan.states}
    back: dict[str, Any] = {}
    for p in parameters(backward):
        name, bare = p.name, state_name(without_d(p.name))
        if name in labels:
            back[name] = Result(labels[name])
        elif "target" in parts(name):
            back[name] = Wanted()
        elif name in plan.read.arguments:
            back[name] = name
        elif is_gradient(name) and part(bare) in states:
            back[name] = Carry(states[part(bare)])
        elif is_gradient(name) and bare in ("next", "state", "states", "carry", ""):
            back[name] = tuple(Carry(s) for s in plan.states) if len(plan.states) > 1 else Carry(*plan.states)
        elif "cache" in parts(name):
            back[name] = Result((len(result) - 1,))
        elif part(name) in ("x",) or name in ("prob", "probs", "y_hat", "y_pred", "out", "output", "p"):
            back[name] = Result(plan.prediction) if part(name) != "x" else plan.read.x
        elif part(name) == "rate":
            back[name] = RATE
        elif p.default is p.empty:
            return None
    return replace(plan, back=back)


def _all_matter(subject: ModelSubject) -> bool:
    here = subject.outputs(subject.at)["loss"]
    return bool(np.isfinite(here)) and all(
        subject.outputs({**subject.at, name: array * 0.5})["loss"] != here
        for name, array in subject.at.items()
    )


def _with_gradients(plan: Plan, rng: Generator, names: Tree) -> ModelSubject | None:
    subject = ModelSubject(plan, Sizes(), rng)
    at = {n: a[0] if n == plan.read.x else a for n, a in subject.at.items()}
    try:
        given = subject.step_back(subject.at)
    except SubjectError:
        return None
    order = [n for n in slots(plan.read.arguments) if n in at]
    leaves = list(walk(given, [names, ""] if plan.home.keeps else names))
    gradients = match_gradients(leaves, at, plan.roles, list(dict.fromkeys([*order, *at])))
    good = all(fits(array_at(given, path), at[n].shape) for n, path in gradients.items())
    if not good or len(gradients) < len(at) / 2:
        return None
    roles = ordered(plan.roles, plan.shapes, subject.sizes, subject.at, subject.outcomes)
    plan = replace(plan, gradients=gradients, roles=roles)
    return ModelSubject(replace(plan, adds_up=_adds_up(plan, subject, given)), Sizes(), rng)


def _adds_up(plan: Plan, subject: ModelSubject, once: Any) -> bool:
    """Return whether a step's gradients come on top of those of the step before."""
    paths = [path for n, path in plan.gradients.items() if n not in plan.states and n != plan.read.x]
    first = [array_at(once, path) for path in paths]
    try:
        twice = subject.step_back(subject.at, times=2)
        return bool(paths) and all(
            np.allclose(array_at(twice, path), 2 * g, rtol=1e-9) for path, g in zip(paths, first, strict=True)
        )
    except SubjectError:
        return False
