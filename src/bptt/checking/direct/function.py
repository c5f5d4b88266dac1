"""`check`: an example that is a function, or a function that returns a loss and its gradients."""

import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from bptt.checking.direct.example import example_of
from bptt.checking.direct.numeric import Numeric, numerical_gradient
from bptt.checking.file import SubjectError
from bptt.checking.report import Report, relation, text, worst
from bptt.errors import BpttError
from bptt.types import Array, Generator, Params

Given: TypeAlias = Mapping[str, Any] | Sequence[Any]

TOLERANCE = {"complex step": 1e-9, "central differences": 1e-6}
"""How far a gradient may be from the numerical one, next to that tensor's largest entry."""

SINGLE = 2e-4  # the same for gradients in single precision

CLEAR = 10.0
"""A difference is clear where it is this many times the estimate of the numerical gradient's error."""

NAMES = ("{}", "d{}", "d_{}", "grad_{}", "{}_grad", "g{}", "D{}")
"""What the gradient at a parameter may be called."""


class Loss:
    """A loss and its gradients as functions of named arrays, whatever library computes them."""

    def __init__(self, function: Callable[..., Any], params: Given) -> None:
        self.function, self.name = function, str(getattr(function, "__name__", type(function).__name__))
        self.kind = dict if isinstance(params, Mapping) else tuple if isinstance(params, tuple) else list
        named = dict(params) if isinstance(params, Mapping) else {f"[{k}]": p for k, p in enumerate(params)}
        self.torch: Any = next((sys.modules["torch"] for p in named.values() if hasattr(p, "detach")), None)
        self.at = {key: _array(value) for key, value in named.items()}
        if not self.at:
            raise SubjectError(f"{self.name}: there are no parameters to judge the gradients at")
        for key, array in self.at.items():
            if array.dtype.kind != "f":
                raise SubjectError(
                    f"{self.name}: {key} must be a real array, got {array.dtype} {array.shape}"
                )
            self.at[key] = array.astype(np.float64 if self.torch else array.dtype)

    def _call(self, at: Params, grad: bool = False) -> tuple[Any, Any]:
        """Return the loss and what comes with it, at copies of the arrays."""
        held: dict[str, Any] = {key: array.copy() for key, array in at.items()}
        if self.torch:
            held = {key: self.torch.tensor(array, requires_grad=True) for key, array in held.items()}
        arrays = [*held.values()]
        try:
            result = self.function({dict: held, list: arrays, tuple: tuple(arrays)}[self.kind])
            if self.torch and isinstance(result, self.torch.Tensor):
                found = self.torch.autograd.grad(result, arrays, allow_unused=True) if grad else ()
                return result, {key: g for key, g in zip(held, found, strict=False) if g is not None}
        except Exception as error:
            says = " ".join(str(error).split())
            raise SubjectError(f"{self.name}: {type(error).__name__}: {says}") from error
        if not isinstance(result, tuple) or len(result) < 2:
            raise SubjectError(
                f"{self.name} must return (loss, gradients), got {type(result).__name__}; "
                "the gradients in a dict by the parameters' names"
            )
        return result[0], result[1:] if len(result) == len(at) + 1 and len(at) > 1 else result[1]

    def loss(self, at: Params) -> Any:
        """Return the loss at a point."""
        loss = _array(self._call(at)[0])
        if loss.size != 1:
            raise SubjectError(f"{self.name}: the loss must be one number, got shape {loss.shape}")
        return loss.reshape(())[()]

    def gradients(self) -> Params:
        """Return the gradients at its own point, by the parameters' names, as far as there are any."""
        found = self._call(self.at, grad=True)[1]
        if isinstance(found, Mapping):
            named = {str(key): _array(value) for key, value in found.items()}
            own = {key: next((n for one in NAMES if (n := one.format(key)) in named), "") for key in self.at}
            out = {key: named[name] for key, name in own.items() if name}
        else:
            arrays = [_array(one) for one in (found if isinstance(found, tuple | list) else [found])]
            if len(arrays) != len(self.at):
                raise SubjectError(f"{self.name}: {len(self.at)} parameters, but {len(arrays)} gradients")
            out = dict(zip(self.at, arrays, strict=True))
        if not out:
            raise SubjectError(f"{self.name} returns no gradient at {', '.join(self.at)}")
        return out


def judged(f: Loss, rng: Generator) -> Report:
    """Return the verdict on its gradients."""
    losses = [complex(f.loss(f.at)) for _ in range(6)]  # a few, for draws with few outcomes
    report = Report("cannot tell", f.name, loss="the loss that it returns", kind="scalar")
    got, again = f.gradients(), f.gradients()
    if any(one != losses[0] and one == one for one in losses):
        report.reason = "the same numbers give another loss each time (it draws at random, or keeps a state)"
        return report
    numeric = numerical_gradient(lambda moved: f.loss(f.at | moved), {key: f.at[key] for key in got}, rng)
    report.gradients = [_judged(key, got[key], numeric, f.at) for key in got]
    report.verdict = worst([Report(g["verdict"], "") for g in report.gradients])
    none = {"verdict": "not given", "error": 0.0, "where": "", "note": ""}
    report.gradients += [{"name": key} | none for key in f.at if key not in got]
    if report.names("cannot tell"):
        if any(g.dtype.itemsize <= 4 for g in got.values()):
            report.reason = "the code computes in single precision: differences are too coarse to decide"
        elif numeric.method == "central differences":
            report.reason = "the loss has a kink (an abs, a relu, a clip) within the smallest step, or noise"
        else:
            report.reason = "the loss is not finite near this point"
    if not all(np.array_equal(got[key], again[key], equal_nan=True) for key in got):
        report.notes.append("a second call gives other gradients: they are added to what was there")
    report.notes.append(f"compared with the {numeric.method}")
    return report


def _judged(name: str, own: Array, numeric: Numeric, at: Params) -> dict[str, Any]:
    """Return the verdict on one gradient."""
    wanted, estimate = numeric.gradient[name], numeric.estimate[name]
    out: dict[str, Any] = {"name": name, "verdict": "wrong", "where": "", "error": np.inf, "note": ""}
    if own.shape != wanted.shape:
        return out | {"note": f"of shape {own.shape}, where {wanted.shape} belongs"}
    sizes = [float(np.abs(g).max(initial=0)) for g in (wanted, *numeric.gradient.values())]
    scale = sizes[0] or max(sizes) or 1.0
    tolerance = SINGLE if own.dtype.itemsize <= 4 else TOLERANCE[numeric.method]
    off = np.abs(np.where(np.isfinite(own), own - wanted, np.inf))
    out["error"] = float(off.max(initial=0)) / scale
    if not (off > np.maximum(tolerance * scale, CLEAR * estimate)).any():
        return out | {"verdict": "cannot tell" if estimate.max(initial=0) > 1e-3 * scale else "right"}
    worst = np.unravel_index(int(off.argmax()), off.shape)
    out["note"] = relation(name, own, numeric.gradient, at, 100 * tolerance)
    return out | {"at": [int(i) for i in worst], "got": float(own[worst]), "wanted": float(wanted[worst])}


def _array(value: Any) -> Array:
    """Return a copy of somebody's numbers."""
    array = np.array(value.detach().cpu().numpy() if hasattr(value, "detach") else value)
    if array.dtype.kind not in "fciub":
        raise SubjectError(f"a {type(value).__name__} where an array of numbers belongs")
    return array


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
