"""Trial: every convention in turn, until the forward runs and fits, and the backward's gradients fit too."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from bptt.checking.adapters.calls import Each, Path, Tree, array_at, is_number, returned, walk, walk_through
from bptt.checking.adapters.constructing import RATE
from bptt.checking.adapters.home import Home
from bptt.checking.adapters.joint import ordered
from bptt.checking.adapters.losses import is_negative
from bptt.checking.adapters.matching import fits, left_over, match_gradients, match_outputs
from bptt.checking.adapters.names import is_gradient, part, parts, state_name, without_d
from bptt.checking.adapters.pair import Cotangent, Kept, PairSubject, Plan, Result
from bptt.checking.adapters.shapes import Layout, extents, weights
from bptt.checking.adapters.signature import Slot, parameters, signatures, slots
from bptt.checking.adapters.standins import is_missing
from bptt.checking.subject import Form, Sizes, SubjectError
from bptt.types import Array, Generator, Params

MOST_TRIALS = 6000

_ERROR = re.compile(r"diff|delta|grad|err", re.IGNORECASE)
"""In the name of what comes back to an output."""


def find_plan(
    home: Home,
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    form: Form,
    layouts: Iterable[Layout],
    rng: Generator,
    source: str | None,
) -> PairSubject | None:
    """Return the subject that two functions make, or None where no convention fits them.

    Where the forward runs and the backward does not, one example of one input alone is tried as well.
    """
    layouts = tuple(layouts)
    score, found = _search(home, forward, backward, form, layouts, rng, source, Sizes())
    if found is not None and score <= 0:
        one_input = Sizes(N=1, D=1), "one input (D = 1, N = 1)"
        for sizes, what in ((Sizes(N=1), "one example (N = 1)"), one_input):
            more, small = _search(home, forward, backward, form, layouts, rng, source, sizes)
            if small is not None and more > 0 and small.fits():
                note = f"its backward runs for {what} alone, and is judged there"
                return PairSubject(replace(small.plan, notes=(*small.plan.notes, note)), sizes, rng)
        found.fails = True
    if found is not None:
        found.notes += _borrowed(home, found.plan)
    return found


def _borrowed(home: Home, plan: Plan) -> list[str]:
    """Return what is to be said of names that nothing defines, and that arguments were put in place of."""
    names = [n for n in (*home.matrices, *home.biases) if n in plan.arguments]
    names = [n for n in names if all(is_missing(n, place) for place in home.places)]
    said = "what is read by these names is not defined; the forward's arguments are put in their place"
    return [f"{', '.join(names)}: {said}"] if names else []


def _search(
    home: Home,
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    form: Form,
    layouts: Iterable[Layout],
    rng: Generator,
    source: str | None,
    sizes: Sizes,
) -> tuple[float, PairSubject | None]:
    """Return the best subject for these sizes, and how well it fits: not at all where this is not above 0."""
    best: tuple[float, Plan] | None = None
    misfits: tuple[str, ...] = ()
    names = returned(forward, source)
    tried = 0
    for plan, layout in _plans(home, forward, form, layouts, source):
        tried += 1
        if tried > MOST_TRIALS:
            break
        at = plan.point(sizes, rng)
        try:
            result = plan.run(at, sizes)
        except SubjectError:
            continue
        outputs = _outputs(result, names, layout, sizes)
        if not outputs or (form == "step" and not any(role == "h" for _, role in outputs.values())):
            continue
        plan = replace(plan, outputs={name: path for name, (path, _) in outputs.items()})
        if not _all_matter(plan, at, sizes, layout):
            continue
        planned = _with_backward(
            plan, backward, result, names, {n: r for n, (_, r) in outputs.items()}, layout
        )
        if planned is None:
            continue
        planned = _with_order_of_joint(planned, sizes, at)
        for variant in _variants(planned):
            score, variant = _with_gradients(variant, result, at, sizes, rng, returned(backward, source))
            misfits = misfits or variant.notes
            if score > 0:
                variant = replace(variant, notes=misfits)
            if best is None or score > best[0]:
                best = score, variant
            if score > 0:
                return score, _signed(variant, sizes, rng)
    return (best[0], PairSubject(best[1], sizes, rng)) if best else (0.0, None)


def _variants(plan: Plan) -> Iterator[Plan]:
    """Yield the plan, and with what its object keeps under a like name in the place of an argument."""
    yield plan
    for name, template in plan.back.items():
        if isinstance(template, Slot):
            yield from (
                replace(plan, back={**plan.back, name: Kept(kept)})
                for kept in plan.home.kept_names()
                if name in kept
            )


def _signed(plan: Plan, sizes: Sizes, rng: Generator) -> PairSubject:
    """Return the subject; with the other sign, where it takes the error as target minus prediction."""
    subject = PairSubject(plan, sizes, rng)
    if not plan.home.updates and not any("err" in name for name in plan.back):
        return subject
    if not is_negative(subject):
        return subject
    note = "its gradients are minus what it is given: it takes target minus prediction, and its steps go up"
    return PairSubject(replace(plan, sign=-1.0, notes=(*plan.notes, note)), sizes, rng)


def _plans(
    home: Home,
    forward: Callable[..., Any],
    form: Form,
    layouts: Iterable[Layout],
    source: str | None,
) -> Iterator[tuple[Plan, Layout]]:
    for read in signatures(forward, source):
        matrices, biases = read.matrices + home.matrices, read.biases + home.biases
        if not read.x or read.others or not matrices or not (read.h or form == "sequence"):
            continue
        for layout in layouts:
            through_time = form == "sequence"
            x = Layout.of(layout.sequence if through_time else layout.state, "D")
            states = {name: Layout.of(layout.state, "H") for name in (read.h, read.c) if name}
            for way in weights(matrices, biases, layout):
                if any(len(way.shapes[n]) != ndim for n, ndim in home.ndims.items()):
                    continue
                roles = {read.x: "x"} | {n: r for n, r in ((read.h, "h0"), (read.c, "c0")) if n} | way.roles
                yield (
                    Plan(
                        name=forward.__name__,
                        form=form,
                        home=home,
                        arguments=read.arguments,
                        shapes={read.x: x} | states | way.shapes,
                        roles=roles,
                        time_axis={read.x: layout.time_axis} if through_time else {},
                    ),
                    layout,
                )
            if shapes := home.natural(Sizes()):
                roles = {read.x: "x"} | {n: r for n, r in ((read.h, "h0"), (read.c, "c0")) if n}
                axes = {read.x: layout.time_axis} if through_time else {}
                plan = Plan(
                    forward.__name__, form, home, read.arguments, {read.x: x} | states | shapes, roles, axes
                )
                yield replace(plan, natural=True), layout


def _cache_path(result: Any, names: Tree) -> Path | None:
    """Return where the cache lies: by its name, else what is no array at the end."""
    if not isinstance(result, tuple):
        return None
    labels = names if isinstance(names, list) and len(names) == len(result) else [""] * len(result)
    for k, label in enumerate(labels):
        if isinstance(label, str) and "cache" in parts(label):
            return (k,)
    return (len(result) - 1,) if not is_number(result[-1]) and len(result) > 1 else None


def _outputs(result: Any, names: Tree, layout: Layout, sizes: Sizes) -> dict[str, tuple[Path, str]] | None:
    """Return each output's path and part, or None where one is not finite."""
    cache = _cache_path(result, names)
    state, sequence = (extents(Layout.of(s, "H"), sizes) for s in (layout.state, layout.sequence))
    each = (sizes.T, *state)
    found: dict[str, tuple[Path, str]] = {}
    roles: list[str] = []
    for path, name, leaf in walk_through(result, names, sizes.T):
        if (cache and path[:1] == cache) or leaf.ndim == 0:
            continue
        if not np.isfinite(leaf).all():
            return None
        role = ""
        if leaf.shape in (state, sequence) or (leaf.shape == each and _each(path)):
            said = [p for p in parts(name) if p in ("h", "c")]
            role = said[0] if said else "h" if "h" not in roles else "c"
        roles.append(role)
        label = name if name and name not in found else f"output{len(found)}"
        found[label] = path, role
    return found


