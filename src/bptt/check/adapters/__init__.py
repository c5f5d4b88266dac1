"""From people's code to subjects, without being told its convention.

``find`` looks through the names of a namespace for what it recognises: by names, by signatures, and by trial
with random arrays whose sizes are all different, so that a shape that fits, fits for its reason.

=============  ================================================================================
``function``   a loss and gradients of a dict of parameters, for `bptt.check` itself
``step``       one time step, ``forward(x, h, ...)`` and ``backward(dh, ..., cache)``
``sequence``   the same over a whole sequence
``chunk``      ``loss(inputs, targets, hprev)``: loss and gradients from one function
``model``      one step a call with its target, state carried by the caller
``whole``      a forward to probabilities over time, and a backward that takes the targets
``torch``      a ``torch.autograd.Function``, an ``nn.Module``, where PyTorch is loaded
``custom``     an adapter file of ten lines, for what is not recognised
=============  ================================================================================
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from bptt.check.adapters.chunk import chunk_subject
from bptt.check.adapters.custom import CustomSubject, from_adapter
from bptt.check.adapters.function import FunctionSubject
from bptt.check.adapters.home import Home, Object
from bptt.check.adapters.model_trial import model_subject
from bptt.check.adapters.names import parts
from bptt.check.adapters.pairing import functions, pairs, stem
from bptt.check.adapters.sequence import sequence_subject
from bptt.check.adapters.signature import parameters
from bptt.check.adapters.step import step_subject
from bptt.check.adapters.torch import torch_subjects
from bptt.check.adapters.whole import whole_subject
from bptt.check.guard import guard
from bptt.check.subject import Sizes, Subject, SubjectError
from bptt.types import Generator

__all__ = ["CustomSubject", "FunctionSubject", "explain_failure", "find", "from_adapter"]

SECONDS = 15.0
"""How long the trials may take together."""


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
        Names to objects, as `bptt.check.source.load` gives them.
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
    with guard(SECONDS):
        return list(_found(held, name, source, rng))


def explain_failure(namespace: Mapping[str, Any] | ModuleType) -> str:
    """Return what was looked at and the adapter to write, for a namespace where nothing is recognised."""
    held = vars(namespace) if isinstance(namespace, ModuleType) else namespace
    found = functions(held)
    couples = [f"{a} and {b}" for a, b in pairs(found)]
    seen = f"pairs: {', '.join(couples)}" if couples else f"functions: {', '.join(found) or 'none'}"
    backs = [n for n in found if stem(n)[1] == "backward"]
    fores = [n for n in found if stem(n)[1] == "forward"]
    hint = ""
    if backs and not fores:
        hint = f"There is a backward ({backs[0]}) without its forward: there is nothing to compare with.\n"
    forward, backward = (pairs(found) or [("forward", "backward")])[0]
    return f"""No recurrent step, sequence or chunk is recognised here ({seen}).
{hint}Write how the code is called into a file, and give it as --adapter FILE.py:

    import numpy as np
    from yourfile import {forward}, {backward}
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
    for key, function in found.items():
        if name in (None, key) and key not in used and _is_chunk(function):
            subject = chunk_subject(function, rng, source)
            if subject is not None:
                yield subject
    for key, cls in list(held.items()):  # running code may add to its globals
        if inspect.isclass(cls) and (name is None or name.split(".")[0] == key):
            yield from _of_class(cls, name, source, rng)
    yield from torch_subjects(held, name, source, rng)


def _of_class(cls: type, name: str | None, source: str | None, rng: Generator) -> Iterator[Subject]:
    methods = {n: m for n, m in vars(cls).items() if inspect.isfunction(m) and not n.startswith("__")}
    only = name.split(".")[1] if name and "." in name else None

    def home(**called: str) -> Home | None:
        try:
            return Object(cls, called)
        except SubjectError:
            return None

    for forward, backward in pairs(methods):
        place = home(forward=forward, backward=backward) if only in (None, forward, backward) else None
        if isinstance(place, Object):
            bound = [getattr(place.prototype(Sizes()), n) for n in (forward, backward)]
            subject = _pair(bound[0], bound[1], rng, source, place)
            if subject is not None:
                subject.name = f"{cls.__name__}.{subject.name}"
                yield subject
    for key, method in methods.items():
        if only in (None, key) and _is_chunk(method):
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


def _is_chunk(function: Callable[..., Any]) -> bool:
    """Return whether a function takes inputs and targets."""
    asked = [parts(p.name) for p in parameters(function)]
    return any("x" in p for p in asked) and any("target" in p for p in asked)
