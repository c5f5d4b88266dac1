"""`check`: an example that is a function, or a function that returns a loss and its gradients."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from bptt.checking.direct.numeric import Numeric, numerical_gradient
from bptt.checking.direct.relations import relation
from bptt.checking.file import SubjectError
from bptt.checking.report import Report, text, worst
from bptt.types import Array, Params

Given: TypeAlias = Mapping[str, Any] | Sequence[Any]

TOLERANCE = {"complex step": 1e-9, "central differences": 1e-6}
"""How far a gradient may be from the numerical one, next to that tensor's largest entry."""

SINGLE = 2e-4
"""The same for gradients in single precision."""

CLEAR = 10.0
"""A difference is clear where it is this many times the estimate of the numerical gradient's error."""


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
        For an example: how long mends are looked for.

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
    if params is not None:
        return _Function(function, params).report(np.random.default_rng(seed))
    from bptt.checking.direct.example import example_of
    from bptt.checking.examine import check_source

    with example_of(function) as (source, example):
        report = check_source(source, example, seed=seed, seconds=seconds)
    name = getattr(function, "__name__", "")
    report.origin = "a lambda" if name == "<lambda>" else str(name or "a function")
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


class _Function:
    """A function of named arrays, of whatever library."""

    def __init__(self, function: Callable[..., Any], params: Given) -> None:
        self.function, self.name = function, str(getattr(function, "__name__", type(function).__name__))
        self.kind = None if isinstance(params, Mapping) else type(params)
        named = dict(params) if isinstance(params, Mapping) else {f"[{k}]": p for k, p in enumerate(params)}
        self.torch = sys.modules.get("torch")
        is_tensor = self.torch is not None and any(isinstance(p, self.torch.Tensor) for p in named.values())
        self.torch = self.torch if is_tensor else None
        self.at = {key: _array(value).copy() for key, value in named.items()}
        if not self.at:
            raise SubjectError(f"{self.name}: there are no parameters to judge the gradients at")
        for key, array in self.at.items():
            if array.dtype.kind != "f":
                raise SubjectError(
                    f"{self.name}: {key} must be a real array, got {array.dtype} {array.shape}"
                )
        if self.torch:
            self.at = {key: array.astype(np.float64) for key, array in self.at.items()}

    def _call(self, at: Params, grad: bool = False) -> tuple[Any, Any]:
        """Return the loss and what comes with it, at copies of the arrays."""
        held: dict[str, Any] = {key: array.copy() for key, array in at.items()}
        if self.torch:
            held = {key: self.torch.tensor(array, requires_grad=grad) for key, array in held.items()}
        given: Any = held if self.kind is None else [held[key] for key in self.at]
        try:
            result = self.function(tuple(given) if self.kind is tuple else given)
            if self.torch and isinstance(result, self.torch.Tensor):
                return result, self._backward(result, held) if grad else ()
        except Exception as error:
            says = " ".join(str(error).split())
            raise SubjectError(f"{self.name}: {type(error).__name__}: {says}") from error
        if not isinstance(result, tuple) or len(result) < 2:
            raise SubjectError(
                f"{self.name} must return (loss, gradients), got {type(result).__name__}; "
                "the gradients in a dict by the parameters' names"
            )
        return result[0], result[1:] if len(result) == len(self.at) + 1 and len(self.at) > 1 else result[1]

    def _backward(self, loss: Any, held: dict[str, Any]) -> dict[str, Any]:
        assert self.torch is not None
        found = self.torch.autograd.grad(loss, list(held.values()), allow_unused=True)
        return {key: g for key, g in zip(held, found, strict=True) if g is not None}

    def loss(self, at: Params) -> Any:
        with self.torch.no_grad() if self.torch else contextlib.nullcontext():
            loss = _array(self._call(at)[0])
        if loss.size != 1:
            raise SubjectError(f"{self.name}: the loss must be one number, got shape {loss.shape}")
        return loss.reshape(())[()]

    def gradients(self) -> Params:
        found = self._call(self.at, grad=True)[1]
        if isinstance(found, Mapping):
            named = {str(key): _array(value) for key, value in found.items()}
            own = {key: next((n for n in _names(key) if n in named), None) for key in self.at}
            out = {key: named[name] for key, name in own.items() if name is not None}
        else:
            arrays = [_array(one) for one in (found if isinstance(found, tuple | list) else [found])]
            if len(arrays) != len(self.at):
                raise SubjectError(f"{self.name}: {len(self.at)} parameters, but {len(arrays)} gradients")
            out = dict(zip(self.at, arrays, strict=True))
        if not out:
            raise SubjectError(f"{self.name} returns no gradient at {', '.join(self.at)}")
        return {key: np.array(array) for key, array in out.items()}

    def report(self, rng: np.random.Generator) -> Report:
        """Return the verdict."""
        losses = [complex(self.loss(self.at)) for _ in range(6)]  # a few, for draws with few outcomes
        report = Report("cannot tell", self.name, loss="the loss that it returns", kind="scalar")
        got, again = self.gradients(), self.gradients()
        if any(one != losses[0] and one == one for one in losses):
            report.reason = (
                "the same numbers give another loss each time (it draws at random, or keeps a state)"
            )
            return report
        at = {key: self.at[key] for key in got}
        numeric = numerical_gradient(lambda moved: self.loss(self.at | moved), at, rng)
        report.gradients = [_judged(key, got, numeric, self.at) for key in got]
        report.verdict = worst([Report(g["verdict"], "") for g in report.gradients])
        missing = [key for key in self.at if key not in got]
        report.gradients += [{"name": key, "verdict": "not given", "error": 0.0} for key in missing]
        if "cannot tell" in {g["verdict"] for g in report.gradients}:
            report.reason = report.reason or _unclear(got, numeric)
        if not all(np.array_equal(got[key], again[key], equal_nan=True) for key in got):
            report.notes.append("a second call gives other gradients: they are added to what was there")
        report.notes.append(f"compared with the {numeric.method}")
        return report