def _all_matter(plan: Plan, at: Params, sizes: Sizes, layout: Layout) -> bool:
    """Return whether every array changes some output, and the first input the last output."""
    paths = list(plan.outputs.values())

    def run(point: Params) -> list[Array]:
        result = plan.run(point, sizes)
        return [array_at(result, path) for path in paths]

    try:
        here = run(at)
        for name in at:
            moved = {**at, name: at[name] * 0.5}
            if all(np.array_equal(a, b) for a, b in zip(here, run(moved), strict=True)):
                return False
        if plan.form != "sequence":
            return True
        x = next(name for name, role in plan.roles.items() if role == "x")
        first = at[x].copy()
        first[(slice(None),) * layout.time_axis + (0,)] *= 0.5
        there = run({**at, x: first})
        for path, a, b in zip(paths, here, there, strict=True):
            axis = 0 if _each(path) else layout.time_axis
            through = a.ndim == len(layout.sequence) and a.shape[axis] == sizes.T
            last = (slice(None),) * axis + (-1,) if through else ()
            if not np.array_equal(a[last], b[last]):
                return True
    except (SubjectError, ValueError):
        pass
    return False


def _with_backward(
    plan: Plan,
    backward: Callable[..., Any],
    result: Any,
    names: Tree,
    outputs: dict[str, str],
    layout: Layout,
) -> Plan | None:
    """Return the plan with the backward's arguments, or None where they are not understood."""
    cache = _cache_path(result, names)
    asked: list[str] = []
    back: dict[str, Any] = {}
    for p in parameters(backward):
        name = p.name
        if name in plan.arguments:
            back[name] = plan.arguments[name]
        elif name in plan.outputs:
            back[name] = Result(plan.outputs[name])
        elif ("cache" in parts(name) and not is_gradient(name)) or name == _label(cache, names):
            back[name] = Result(cache or ())
        elif is_gradient(name) or part(without_d(name)) in ("h", "c") or _ERROR.search(name):
            asked.append(name)
            back[name] = None
        elif part(name) == "rate":
            back[name] = RATE
        elif p.default is p.empty:
            return None
    matched = match_outputs([n for n in asked if not _is_pair(n, outputs)], outputs)
    for name in asked:
        if name in matched:
            back[name] = Cotangent(matched[name], _each(plan.outputs[matched[name]]))
        elif _is_pair(name, outputs):
            back[name] = tuple(Cotangent(o) for o, role in outputs.items() if role)
        else:
            return None
    used = {
        c.output
        for t in back.values()
        for c in (t if isinstance(t, tuple) else (t,))
        if isinstance(c, Cotangent)
    }
    kept = {name: path for name, path in plan.outputs.items() if name in used}
    if not kept:
        return None
    axes = dict(plan.time_axis)
    if plan.form == "sequence":
        axes |= {
            n: 0 if _each(plan.outputs[n]) else layout.time_axis
            for n in kept
            if _each(plan.outputs[n])
            or (
                array_at(result, plan.outputs[n]).ndim == len(layout.sequence)
                and array_at(result, plan.outputs[n]).shape[layout.time_axis] == Sizes().T
            )
        }
    return replace(plan, back=back, outputs=kept, time_axis=axes)


