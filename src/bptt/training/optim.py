"""Optimisers and gradient clipping over a flat dict of arrays, in place.

An optimiser is its hyper-parameters and nothing else. What it remembers between updates is a dict of
arrays that the caller holds, so that a checkpoint saves it as it saves the parameters::

    "t"                 updates done, a 0-d int64 array
    "m.layers.0.U"      slot m of the parameter layers.0.U, of its shape and dtype

In the equations ``p`` is a parameter, ``g`` its gradient, ``lr`` the learning rate of this update, ``t``
the number of this update, from 1; products and roots are elementwise, slots start at zero. Arithmetic
stays in the parameter's dtype: the factors are Python floats, which do not promote.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from bptt.errors import ConfigError, ShapeError
from bptt.kernels.backends import Backend, uses_kernels
from bptt.types import Array, Params

BLOCK = 1 << 14
"""Elements worked on at a time, so that an update's equations find their arrays in the cache."""

TINY = float(np.finfo(np.float32).tiny)
"""The least eps: a smaller one is as good as zero in float32."""


@dataclass(frozen=True)
class Optimizer(ABC):
    """What every optimiser does: make its state, and move parameters and state by one update."""

    def __post_init__(self) -> None:
        for option, value in list(vars(self).items()):
            if option == "nesterov":
                continue
            low = TINY if option == "eps" else 0.0
            if not (isinstance(value, int | float | np.floating) and low <= value < 1):
                raise ConfigError(f"{self.name}: {option} must be a number in [{low:g}, 1), got {value!r}")
            # A NumPy scalar would promote float32 arithmetic to float64.
            object.__setattr__(self, option, float(value))

    @property
    def name(self) -> str:
        """The name in `OPTIMIZERS`."""
        return type(self).__name__.lower()

    @property
    def slots(self) -> tuple[str, ...]:
        """What is remembered of each parameter."""
        return ()

    def init(self, params: Params) -> Params:
        """Return the state before the first update: ``t`` and, for each slot and parameter, zeros.

        Parameters
        ----------
        params : dict of real arrays, float32 or wider
        """
        state = {"t": np.zeros((), np.int64)}
        for slot in self.slots:
            state |= {f"{slot}.{name}": np.zeros_like(p, subok=False) for name, p in params.items()}
        return state

    @property
    def equations(self) -> tuple[str, ...]:
        """The update for compiled code: each sets an array's new value, whose name has a 1 after it."""
        return ()

    def numbers(self, t: int, lr: float, p: Array) -> dict[str, float]:
        """Return the numbers in `equations`, at update number t of a parameter."""
        return {"lr": lr}

    def update(
        self, params: Params, grads: Params, state: Params, lr: float, *, backend: Backend = "auto"
    ) -> None:
        """Move `params` and `state` by one update, in place; `grads` are left as they are.

        Parameters
        ----------
        params : dict of real arrays, float32 or wider
        grads : dict of arrays
            One for each parameter, of its shape and dtype. Finite, as `global_norm` tells: a nan stays in
            the state for good.
        state : dict of arrays
            What `init` returned, moved by the updates since.
        lr : float
        backend : "auto", "reference" or "cpu"
            Compiled code goes over the arrays once (see :mod:`bptt.kernels.backends`).

        Raises
        ------
        ShapeError
            If names, shapes or dtypes do not agree; nothing has been moved then.
        """
        self._check(params, grads, state)
        state["t"] += 1
        t, lr = int(state["t"]), float(lr)
        for name, p in params.items():
            arrays = {"p": p, "g": grads[name]} | {slot: state[f"{slot}.{name}"] for slot in self.slots}
            compiles = bool(self.equations) and uses_kernels(backend, p.dtype)
            if compiles and all(a.flags.c_contiguous for a in arrays.values()):
                from bptt.kernels.ops.update import update

                update(self.equations, arrays, self.numbers(t, lr, p))
                continue
            self._before(lr, p)
            for block in _blocks(*arrays.values()):
                self._step(t, lr, block)

    def _before(self, lr: float, p: Array) -> None:
        """Do to a parameter, in place, what comes before its update."""
        return

    @abstractmethod
    def _step(self, t: int, lr: float, arrays: list[Array]) -> None:
        """Do the update number t, in place, on a block of a parameter, its gradient and its slots."""

    def _check(self, params: Params, grads: Params, state: Params) -> None:
        """Raise ShapeError unless grads and state have the names, shapes and dtypes of the parameters."""
        wanted = {f"{slot}.{name}": p for slot in self.slots for name, p in params.items()}
        wanted["t"] = np.zeros((), np.int64)
        for name, p in params.items():
            if p.dtype.kind != "f" or p.dtype.itemsize < 4:
                raise ShapeError(f"{self.name}: {name} must be real, float32 or wider, got {p.dtype}")
        for what, given, like in (("grads", grads, params), ("state", state, wanted)):
            if odd := sorted(given.keys() ^ like.keys()):
                raise ShapeError(f"{self.name}: {what} and parameters differ in {', '.join(odd)}")
            for name, a in like.items():
                b = given[name]
                if (b.shape, b.dtype) != (a.shape, a.dtype):
                    want, got = f"{a.dtype} {a.shape}", f"{b.dtype} {b.shape}"
                    raise ShapeError(f"{self.name}: {what}: {name} must be {want}, got {got}")


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent; with momentum, Polyak's (1964) or Nesterov's (1983).

    ::

        v = momentum v + g
        p = p - lr v                        nesterov: p = p - lr (g + momentum v)

    Without momentum ``p = p - lr g``, and no slot. The form is that of Sutskever et al., "On the
    importance of initialization and momentum in deep learning" (ICML 2013), but with lr outside of the
    velocity, as in PyTorch: a new rate acts at once on all of it.

    Parameters
    ----------
    momentum : float in [0, 1)
    nesterov : bool

    Examples
    --------
    >>> import numpy as np
    >>> params, grads = {"w": np.array([1.0, 2.0])}, {"w": np.array([0.5, -0.5])}
    >>> sgd = SGD(momentum=0.9)
    >>> state = sgd.init(params)
    >>> sgd.update(params, grads, state, lr=0.1)
    >>> params["w"], sorted(state)
    (array([0.95, 2.05]), ['t', 'v.w'])
    """

    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.nesterov, bool):
            raise ConfigError(f"sgd: nesterov must be True or False, got {self.nesterov!r}")
        if self.nesterov and not self.momentum:
            raise ConfigError("sgd: nesterov needs a momentum above 0, got 0; 0.9 is common")

    @property
    def slots(self) -> tuple[str, ...]:
        """The velocity, where there is momentum."""
        return ("v",) if self.momentum else ()

    @property
    def equations(self) -> tuple[str, ...]:
        """As above."""
        if not self.momentum:
            return ("p1 = p - lr*g",)
        return "v1 = momentum*v + g", "p1 = p - lr*(g + momentum*v1)" if self.nesterov else "p1 = p - lr*v1"

    def numbers(self, t: int, lr: float, p: Array) -> dict[str, float]:
        """Return lr and the momentum."""
        return {"lr": lr, "momentum": self.momentum}

    def _step(self, t: int, lr: float, arrays: list[Array]) -> None:
        p, g, *slots = arrays
        for v in slots:
            v *= self.momentum
            v += g
            g = g + self.momentum * v if self.nesterov else v
        p -= lr * g


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """A rate for each entry by the sum of its squared gradients (Duchi, Hazan and Singer, JMLR 2011).

    ::

        s = s + g²
        p = p - lr g / √(s + eps)

    eps stands inside of the root, as in min-char-rnn; the paper and PyTorch have it outside. So this is
    PyTorch's with eps=0 and initial_accumulator_value=eps.

    Parameters
    ----------
    eps : float in (0, 1)
    """

    eps: float = 1e-8
    slots = ("s",)
    equations = ("s1 = s + g*g", "p1 = p - lr*g/sqrt(s1 + eps)")

    def numbers(self, t: int, lr: float, p: Array) -> dict[str, float]:
        """Return lr and eps."""
        return {"lr": lr, "eps": self.eps}

    def _step(self, t: int, lr: float, arrays: list[Array]) -> None:
        p, g, s = arrays
        s += g * g
        p -= lr * g / np.sqrt(s + self.eps)


@dataclass(frozen=True)
class RMSProp(Optimizer):
    """A rate for each entry by the running mean of its squared gradients.

    ::

        s = decay s + (1 - decay) g²
        p = p - lr g / (√s + eps)

    Tieleman and Hinton, "Lecture 6.5: rmsprop" (Coursera, 2012), where there is no eps; outside of the
    root it stands in Torch and PyTorch too. What PyTorch calls alpha, 0.99 unless told, is decay.

    Parameters
    ----------
    decay : float in [0, 1)
    eps : float in (0, 1)
    """

    decay: float = 0.9
    eps: float = 1e-8
    slots = ("s",)
    equations = ("s1 = decay*s + new*g*g", "p1 = p - lr*g/(sqrt(s1) + eps)")

    def numbers(self, t: int, lr: float, p: Array) -> dict[str, float]:
        """Return lr, decay and eps."""
        return {"lr": lr, "decay": self.decay, "new": 1 - self.decay, "eps": self.eps}

    def _step(self, t: int, lr: float, arrays: list[Array]) -> None:
        p, g, s = arrays
        s *= self.decay
        s += (1 - self.decay) * (g * g)
        p -= lr * g / (np.sqrt(s) + self.eps)


@dataclass(frozen=True)
class Adam(Optimizer):
    """Running means of gradient and squared gradient, corrected for their start at zero.

    ::

        m = beta1 m + (1 - beta1) g                     m̂ = m / (1 - beta1ᵗ)
        v = beta2 v + (1 - beta2) g²                    v̂ = v / (1 - beta2ᵗ)
        p = p - lr m̂ / (√v̂ + eps)

    Kingma and Ba, "Adam: a method for stochastic optimization" (ICLR 2015), algorithm 1.

    Parameters
    ----------
    beta1, beta2 : float in [0, 1)
    eps : float in (0, 1)
    """

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    slots = ("m", "v")
    equations = (
        "m1 = beta1*m + new1*g",
        "v1 = beta2*v + new2*g*g",
        "p1 = keep*p - rate*m1/(sqrt(v1/whole) + eps)",
    )

    def numbers(self, t: int, lr: float, p: Array) -> dict[str, float]:
        """Return the means' factors, what they sum to by now, and what a parameter keeps of itself."""
        return {
            "beta1": self.beta1,
            "beta2": self.beta2,
            "new1": 1 - self.beta1,
            "new2": 1 - self.beta2,
            "eps": self.eps,
            "rate": lr / (1 - self.beta1**t),
            "whole": 1 - self.beta2**t,
            "keep": self._keep(lr, p),
        }

    def _keep(self, lr: float, p: Array) -> float:
        return 1.0

    def _step(self, t: int, lr: float, arrays: list[Array]) -> None:
        p, g, m, v = arrays
        m *= self.beta1
        m += (1 - self.beta1) * g
        v *= self.beta2
        v += (1 - self.beta2) * (g * g)
        p -= lr / (1 - self.beta1**t) * m / (np.sqrt(v / (1 - self.beta2**t)) + self.eps)


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with weights that decay on their own, not by way of the gradient's means.

    ::

        p = (1 - lr weight_decay) p                     for p of two dimensions and more
        m, v, p as in Adam

    Matrices decay (embedding, W, U, output); vectors, the biases, do not: a forget gate's bias of 1 is
    meant. Loshchilov and Hutter, "Decoupled weight decay regularization" (ICLR 2019), algorithm 2, but
    the decay is by the whole lr, as in PyTorch, where the paper's is by the schedule's factor alone.

    Parameters
    ----------
    beta1, beta2 : float in [0, 1)
    eps : float in (0, 1)
    weight_decay : float in [0, 1)
    """

    weight_decay: float = 0.01

    def _keep(self, lr: float, p: Array) -> float:
        return 1 - lr * self.weight_decay if p.ndim >= 2 else 1.0

    def _before(self, lr: float, p: Array) -> None:
        p *= self._keep(lr, p)


OPTIMIZERS: dict[str, type[Optimizer]] = {
    kind.__name__.lower(): kind for kind in (SGD, Adagrad, RMSProp, Adam, AdamW)
}
"""Optimisers by the name that `make` takes: sgd, adagrad, rmsprop, adam, adamw."""


def make(name: str, **options: Any) -> Optimizer:
    """Return the optimiser of that name, with those of its hyper-parameters set.

    Raises
    ------
    ConfigError
        For an unknown name or option, or a value that means nothing.

    Examples
    --------
    >>> make("adam", beta2=0.99)
    Adam(beta1=0.9, beta2=0.99, eps=1e-08)
    """
    if name not in OPTIMIZERS:
        raise ConfigError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, got {name!r}")
    known = [field.name for field in fields(OPTIMIZERS[name])]
    if odd := sorted(options.keys() - set(known)):
        raise ConfigError(f"{name}: options are {', '.join(known)}; got {', '.join(odd)}")
    return OPTIMIZERS[name](**options)


def clip_values(grads: Params, limit: float) -> int:
    """Clip each entry to [-limit, limit], in place, and return how many were beyond; nan stays nan.

    Parameters
    ----------
    grads : dict of real arrays
    limit : float above 0
        ConfigError if it is not. inf clips nothing.

    Examples
    --------
    >>> import numpy as np
    >>> grads = {"w": np.array([-7.0, 0.5, 6.0])}
    >>> clip_values(grads, 5.0), grads["w"]
    (2, array([-5. ,  0.5,  5. ]))
    """
    limit, clipped = _positive(limit), 0
    with np.errstate(over="ignore"):  # a limit beyond float32 is inf there
        for block in _all_blocks(grads):
            clipped += int(np.count_nonzero(np.abs(block) > limit))
            np.clip(block, -limit, limit, out=block)
    return clipped


def clip_norm(grads: Params, limit: float, backend: Backend = "auto") -> float:
    """Scale all gradients by limit / max(limit, ‖g‖), in place, and return the norm ‖g‖ before.

    Where the norm is inf or nan the gradients stay as they are: no factor mends them. Pascanu, Mikolov
    and Bengio, "On the difficulty of training recurrent neural networks" (ICML 2013).

    Parameters
    ----------
    grads : dict of real arrays
    limit : float above 0
        ConfigError if it is not. inf scales nothing.

    Examples
    --------
    >>> import numpy as np
    >>> grads = {"U": np.array([[3.0]]), "b": np.array([4.0])}
    >>> clip_norm(grads, 1.0), grads
    (5.0, {'U': array([[0.6]]), 'b': array([0.8])})
    """
    limit, norm = _positive(limit), global_norm(grads, backend)
    if limit < norm < math.inf:
        for g in grads.values():
            g *= limit / norm
    return norm


def global_norm(arrays: Params, backend: Backend = "auto") -> float:
    """Return the l2 norm of all entries of all arrays together; nan if any of them is.

    Summed in float64 and in units of the largest entry, so that no square overflows, and to the same
    bits whatever the number of threads and the order of the names.

    Examples
    --------
    >>> import numpy as np
    >>> global_norm({"U": np.full((2, 2), 2.0**126, np.float32)}) == 2.0**127
    True
    """
    if arrays and all(
        a.flags.c_contiguous and a.dtype == np.float32 and uses_kernels(backend, a.dtype)
        for a in arrays.values()
    ):
        from bptt.kernels.ops.update import sum_of_squares

        # of float32 no square overflows a float64
        return math.sqrt(math.fsum(part for array in arrays.values() for part in sum_of_squares(array)))
    peak = float(np.max([0.0, *(np.abs(block).max() for block in _all_blocks(arrays))]))
    if peak == 0 or not math.isfinite(peak):
        return peak
    scaled = (np.divide(block.astype(np.float64), peak) for block in _all_blocks(arrays))
    return peak * math.sqrt(math.fsum(np.square(block).sum() for block in scaled))


def _positive(limit: float) -> float:
    if not limit > 0:
        raise ConfigError(f"clip: limit must be above 0, got {limit!r}; to clip nothing, leave it out")
    return float(limit)


def _all_blocks(arrays: Params) -> Iterator[Array]:
    return (block for array in arrays.values() for (block,) in _blocks(array))


def _blocks(*arrays: Array) -> Iterator[list[Array]]:
    """Yield the same `BLOCK` elements of each array at a time; whole arrays if one has gaps."""
    if not all(array.flags.c_contiguous for array in arrays):
        yield list(arrays)
        return
    flat = [array.reshape(-1) for array in arrays]
    for start in range(0, flat[0].size, BLOCK):
        yield [array[start : start + BLOCK] for array in flat]
