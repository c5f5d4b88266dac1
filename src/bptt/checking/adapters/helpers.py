"""For adapters: the parameters that an object, a module or a dict holds, drawn and put in; their gradients.

An adapter for a network that updates its own weights::

    from theirs import RNN
    from bptt.checking import change, put, weights

    def subject(rng, T, D, H, V):
        net, x, y = RNN(D, V, H), rng.normal(size=(T, D, 1)), rng.normal(size=(V, 1))

        def run(**at):
            put(net, at)
            out, _ = net.forward(x)
            net.backprop(out - y, learn_rate=1.0)
            return ((out - y) ** 2).sum() / 2, change(net, at)

        return weights(net, rng), run

Where it keeps its gradients, ``gradients(net, at)`` stands for ``change(net, at)``.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from bptt.checking.adapters import graph
from bptt.checking.adapters.calls import Path
from bptt.types import Array, Generator, Params


def weights(thing: Any, rng: Generator, scale: float = 0.5) -> Params:
    """Return random arrays in the shapes of those that a thing holds, by their names.

    Parameters
    ----------
    thing : object, module or dict
        Arrays are looked for in objects within it, too.
    rng : Generator
    scale : float
        The standard deviation.

    Examples
    --------
    >>> import numpy as np
    >>> drawn = weights({"W": np.zeros((2, 3)), "cell": {"b": np.zeros(3)}}, np.random.default_rng(0))
    >>> {name: array.shape for name, array in drawn.items()}
    {'W': (2, 3), 'b': (3,)}
    """
    return {
        name: rng.normal(0, scale, graph.at(_root(thing), path).shape) for name, path in _paths(thing).items()
    }


def put(thing: Any, at: Params) -> Any:
    """Put copies of arrays where a thing holds those of their names, and return it."""
    for name, path in _paths(thing).items():
        if name in at:
            graph.put(_root(thing), path, at[name].copy())
    return thing


def unroll(step: Callable[..., Any], x: Array, *states: Any) -> Array:
    """Return the first state after each step of ``step(x[t], *states) -> states, ...``, time first.

    Examples
    --------
    >>> import numpy as np
    >>> unroll(lambda x, h: (h + x, "cache"), np.array([1.0, 2.0]), 0.0)
    array([1., 3.])
    """
    first = []
    for one in x:
        returned = step(one, *states)
        states = returned[: len(states)] if isinstance(returned, tuple) else (returned,)
        first.append(states[0])
    return np.array(first)


def gradients(thing: Any, at: Params) -> Params:
    """Return the gradients that a thing holds: dW, W_grad, grads["W"] or W.d for its W.

    Parameters
    ----------
    thing : object, module or dict
    at : dict of arrays
        What was put in.

    Examples
    --------
    >>> import numpy as np
    >>> gradients({"W": np.ones(1), "dW": np.array([3.0])}, {"W": np.ones(1)})
    {'W': array([3.])}
    """
    held, found = dict(graph.arrays(_root(thing), again=True)), {}
    for name, path in _paths(thing).items():
        sure, best = max(
            ((graph.is_gradient_of(q, path), q) for q in held), key=lambda f: f[0], default=(0, ())
        )
        if name in at and sure:
            found[name] = held[best].copy()
    return found


def change(thing: Any, at: Params, rate: float = 1.0) -> Params:
    """Return by how much a thing's arrays went down from those of a point, over the learning rate.

    Parameters
    ----------
    thing : object, module or dict
    at : dict of arrays
        What was put in.
    rate : float
        Negative where its steps go up.
    """
    held = {name: graph.at(_root(thing), path) for name, path in _paths(thing).items()}
    return {name: (array - held[name]) / rate for name, array in at.items() if name in held}


def _root(thing: Any) -> Any:
    return vars(thing) if isinstance(thing, ModuleType) else thing


def _paths(thing: Any) -> dict[str, Path]:
    found: dict[str, Path] = {}
    held = [path for path, a in graph.arrays(_root(thing)) if a.dtype.kind in "fc" and a.ndim]
    for path in held:
        beside = path[-1] not in graph.VALUE and any(
            o[:-1] == path[:-1] and o[-1] in graph.VALUE for o in held
        )
        if not beside and not any(graph.is_gradient_of(path, other) > 1 for other in held if other != path):
            found.setdefault(graph.label(path) or str(path[-1]), path)
    return found
