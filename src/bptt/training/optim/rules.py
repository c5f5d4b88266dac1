"""The optimisers that have a name."""

from dataclasses import dataclass, fields
from typing import Any, ClassVar

from bptt.errors import ConfigError
from bptt.training.optim.optimizer import Optimizer


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent; with momentum, Polyak's (1964) or Nesterov's (1983).

    ::

        p = p - lr*g                        without momentum, and without a slot

        v = momentum*v + g
        p = p - lr*v                        or, nesterov,
        p = p - lr*(g + momentum*v)

    The form is that of Sutskever et al., "On the importance of initialization and momentum in deep learning"
    (ICML 2013), but with lr outside of the velocity, as in PyTorch: a new rate acts at once on all of it.

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
            return ("p = p - lr*g",)
        return "v = momentum*v + g", "p = p - lr*(g + momentum*v)" if self.nesterov else "p = p - lr*v"


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """A rate for each entry by the sum of its squared gradients (Duchi, Hazan and Singer, JMLR 2011).

    eps stands inside of the root, as in min-char-rnn; the paper and PyTorch have it outside. So this is
    PyTorch's with eps=0 and initial_accumulator_value=eps.

    Parameters
    ----------
    eps : float in (0, 1)
    """

    eps: float = 1e-8
    slots = ("s",)
    equations = ("s = s + g**2", "p = p - lr*g/sqrt(s + eps)")


@dataclass(frozen=True)
class RMSProp(Optimizer):
    """A rate for each entry by the running mean of its squared gradients.

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
    equations = ("s = decay*s + (1 - decay)*g**2", "p = p - lr*g/(sqrt(s) + eps)")


@dataclass(frozen=True)
class Adam(Optimizer):
    """Running means of gradient and squared gradient, corrected for their start at zero.

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
    equations: ClassVar[tuple[str, ...]] = (
        "m = beta1*m + (1 - beta1)*g",
        "v = beta2*v + (1 - beta2)*g**2",
        "p = p - lr/(1 - beta1**t)*m/(sqrt(v/(1 - beta2**t)) + eps)",
    )


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with weights that decay on their own, not by way of the gradient's means.

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
    equations: ClassVar[tuple[str, ...]] = ("p = (1 - lr*weight_decay*matrix)*p", *Adam.equations)


OPTIMIZERS: dict[str, type[Optimizer]] = {
    kind.__name__.lower(): kind for kind in (SGD, Adagrad, RMSProp, Adam, AdamW)
}
"""Optimisers by the name that `get` takes: sgd, adagrad, rmsprop, adam, adamw."""


def get(name: str, **options: Any) -> Optimizer:
    """Return the optimiser of that name, with those of its hyper-parameters set.

    Raises
    ------
    ConfigError
        For an unknown name or option, or a value that means nothing.

    Examples
    --------
    >>> get("adam", beta2=0.99)
    Adam(beta1=0.9, beta2=0.99, eps=1e-08)
    """
    if name not in OPTIMIZERS:
        raise ConfigError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, got {name!r}")
    known = [field.name for field in fields(OPTIMIZERS[name])]
    if odd := sorted(options.keys() - set(known)):
        raise ConfigError(f"{name}: options are {', '.join(known)}; got {', '.join(odd)}")
    return OPTIMIZERS[name](**options)
