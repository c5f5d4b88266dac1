"""From people's code to subjects, without being told its convention.

``find`` looks through the names of a namespace for what it recognises: by names, by signatures, and by trial
with random arrays whose sizes are all different, so that a shape that fits, fits for its reason.

=============  ================================================================================
``function``   a loss and gradients of a dict of parameters, for `bptt.check` itself
``step``       one time step, ``forward(x, h, ...)`` and ``backward(dh, ..., cache)``
``sequence``   the same over a whole sequence
``chunk``      ``loss(inputs, targets, hprev)``: loss and gradients from one function
``model``      one step a call with its target, state carried by the caller
``linked``     a network of linked state objects, fed step by step
``whole``      a forward to probabilities over time, and a backward that takes the targets
``torch``      a ``torch.autograd.Function``, an ``nn.Module``, where PyTorch is loaded
``custom``     an adapter file of ten lines, for what is not recognised
=============  ================================================================================
"""

import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from bptt.checking.adapters.calls import failures, stops
from bptt.checking.adapters.chunk import chunk_subject
from bptt.checking.adapters.custom import CustomSubject, from_adapter
from bptt.checking.adapters.function import FunctionSubject
from bptt.checking.adapters.home import Home
from bptt.checking.adapters.linked import linked_subject
from bptt.checking.adapters.model_trial import model_subject
from bptt.checking.adapters.names import parts
from bptt.checking.adapters.objects import Object
from bptt.checking.adapters.pairing import functions, pairs, stem
from bptt.checking.adapters.sequence import sequence_subject
from bptt.checking.adapters.signature import globals_read, parameters
from bptt.checking.adapters.standins import is_missing, supply
from bptt.checking.adapters.step import step_subject
from bptt.checking.adapters.torch import torch_subjects
from bptt.checking.adapters.whole import whole_subject
from bptt.checking.definitions import Missing
from bptt.checking.guard import guard
from bptt.checking.subject import Sizes, Subject, SubjectError
from bptt.types import Generator

__all__ = ["CustomSubject", "FunctionSubject", "explain_failure", "find", "from_adapter"]

SECONDS = 15.0
"""How long the trials may take together."""

MISSING: Mapping[str, str] = {}

MOST = 1_000_000
"""Trials: the time that was up is the first thing to tell."""


def find(
    namespace: Mapping[str, Any] | ModuleType,
    name: str | None = None,
    source: str | None = None,
    rng: Generator | None = None,
) -> list[Subject]:
    """Return the recurrent code in a namespace as subjects, the surest first.

    Parameters
    ----------
    namespace : dict or module
        Names to objects, as `bptt.checking.source.load` gives them.
    name : str, optional
        Look only at this function (either of a pair), class, or ``Class.method``.
    source : str, optional
        The text of the file, for the names in return statements.
    rng : Generator, optional
        For the points. Default: seeded with 0.

    Returns
    -------
    list of Subject
        Empty where nothing is recognised; `explain_failure` says what to do then.

    Examples
    --------
    >>> def rnn_step_forward(x, prev_h, Wx, Wh, b):
    ...     h = np.tanh(x @ Wx + prev_h @ Wh + b)
    ...     return h, (x, prev_h, Wx, Wh, h)
    >>> def rnn_step_backward(dh, cache):
    ...     x, prev_h, Wx, Wh, h = cache
    ...     da = dh * (1 - h * h)
    ...     return da @ Wx.T, da @ Wh.T, x.T @ da, prev_h.T @ da, da.sum(0)
    >>> [subject] = find({"rnn_step_forward": rnn_step_forward, "rnn_step_backward": rnn_step_backward})
    >>> subject.form, subject.roles
    ('step', {'x': 'x', 'prev_h': 'h0', 'Wx': 'W', 'Wh': 'U', 'b': 'b'})
    """
    rng = np.random.default_rng(0) if rng is None else rng
    held = vars(namespace) if isinstance(namespace, ModuleType) else namespace
    failures.clear()
    stops.clear()
    supplied = supply(list(_all_functions(held)))
    subjects: list[Subject] = []
    try:
        with guard(SECONDS):
            subjects.extend(_found(held, name, source, rng))  # what is found is kept when the time is up
    except SubjectError as error:
        failures[str(error)] += MOST
    for subject in subjects:
        if supplied:
            subject.notes = [*getattr(subject, "notes", []), *supplied]  # type: ignore[attr-defined]
    return subjects


