"""The state of somebody's PyTorch module, read by PyTorch's own names and by shapes.

The recurrent layers are found by PyTorch's own names (:mod:`bptt.exchange.recurrent`); what is left must be
an embedding at most, and a linear output, whatever they are called.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bptt.cells import Cell
from bptt.errors import ConfigError, ShapeError
from bptt.exchange.content import Content
from bptt.exchange.recurrent import recurrent, some
from bptt.nets.model import Model, expect_params
from bptt.nets.pool import PoolName
from bptt.nets.stack import Stack
from bptt.types import Array, Params

WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_forward_module"}
"""What stands in names where a module is wrapped: by DataParallel, by a compilation, by weight-drop."""

_BIAS = re.compile(r"(bias|(^|[._])b)$", re.IGNORECASE)
_EMBEDS = re.compile(r"emb|wte|lookup|encoder|tok", re.IGNORECASE)
_WRITES = re.compile(r"dec|out|head|fc|lin|proj|logit|class|gener", re.IGNORECASE)


@dataclass(frozen=True)
class Told:
    """What a state does not say.

    Attributes
    ----------
    cell : str, Cell or None
        By default an LSTM, a GRU or an RNN of tanh, by the number of gates.
    pool : "last", "mean" or None
    numbers : bool
        Whether the input is numbers, where there is no embedding and as many inputs as outputs.
    """

    cell: str | Cell | None = None
    pool: PoolName | None = None
    numbers: bool = False


def recognised(arrays: dict[str, Array], metadata: Mapping[str, str], told: Told) -> Content:
    """Return the model that a state is of.

    Parameters
    ----------
    arrays : dict of arrays
        By the state's names; the dict is emptied.
    metadata : dict of str
        The file's: where a file names an array that it holds by another name, it says so there.
    told : Told

    Raises
    ------
    ConfigError
        If it holds what no model of bptt has.
    ShapeError
        If its arrays do not fit each other.
    """
    shared = {name: arrays[own] for name, own in metadata.items() if own in arrays and name not in arrays}
    plain = _plain({**arrays, **shared})
    for held in (arrays, shared):
        held.clear()
    stack, params, rest = recurrent(plain, told.cell)
    embedding, output, bias = _ends(rest, stack)
    tied = output is None or (embedding is not None and _same(embedding, output))
    output = embedding if output is None else output
    assert output is not None
    if embedding is not None:
        params["embedding"] = embedding
    if not tied:
        params["output.W"] = np.ascontiguousarray(output.T)
    if bias is not None:
        params["output.b"] = bias
    K, D = len(output), stack.inputs
    is_tokens = embedding is not None or (D == K > 1 and not told.numbers)
    model = Model(
        inputs=D if embedding is None else len(embedding),
        outputs=K,
        hidden=stack.hidden,
        cell=stack.cell,
        layers=stack.layers,
        token_inputs=is_tokens,
        embedding=None if embedding is None else D,
        tied=tied,
        bidirectional=stack.bidirectional,
        bias=stack.bias,
        output_bias=bias is not None,
        pool=told.pool,
        loss="cross_entropy" if is_tokens else "squared_error",
    )
    expect_params(params, model.shapes)
    return Content(model, {name: params[name] for name in model.shapes}, None, {})


def layers(arrays: Mapping[str, Any], cell: str | Cell | None = None) -> tuple[Stack, Params]:
    """Return the recurrent layers of a PyTorch module's state, whatever else it holds.

    Parameters
    ----------
    arrays : dict of arrays
        By PyTorch's names, with whatever stands before them; arrays, or tensors on the CPU.
    cell : str or Cell, optional
        By default an LSTM, a GRU or an RNN of tanh, by the number of gates.

    Returns
    -------
    Stack, dict of arrays
        The layers, and their parameters as the stack names them.

    Raises
    ------
    ConfigError
        If there are none, or such as bptt does not have.
    ShapeError
        If they do not fit each other.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> state = {"rnn.weight_ih_l0": rng.normal(size=(12, 5)), "rnn.weight_hh_l0": rng.normal(size=(12, 4))}
    >>> stack, params = layers(state)
    >>> stack.cell.name, stack.hidden, {name: array.shape for name, array in params.items()}
    ('gru', 4, {'layers.0.W': (5, 12), 'layers.0.U': (4, 12)})
    """
    stack, params, _ = recurrent(_plain({name: np.asarray(array) for name, array in arrays.items()}), cell)
    return stack, params


def _ends(rest: Mapping[str, Array], stack: Stack) -> tuple[Array | None, Array | None, Array | None]:
    """Return the embedding, the output's matrix and its bias, of what is beside the layers."""
    matrices = {name: array for name, array in rest.items() if array.ndim == 2}
    biases = {name: array for name, array in rest.items() if array.ndim == 1 and _BIAS.search(name)}
    writes = {name for name in matrices if re.sub("weight$", "bias", name) in biases}  # no embedding has one
    if not rest:
        raise ConfigError("it has recurrent layers alone: from Python bptt.exchange.layers reads them")
    if len(matrices) not in (1, 2) or len(biases) > 1 or len(matrices) + len(biases) < len(rest):
        raise ConfigError(
            f"it has {some(rest)} beside its layers, and a model of bptt has an embedding at most, and one "
            "linear output: from Python bptt.exchange.layers reads the layers alone"
        )
    fits: dict[tuple[str | None, str | None], int] = {}
    for below in (*(matrices.keys() - writes), None):
        for above in (*matrices, None):
            if (
                below != above
                and {below, above} - {None} == matrices.keys()
                and (below is None or matrices[below].shape[1] == stack.inputs)
                and (above is None or matrices[above].shape[1] == stack.width)
                and (above is not None or stack.inputs == stack.width)
            ):
                fits[below, above] = _hint(below) - _hint(above)
    if not fits:
        sizes = f"(V, D = {stack.inputs}) of an embedding or (K, H = {stack.width}) of an output"
        raise ShapeError(f"it has {some(rest)}, and what fits its layers are {sizes}")
    best = max(fits.values())
    below, above = next(names for names, hint in fits.items() if hint == best)
    if list(fits.values()).count(best) > 1 and not (
        below and above and _same(matrices[below], matrices[above])
    ):
        either = " or ".join(matrices)
        raise ConfigError(f"is {either} the embedding? name it embedding.weight, and the other output.weight")
    embedding, output = (None if name is None else matrices[name] for name in (below, above))
    bias = next(iter(biases.values()), None)
    K = len(matrices[above or below or ""])
    if bias is not None and len(bias) != K:
        raise ShapeError(f"{next(iter(biases))} must be (K,) = ({K},), got {bias.shape}")
    return embedding, output, bias


