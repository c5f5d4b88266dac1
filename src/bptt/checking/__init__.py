"""Is this backward pass correct, and if not, which term is wrong: the judge of gradients.

===================================  ====================================================================
``check``                            judge a function that returns a loss and its gradients
``assert_gradients``                 the same in a test: fails with the judgement as its text
``check_file``                       judge what a file defines, whatever form it has
``text``                             a judgement as the command prints it
``weights``, ``put``, ``gradients``  for adapters: an object's parameters, put in; the gradients it keeps,
``change``, ``unroll``               or that an update took away; a step over a sequence
===================================  ====================================================================

The rooms behind it: `numeric` (the numerical gradient and its own error), `subject` (what is judged, in one
form), `adapters` and `source` (from people's files to subjects), `judge`, `relations` and `longer` (the
verdict, and where), `cellmatch`, `reference`, `faults` and `diagnose` (which cell, which term), `spot`
(which line of the file), `behaviour`, `report`.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bptt.checking import diagnose, guard, judge
from bptt.checking.adapters import FunctionSubject, explain_failure, find, from_adapter
from bptt.checking.adapters.helpers import change, gradients, put, unroll, weights
from bptt.checking.behaviour import shared, side_effects
from bptt.checking.cellmatch import match
from bptt.checking.judge import Judgement, with_gates
from bptt.checking.longer import with_longer
from bptt.checking.numeric import numerical_gradient
from bptt.checking.report import text
from bptt.checking.source import Source, load
from bptt.checking.spot import spots
from bptt.checking.subject import Sizes, Subject, SubjectError

__all__ = [
    "Judgement",
    "Sizes",
    "Subject",
    "SubjectError",
    "assert_gradients",
    "change",
    "check",
    "check_file",
    "check_subject",
    "gradients",
    "numerical_gradient",
    "put",
    "text",
    "unroll",
    "weights",
]

SECONDS = 30.0
"""How long the judgement of one piece of code may take."""


def check(
    loss_and_grads: Callable[..., Any], params: Mapping[str, Any] | Sequence[Any], *, seed: int = 0
) -> Judgement:
    """Judge a function that returns a loss and the gradients of it.

    Parameters
    ----------
    loss_and_grads : callable
        ``loss_and_grads(params) -> loss, grads``; grads a dict by the names of params, or as many arrays in
        their order.
    params : dict or sequence of arrays
        The point. Take one without symmetry: random weights, biases that are not zero.
    seed : int

    Returns
    -------
    Judgement

    Raises
    ------
    SubjectError
        If the function fails by itself, or does not return a loss and gradients.

    Examples
    --------
    >>> def f(p):
    ...     y = np.tanh(p["x"] @ p["W"])
    ...     return y.sum(), {"W": p["x"].T @ (1 + y * y), "x": (1 - y * y) @ p["W"].T}
    >>> rng = np.random.default_rng(0)
    >>> judgement = check(f, {"x": rng.normal(size=(2, 3)), "W": rng.normal(size=(3, 4))})
    >>> judgement.verdict, {g.name: g.verdict for g in judgement.gradients}
    ('wrong', {'x': 'right', 'W': 'wrong'})
    """
    return check_subject(FunctionSubject(loss_and_grads, params), seed=seed)


def assert_gradients(
    loss_and_grads: Callable[..., Any], params: Mapping[str, Any] | Sequence[Any], *, seed: int = 0
) -> None:
    """Fail with the judgement as text unless the gradients are right.

    Parameters are those of `check`.

    Examples
    --------
    >>> assert_gradients(lambda p: ((p["x"] ** 2).sum(), {"x": 2 * p["x"]}), {"x": np.array([1.0, -3.0])})
    """
    judgement = check(loss_and_grads, params, seed=seed)
    if judgement.verdict != "right":
        raise AssertionError("\n" + text(judgement))


def check_file(
    path: str | os.PathLike[str],
    name: str | None = None,
    *,
    adapter: str | os.PathLike[str] | None = None,
    run: bool = False,
    seed: int = 0,
) -> list[Judgement]:
    """Judge the recurrent code that a file defines.

    Parameters
    ----------
    path : path
        A Python file or a notebook. Only definitions are taken from it.
    name : str, optional
        Judge only this function or class.
    adapter : path, optional
        A file that says how the code is called.
    run : bool
        Execute the whole file first.
    seed : int

    Raises
    ------
    BpttError
        If the file cannot be read, nothing in it is recognised, or the code fails by itself.
    """
    rng = np.random.default_rng(seed)
    source = load(path if adapter is None else adapter, run=run)
    if adapter is not None:
        subjects: list[Subject] = [from_adapter(source.namespace, rng)]
    else:
        subjects = find(source.namespace, name, source.text, rng)
    if not subjects:
        raise SubjectError(explain_failure(source.namespace, source.missing))
    judgements = []
    for subject in subjects:
        try:
            judgements.append(check_subject(subject, seed=seed))
        except Exception as error:
            if len(subjects) == 1 and isinstance(error, SubjectError):
                placed = re.search(r"\.(py|ipynb)\b|^adapter", str(error))
                raise error if placed else SubjectError(f"{subject.name}: {error}") from None
            # one that fails by itself does not keep the others from being judged, nor does our own mistake
            ours = (
                "" if isinstance(error, SubjectError) else f"the judgement itself: {type(error).__name__}: "
            )
            note = f"it failed: {ours}{error}"
            judgements.append(Judgement(subject.name, subject.form, "cannot tell", (), "none", notes=(note,)))
    return judgements if adapter is not None else [_with_lines(source, own) for own in judgements]


def _with_lines(source: Source, judgement: Judgement) -> Judgement:
    """Return the judgement with the lines of the file that compute what is wrong, where they are found."""
    if judgement.fault is None or judgement.cell is None:
        return judgement
    found = spots(source, judgement.subject, judgement.fault["targets"], judgement.cell["symbols"])
    more = {"line": found[0]["line"], "lines": found} if found else {}
    return replace(judgement, fault=judgement.fault | more)


def check_subject(subject: Subject, *, seed: int = 0) -> Judgement:
    """Judge a subject, name its cell and the wrong term, and report what its code does besides."""
    with guard.guard(SECONDS):
        judged = judge.judge(subject, seed=seed)
    judgement, failed = judged.judgement, list[str]()

    def attempt(what: str, run: Callable[[], Any]) -> Any:
        """Return what `run` returns; None where it fails: the verdict is not lost by it."""
        try:
            with guard.guard(SECONDS):
                return run()
        except SubjectError as error:
            failed.append(f"{what} failed: {error}")
        except Exception as error:
            failed.append(f"{what} failed by itself ({type(error).__name__}: {error}); the verdict stands")
        return None

    found = None if subject.form == "function" else attempt("finding the cell", lambda: match(subject))
    if found is not None:
        judgement = attempt("naming the gates", lambda: with_gates(judged, found.links)) or judgement
    if judgement.verdict == "right":
        judgement = (
            attempt("looking at longer sequences", lambda: with_longer(subject, judgement)) or judgement
        )
    notes = attempt("looking at the outputs", lambda: shared(subject)) or []
    effects = attempt("looking for side effects", lambda: side_effects(subject)) or []
    if found is not None:
        cell = {
            "name": found.cell.name,
            "gates": found.gates,
            "says": found.words,
            "match_error": found.error,
            "symbols": found.symbols,
        }
        judgement = replace(judgement, cell=cell)
        if judgement.verdict == "wrong":
            fault = attempt(
                "the diagnosis", lambda: diagnose.diagnose(subject, found, judged.gradients, judged.numeric)
            )
            judgement = replace(judgement, fault=None if fault is None else dict(fault))
    return replace(judgement, side_effects=tuple(effects), notes=(*judgement.notes, *notes, *failed))