def explain_failure(namespace: Mapping[str, Any] | ModuleType, missing: Mapping[str, str] = MISSING) -> str:
    """Return what was looked at and the adapter to write, for a namespace where nothing is recognised.

    Parameters
    ----------
    namespace : dict or module
    missing : dict of str
        What could not be imported, with the reason, as `bptt.checking.source.load` gives it.
    """
    held = vars(namespace) if isinstance(namespace, ModuleType) else namespace
    found = functions(held)
    own = held.get("__name__")
    classes = [n for n, v in held.items() if inspect.isclass(v) and v.__module__ == own]
    couples = [f"{a} and {b}" for a, b in pairs(found)]
    looked = [("pairs", couples), ("classes", classes), ("functions", [] if couples else list(found))]
    seen = "; ".join(f"{what}: {', '.join(names)}" for what, names in looked if names) or "nothing defined"
    backs = [n for n in found if stem(n)[1] == "backward" and "check" not in n.lower()]
    fores = [n for n in found if stem(n)[1] == "forward"]
    hint = _absent(held, missing)
    if any(why in hint for why in failures) or any(m in f for m in missing.values() for f in failures):
        pass  # it is said
    elif failures:
        hint += f"In trials the code failed by itself: {failures.most_common(1)[0][0]}\n"
    elif stops:
        hint += f"In most trials it stopped here (which may be for the arrays tried): {_commonest()}\n"
    if backs and not (fores or classes or couples):
        hint += f"There is a backward ({backs[0]}) without its forward: there is nothing to compare with.\n"
    if "torch" in (getattr(value, "__name__", "") for value in held.values()):
        hint += TORCH
    chunk = next((n for n, f in found.items() if _is_chunk(f)), "")
    if chunk or couples or not classes:
        forward, backward = (pairs(found) or [("forward", "backward")])[0]
        adapter = _chunk_adapter(chunk) if chunk else _pair_adapter(forward, backward)
    else:
        adapter = _class_adapter(classes[-1])
    return f"""No recurrent step, sequence or chunk is recognised here ({seen}).
{hint}Write how the code is called into a file, and give it as --adapter FILE.py:

{adapter}"""


def _absent(held: Mapping[str, Any], missing: Mapping[str, str]) -> str:
    """Return in words what the code reads and nothing defines."""
    read = {n for f in _all_functions(held) for n in globals_read(f.__code__) if is_missing(n, f.__globals__)}
    bases = {name for name in missing if any(name in _bases(c) for c in held.values() if inspect.isclass(c))}
    names = sorted(read - missing.keys())
    why = [missing[name] for name in missing if name in read | bases or (names and name == "*")]
    why += [f"Nothing that is taken from the file defines {', '.join(names)}"] if names else []
    return "".join(f"{line}\n" for line in why)


def _bases(cls: type) -> list[str]:
    """Return the names of a class's bases that are not there."""
    return [str(vars(base)["name"]) for base in getattr(cls, "__orig_bases__", ()) if type(base) is Missing]


def _commonest() -> str:
    """Return the message of the line where most trials stopped."""
    lines = Counter[str]()
    for said, count in stops.items():
        lines[said.partition(": ")[0]] += count
    [(line, _)] = lines.most_common(1)
    return next(said for said, _ in stops.most_common() if said.startswith(f"{line}: "))


TORCH = """The file uses PyTorch: a backward written by hand can be judged on tensors, too. In the adapter,
give it torch.tensor(array), and return gradient.detach().numpy(). What autograd computes by itself is right.
"""


def _chunk_adapter(name: str) -> str:
    return f"""    from yourfile import {name}
    def subject(rng, T, D, H, V):
        at = {{"W": rng.normal(size=(D + H, 4 * H)), "Wy": rng.normal(size=(H, V))}}
        x, targets = rng.integers(V, size=T), rng.integers(V, size=T)
        def run(W, Wy):
            loss, dW, dWy, *_ = {name}(x, targets, W, Wy)
            return loss, {{"W": dW, "Wy": dWy}}
        return at, run
"""


def _class_adapter(name: str) -> str:
    return f"""    from yourfile import {name}
    from bptt.checking import gradients, put, weights
    def subject(rng, T, D, H, V):
        net, x, targets = {name}(D, H, V), rng.normal(size=(T, D)), rng.integers(V, size=T)
        def run(**at):
            put(net, at)
            loss = net.forward(x, targets)
            net.backward()
            return loss, gradients(net, at)
        return weights(net, rng), run
"""