def _array(value: Any) -> Array:
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    array = np.asarray(value)
    if array.dtype.kind not in "fciub":
        raise SubjectError(f"a {type(value).__name__} where an array of numbers belongs")
    return array


def _names(key: str) -> Iterator[str]:
    yield from (key, f"d{key}", f"d_{key}", f"grad_{key}", f"{key}_grad", f"g{key}", f"D{key}")


def _judged(name: str, got: Params, numeric: Numeric, at: Params) -> dict[str, Any]:
    """Return the verdict on one gradient."""
    own, wanted, estimate = got[name], numeric.gradient[name], numeric.estimate[name]
    out: dict[str, Any] = {"name": name, "verdict": "wrong", "where": "", "error": np.inf, "note": ""}
    if own.shape != wanted.shape:
        return out | {"note": f"of shape {own.shape}, where {wanted.shape} belongs"}
    largest = max((float(np.abs(g).max(initial=0)) for g in numeric.gradient.values()), default=0.0)
    scale = float(np.abs(wanted).max(initial=0)) or largest or 1.0
    tolerance = SINGLE if own.dtype.itemsize <= 4 else TOLERANCE[numeric.method]
    off = np.abs(np.where(np.isfinite(own), own - wanted, np.inf))
    unsure = float(estimate.max(initial=0)) / scale
    wrong = (off > np.maximum(tolerance * scale, CLEAR * estimate)).any()
    out |= {"error": float(off.max(initial=0)) / scale, "estimate": unsure}
    if not wrong:
        return out | {"verdict": "cannot tell" if unsure > 1e-3 else "right"}
    index = np.unravel_index(int(off.argmax()), off.shape)
    note = relation(name, own, numeric.gradient, at, 100 * tolerance)
    return out | {
        "at": [int(i) for i in index],
        "got": float(own[index]),
        "wanted": float(wanted[index]),
        "note": note,
    }


def _unclear(got: Params, numeric: Numeric) -> str:
    if any(g.dtype.itemsize <= 4 for g in got.values()):
        return "the code computes in single precision, where differences are too coarse to decide"
    if numeric.method == "central differences":
        return "the loss has a kink (an absolute value, a relu, a clip) within the smallest step, or noise"
    return "the loss is not finite near this point"
