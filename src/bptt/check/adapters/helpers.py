"""For adapters: the parameters that an object, a module or a dict holds, drawn, put in, and seen to change.

An adapter for a network that updates its own weights::

    from theirs import RNN
    from bptt.check.adapters.helpers import change, put, weights

    def subject(rng, T, D, H, V):
        net, x, y = RNN(D, V, H), rng.normal(size=(T, D, 1)), rng.normal(size=(V, 1))

        def run(**at):
            put(net, at)
            out, _ = net.forward(x)
            net.backprop(out - y, learn_rate=1.0)
            return ((out - y) ** 2).sum() / 2, change(net, at)

        return weights(net, rng), run
"""

from types import ModuleType
from typing import Any

from bptt.check.adapters import graph
from bptt.check.adapters.calls import Path
from bptt.types import Generator, Params


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


def put(thing: Any, at: Params) -> None:
    """Put copies of arrays where a thing holds those of their names."""
    for name, path in _paths(thing).items():
        if name in at:
            graph.put(_root(thing), path, at[name].copy())


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
    for path, array in graph.arrays(_root(thing)):
        if array.dtype.kind in "fc" and array.ndim:
            found.setdefault(graph.label(path) or str(path[-1]), path)
    return found