def _pair_adapter(forward: str, backward: str) -> str:
    return f"""    from yourfile import {forward}, {backward}
    def subject(rng, T, N, D, H):
        at = {{"x": rng.normal(size=(T, N, D)), "W": rng.normal(size=(D + H, 4 * H))}}
        def outputs(x, W):
            return {{"y": {forward}(x, W)[0]}}
        def gradients(dy, x, W):
            dx, dW = {backward}(dy, {forward}(x, W)[1])
            return {{"x": dx, "W": dW}}
        return at, outputs, gradients
"""


def _found(
    held: Mapping[str, Any], name: str | None, source: str | None, rng: Generator
) -> Iterator[Subject]:
    found = functions(held)
    used: set[str] = set()
    for forward, backward in pairs(found):
        if name not in (None, forward, backward) or forward in used or backward in used:
            continue
        subject = _pair(found[forward], found[backward], rng, source, None)
        if subject is not None:
            used |= {forward, backward}
            yield subject
    forwards = {forward for forward, _ in pairs(found)}  # what these return besides is no gradient
    for key, function in found.items():
        if name in (None, key) and key not in used | forwards and _is_chunk(function):
            subject = chunk_subject(function, rng, source)
            if subject is not None:
                yield subject
    for key, cls in list(held.items()):  # running code may add to its globals
        if inspect.isclass(cls) and (name is None or name.split(".")[0] == key):
            yield from _of_class(cls, name, source, rng)
    yield from torch_subjects(held, name, source, rng)


def _all_functions(held: Mapping[str, Any]) -> Iterator[Any]:
    yield from (f for f in functions(held).values() if inspect.isfunction(f))
    for value in held.values():
        if inspect.isclass(value):
            members = (getattr(m, "__func__", m) for m in vars(value).values())
            yield from (m for m in members if inspect.isfunction(m))


def _of_class(cls: type, name: str | None, source: str | None, rng: Generator) -> Iterator[Subject]:
    methods = {n: m for n, m in vars(cls).items() if inspect.isfunction(m) and not n.startswith("__")}
    static = {n: m.__func__ for n, m in vars(cls).items() if isinstance(m, staticmethod)}
    only = name.split(".")[1] if name and "." in name else None

    def home(**called: str) -> Home | None:
        try:
            return Object(cls, called)
        except SubjectError:
            return None

    if only is None and (linked := linked_subject(cls, rng)) is not None:
        yield linked
    for forward, backward in pairs(static):
        subject = _pair(static[forward], static[backward], rng, source, None)
        if subject is not None and only in (None, forward, backward):
            subject.name = f"{cls.__name__}.{subject.name}"
            yield subject
    used = set[str]()
    both = [(pair, _pair) for pair in pairs(methods)]
    both += [(pair, whole_subject) for pair in _losses_and_gradients(methods)]
    for (forward, backward), kind in both:
        if used and kind is whole_subject:
            break
        place = home(forward=forward, backward=backward) if only in (None, forward, backward) else None
        if isinstance(place, Object):
            bound = [getattr(place.prototype(Sizes()), n) for n in (forward, backward)]
            subject = kind(bound[0], bound[1], rng, source, place)
            if subject is not None:
                used |= {forward, backward}
                subject.name = f"{cls.__name__}.{subject.name}"
                yield subject
    forwards = {forward for forward, _ in pairs(methods)}
    for key, method in methods.items():
        if only in (None, key) and key not in forwards | used and _is_chunk(method):
            place = home(forward=key)
            if isinstance(place, Object):
                subject = chunk_subject(getattr(place.prototype(Sizes()), key), rng, source, place)
                if subject is not None:
                    subject.name = f"{cls.__name__}.{subject.name}"
                    yield subject


def _pair(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    rng: Generator,
    source: str | None,
    home: Home | None,
) -> Subject | None:
    step_first = "step" in forward.__name__.lower() or "cell" in forward.__name__.lower()
    kinds = [step_subject, sequence_subject] if step_first else [sequence_subject, step_subject]
    for kind in (model_subject, whole_subject, *kinds):
        subject = kind(forward, backward, rng, source, home)
        if subject is not None:
            return subject
    return None


def _losses_and_gradients(methods: Mapping[str, Callable[..., Any]]) -> list[tuple[str, str]]:
    """Return the names of a method for the loss and of one for the gradients that take the same."""
    taking = [n for n, m in methods.items() if _is_chunk(m)]
    losses = [n for n in taking if "loss" in n.lower() and stem(n)[1] != "backward"]
    return [(loss, n) for loss in losses for n in taking if stem(n)[1] == "backward"]


def _is_chunk(function: Callable[..., Any]) -> bool:
    """Return whether a function takes inputs and targets."""
    asked = [parts(p.name) for p in parameters(function)]
    return any("x" in p for p in asked) and any("target" in p for p in asked)