def _hint(name: str | None) -> int:
    """Return whether a name is that of an embedding, 1, or of an output, -1; 0 where it says neither."""
    return 0 if name is None else bool(_EMBEDS.search(name)) - bool(_WRITES.search(name))


def _same(a: Array, b: Array) -> bool:
    return a.shape == b.shape and np.array_equal(a, b)


def _plain(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the arrays by their names without wrappers, and made of what norms and pruning keep for them."""
    found: dict[str, Array] = {}
    for name, array in arrays.items():
        parts = name.split(".")
        short = ".".join(part for part in parts[:-1] if part not in WRAPPERS)
        short = f"{short}.{parts[-1]}".lstrip(".")
        if short in found and not np.array_equal(found[short], array):
            raise ConfigError(f"it has two different arrays {short:.200}")
        found[short] = array
    for name in list(found):
        for (first, *more), make in _MADE:
            stem = name.removesuffix(first)
            if stem != name and {name, *(stem + other for other in more)} <= found.keys():
                plain = stem.replace("parametrizations.", "")
                found[plain] = make(plain, found.pop(name), *(found.pop(stem + other) for other in more))
    for name in list(found):
        if name.endswith("_raw"):
            found[name.removesuffix("_raw")] = found.pop(name)
    return found


def _normed(name: str, g: Array, v: Array) -> Array:
    """Return g v / |v|, which weight norm makes of its two arrays."""
    axes = tuple(axis for axis in range(v.ndim) if g.ndim != v.ndim or g.shape[axis] == 1)
    norm = np.sqrt((v * v).sum(axis=axes, keepdims=True))
    if g.ndim not in (0, v.ndim) or not norm.all() or (g.ndim and g.shape != norm.shape):
        raise ShapeError(f"{name:.200}: weight norm's two arrays do not fit: {g.shape} and {v.shape}")
    return np.asarray(v * (g / norm), v.dtype)


def _spectral(name: str, W: Array, u: Array, v: Array) -> Array:
    """Return W / (u · W v), which spectral norm makes of its arrays where it does not learn."""
    rows = W.reshape(len(W), -1)
    sigma = u @ (rows @ v) if u.shape == (len(W),) and v.shape == rows.shape[1:] else 0.0
    if not sigma:
        raise ShapeError(
            f"{name:.200}: spectral norm's arrays do not fit: {W.shape}, {u.shape} and {v.shape}"
        )
    return np.asarray(W / sigma, W.dtype)


def _pruned(name: str, W: Array, mask: Array) -> Array:
    """Return what pruning has left of W."""
    if W.shape != mask.shape:
        raise ShapeError(f"{name:.200}: pruning's mask does not fit: {W.shape} and {mask.shape}")
    return np.asarray(W * mask, W.dtype)


_MADE: tuple[tuple[tuple[str, ...], Callable[..., Array]], ...] = (
    (("_g", "_v"), _normed),
    ((".original0", ".original1"), _normed),
    (("_orig", "_u", "_v"), _spectral),
    ((".original", ".0._u", ".0._v"), _spectral),
    (("_orig", "_mask"), _pruned),
)
"""How the names of arrays end of which PyTorch makes another at each call, and what it makes."""