def _with_order_of_joint(plan: Plan, sizes: Sizes, at: Params) -> Plan:
    x = next(name for name, role in plan.roles.items() if role == "x")
    path = next(iter(plan.outputs.values()))

    def outcomes(point: Params) -> tuple[Array, Array]:
        other = {**point, x: point[x] + 1}
        return array_at(plan.run(point, sizes), path), array_at(plan.run(other, sizes), path)

    return replace(plan, roles=ordered(plan.roles, plan.shapes, sizes, at, outcomes))


def _each(path: Path) -> Each | None:
    """Return how an output holds its arrays by time, if it is none itself."""
    last = path[-1] if path else None
    return last if last in ("each in a list", "each in a dict") else None


def _label(cache: Path | None, names: Tree) -> Tree:
    return names[cache[0]] if cache and isinstance(names, list) and cache[0] < len(names) else ""


def _is_pair(name: str, outputs: dict[str, str]) -> bool:
    """Return whether a cotangent is all states' in a tuple."""
    bare = state_name(without_d(name))
    return bare in ("state", "states", "next", "carry") and sum(bool(r) for r in outputs.values()) > 1


def _with_gradients(
    plan: Plan, result: Any, at: Params, sizes: Sizes, rng: Generator, names: Tree
) -> tuple[float, Plan]:
    """Return the plan with the places of its gradients, and how well they fit."""
    cotangents = {n: rng.normal(size=array_at(result, path).shape) for n, path in plan.outputs.items()}
    try:
        given = plan.run_back(at, cotangents, sizes)
    except SubjectError:
        return 0.0, plan
    if plan.home.keeps:
        names = [names, ""]
    order = list(dict.fromkeys([n for n in slots(plan.arguments) if n in at] + list(at)))
    leaves = list(walk(given, names))
    gradients = match_gradients(leaves, at, plan.roles, order)
    good = [n for n, path in gradients.items() if fits(array_at(given, path), at[n].shape)]
    score = len(good) / len(at) if len(good) == len(gradients) else -1.0
    notes = tuple(
        f"for {sizes.N} examples the gradient at {n} has the shape {array_at(given, path).shape}, "
        f"{n} itself {at[n].shape}: it is not summed over them; judged for one example"
        for n, path in gradients.items()
        if n not in good
    )
    gradients |= left_over(leaves, gradients, order)
    return score, replace(plan, gradients=gradients, notes=notes)
