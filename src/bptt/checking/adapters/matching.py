"""Which returned gradient is the gradient of what: by names, by shapes, by order."""

from collections.abc import Callable, Sequence

import numpy as np

from bptt.checking.adapters.calls import Leaf, Path
from bptt.checking.adapters.names import parts, state_name, without_d
from bptt.types import Array, Params


def fitted(gradient: Array, shape: tuple[int, ...]) -> Array:
    """Return a gradient in a shape that differs from its own by axes of one alone; else as it is."""
    if tuple(k for k in gradient.shape if k != 1) == tuple(k for k in shape if k != 1):
        return np.reshape(gradient, shape)
    return gradient


def fits(gradient: Array, shape: tuple[int, ...]) -> bool:
    """Return whether a gradient has a shape, up to axes of one."""
    return fitted(gradient, shape).shape == shape


def match_gradients(
    leaves: Sequence[Leaf], at: Params, roles: dict[str, str], order: Sequence[str]
) -> dict[str, Path]:
    """Return, for each name of the point that has a gradient among `leaves`, the path to it.

    Parameters
    ----------
    leaves : sequence of (path, name, array)
        What a backward returned, by `calls.walk`.
    at : dict of arrays
    roles : dict of str
        The part that each of `at` plays.
    order : sequence of str
        In which the names stand in the signature, for gradients without names.
    """
    found: dict[str, Path] = {}

    def match(alike: Callable[[str, str], bool], shape: bool = True) -> None:
        for path, name, leaf in leaves:
            if path in found.values():
                continue
            for target in order:
                fitting = target not in found and (not shape or fits(leaf, at[target].shape))
                if fitting and alike(without_d(name), target):
                    found[target] = path
                    break

    match(lambda name, target: name == target)
    match(lambda name, target: bool(name) and state_name(name).lower() == state_name(target).lower())
    match(lambda name, target: roles.get(target, "?").rstrip("0") in parts(name)[:1])
    match(lambda name, target: name == target, shape=False)
    match(lambda name, target: name not in ("loss", "cost", "error", "J", "L"))
    return found


def left_over(leaves: Sequence[Leaf], found: dict[str, Path], order: Sequence[str]) -> dict[str, Path]:
    """Return the gradients that have no right shape, where as many are returned as are wanted, by order."""
    left = [path for path, _, _ in leaves if path not in found.values()]
    missing = [target for target in order if target not in found]
    return dict(zip(missing, left, strict=True)) if len(left) == len(missing) else {}


def match_outputs(cotangents: Sequence[str], outputs: dict[str, str]) -> dict[str, str]:
    """Return the output that each cotangent of a backward's signature belongs to.

    Parameters
    ----------
    cotangents : sequence of str
        Names in the backward's signature, in order.
    outputs : dict of str
        The forward's outputs in order, and the part each plays ("h", "c" or "").

    Examples
    --------
    >>> match_outputs(["dc_next", "dh_next"], {"next_h": "h", "next_c": "c"})
    {'dc_next': 'next_c', 'dh_next': 'next_h'}
    """
    found: dict[str, str] = {}

    def match(alike: Callable[[str, str], bool]) -> None:
        for name in cotangents:
            for output in outputs:
                if name not in found and output not in found.values() and alike(without_d(name), output):
                    found[name] = output

    match(lambda name, output: name == output)
    match(lambda name, output: state_name(name).lower() == state_name(output).lower())
    match(lambda name, output: len(output) > 1 and _plain(without_d(name)).startswith(_plain(output)))
    match(lambda name, output: bool(outputs[output]) and outputs[output] in parts(name))
    match(lambda name, output: True)
    return found


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
