"""`check`: an example that is a function, or a function that returns a loss and its gradients."""

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np

from bptt.checking.direct.example import example_of
from bptt.checking.direct.loss import Given, Loss, judged
from bptt.checking.report import Report, text
from bptt.errors import BpttError


def check(
    function: Callable[..., Any], params: Given | None = None, *, seed: int = 0, seconds: float = 20.0
) -> Report:
    """Judge an example of somebody's code, or a function that returns a loss and its gradients.

    Parameters
    ----------
    function : callable
        Without `params` an example: a function without arguments that calls the code once, or a lambda.
        Its lines are executed in the names of the file in which that code is.
        With `params`: ``function(params) -> loss, gradients``; the gradients in a dict by the names of
        `params` (or with a ``d`` before them), or as many arrays in their order. Of PyTorch's tensors it
        may return the loss alone: the gradients are those of ``backward``.
    params : dict or sequence of arrays, optional
        The point. Take one without symmetry: random weights, biases that are not zero.
    seed : int
    seconds : float
        How long a mend is looked for where the code is in a file: of an example, or of a function that is
        the file's own.

    Returns
    -------
    Report

    Raises
    ------
    BpttError
        If the function fails by itself, or returns something else.

    Examples
    --------
    >>> def f(p):
    ...     y = np.tanh(p["x"] @ p["W"])
    ...     return y.sum(), {"W": p["x"].T @ (1 + y * y), "x": (1 - y * y) @ p["W"].T}
    >>> rng = np.random.default_rng(0)
    >>> report = check(f, {"x": rng.normal(size=(2, 3)), "W": rng.normal(size=(3, 4))})
    >>> report.verdict, report.names("wrong")
    ('wrong', ['W'])
    """
    from bptt.checking.examine import check_source

    name = str(getattr(function, "__name__", type(function).__name__))
    if params is None:
        with example_of(function) as (source, example):
            report = check_source(source, example, seed=seed, seconds=seconds)
        report.origin = "a lambda" if name == "<lambda>" else name
        return report
    report = judged(Loss(function, params), np.random.default_rng(seed))
    if report.verdict == "wrong":  # which statement it is, where that is to be seen
        with contextlib.suppress(BpttError), example_of(function, params) as (source, example):
            seen = check_source(source, example, seed=seed, seconds=seconds)
            if seen.verdict == "wrong":
                for what in ("file", "located", "mends", "whole", "diff", "cell", "trace", "fixed"):
                    setattr(report, what, getattr(seen, what))
    return report


def assert_gradients(
    function: Callable[..., Any], params: Given | None = None, *, seed: int = 0, seconds: float = 20.0
) -> None:
    """Fail with the report as text unless the gradients are right.

    Parameters are those of `check`.

    Examples
    --------
    >>> assert_gradients(lambda p: ((p["x"] ** 2).sum(), {"x": 2 * p["x"]}), {"x": np.array([1.0, -3.0])})
    """
    __tracebackhide__ = True
    report = check(function, params, seed=seed, seconds=seconds)
    if report.verdict != "right":
        raise AssertionError("\n" + text(report))
