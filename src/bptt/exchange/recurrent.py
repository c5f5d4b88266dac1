"""Recurrent layers in the names and shapes of PyTorch's modules.

Whatever a module is called, nn.LSTM, GRU and RNN name their parameters ``weight_ih_l0`` and so on (their
cells without the ``_l0``), and the shapes say sizes, gates and directions.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from bptt.cells import Cell
from bptt.errors import ConfigError, ShapeError
from bptt.exchange.counterparts import Counterpart, in_system
from bptt.layer.shapes import layer_shapes
from bptt.nets.conventions import from_system
from bptt.nets.stack import MOST_LAYERS, Stack
from bptt.types import Array, BiasCount, Params
from bptt.zoo import get

GATES = {4: "lstm", 3: "gru", 1: "rnn"}
"""The cells by their number of gates."""

_PART = re.compile(r"(?:(.*)\.)?((?:weight|bias)_(?:ih|hh|hr))(?:_l(\d{1,9})(_reverse)?)?")


def recurrent(arrays: dict[str, Array], asked: str | Cell | None) -> tuple[Stack, Params, dict[str, Array]]:
    """Return the recurrent layers, their parameters, and the arrays that are not theirs; empty the dict.

    The cell is the one that is asked for, or else an LSTM, a GRU or an RNN of tanh, by the number of gates.
    ConfigError if there are no layers, or such as bptt does not have; ShapeError if they do not fit.
    """
    modules: dict[str, dict[tuple[int, bool], dict[str, Array]]] = {}
    rest: dict[str, Array] = {}
    for name in list(arrays):
        array = arrays.pop(name)  # they may be large, and are held no longer than they are wanted
        if found := _PART.fullmatch(name):
            of, part, layer, way = found.groups()
            modules.setdefault(of or "", {}).setdefault((int(layer or 0), bool(way)), {})[part] = array
        else:
            rest[name] = array
    if not modules:
        raise ConfigError(
            "it has no weight_hh_l0: what is read is the state of a module with nn.LSTM, nn.GRU or nn.RNN; "
            f"it has {some(rest)}"
        )
    if len({re.sub(r"\d+", "", of) for of in modules}) > 1:
        raise ConfigError(
            f"it has several recurrent modules, {some(modules)}, and a model of bptt has one: write the "
            "entries of one into a file of their own"
        )
    for of, each in modules.items():
        _expect_whole(of, each)
    flat: list[tuple[str, dict[bool, dict[str, Array]]]] = []
    for of in sorted(modules, key=lambda of: [(len(digits), digits) for digits in re.findall(r"\d+", of)]):
        for k in range(len({k for k, _ in modules[of]})):
            directions = {way: modules[of][k, way] for way in (False, True) if (k, way) in modules[of]}
            flat.append((f"{of}, layer {k}".lstrip(", "), directions))
    if len(flat) > MOST_LAYERS:
        raise ConfigError(f"it has {len(flat):,} layers; at most {MOST_LAYERS:,} are read")
    ways, H, cell = set(flat[0][1]), 0, None
    known: dict[str, Params] = {}
    for k, (where, directions) in enumerate(flat):
        if set(directions) != ways or False not in ways:
            raise ConfigError(f"{where}: bptt's layers have both directions, or all have the forward one")
        for reverse in (False, True)[: len(ways)]:
            parts = directions[reverse]
            if cell is None:
                H, cell = _cell(parts, where, asked)
            try:
                layer = from_system(cell.known, parts, "pytorch")
                parts.clear()
            except (ConfigError, ShapeError) as error:
                raise type(error)(f"{where}: {error}") from None
            D = H * len(ways) if k else len(layer["W"])
            if layer["W"].shape[0] != D or len(layer["U"]) != H:
                sizes = f"{len(layer['W'])} inputs and {len(layer['U'])} units"
                raise ConfigError(f"{where} has {sizes}; above {H} units bptt has {H} again, of {D} inputs")
            known[f"layers.{k}.{'reverse.' * reverse}"] = layer
    assert cell is not None
    if (own := assemble(cell, known)) is None:
        raise ConfigError(f"its weights are not those that a {cell.cell.name} has in PyTorch")
    bias, params = own
    D = len(known["layers.0."]["W"])
    stack = Stack(cell.cell, D, H, len(flat), len(ways) == 2, bias)
    return stack, params, rest


def _expect_whole(module: str, layers: Mapping[tuple[int, bool], Mapping[str, Array]]) -> None:
    """Raise a ConfigError where a module lacks what PyTorch's would have: read without it, it is another."""
    names = {name for parts in layers.values() for name in parts} - {"weight_hr"}
    for pair in ("weight_ih", "weight_hh"), ("bias_ih", "bias_hh"):
        if len(names & {*pair}) == 1:
            names |= {*pair}
    ways = {way for _, way in layers}
    for k, way in ((k, way) for k in range(max(k for k, _ in layers) + 1) for way in ways):
        if lacks := sorted(names - layers.get((k, way), {}).keys(), reverse=True):
            name = f"{lacks[0]}_l{k}{'_reverse' * way}"
            more = f" and {len(lacks) - 1} more" * (len(lacks) > 1)
            raise ConfigError(f"it lacks {f'{module}.{name}'.lstrip('.')}{more}, which PyTorch's layer has")


def _cell(parts: Mapping[str, Array], where: str, asked: str | Cell | None) -> tuple[int, Counterpart]:
    """Return H and the cell that a layer is of, by the shape of its weight_hh."""
    if "weight_hr" in parts:
        raise ConfigError(f"{where} has a projection (proj_size), which no cell of bptt has")
    shape = parts["weight_hh"].shape if "weight_hh" in parts else ()
    if len(shape) != 2 or not shape[1] or shape[0] % shape[1] or shape[0] // shape[1] not in GATES:
        raise ShapeError(
            f"{where}: weight_hh must be (4H, H) of an LSTM, (3H, H) of a GRU or (H, H) of an RNN, "
            f"got {shape or 'none'}"
        )
    gates = shape[0] // shape[1]
    found = in_system(get(asked or GATES[gates]), "pytorch", "PyTorch")
    if len(found.known.from_x) != gates:
        raise ConfigError(f"{where} has {gates} gates, as {GATES[gates]} has, and is no {found.cell.name}")
    return shape[1], found


def assemble(
    found: Counterpart, layers: Mapping[str, Params], biases: Sequence[BiasCount] | None = None
) -> tuple[BiasCount, Params] | None:
    """Return the biases and parameters of a cell's layers, from those of the known cell by their prefixes.

    A second bias that is zero everywhere is none, unless `biases` says how many there are. None where they
    are no layers of the counterpart's cell.
    """
    if biases is None:
        has = any(layer.keys() & {"b", "b_h"} for layer in layers.values())
        biases = ["one", "two"] if has else ["none"]
    for bias in biases:
        params: Params = {}
        for prefix, layer in layers.items():
            D, H = len(layer["W"]), len(layer["U"])
            whole = layer_shapes(found.known, D, H, "none" if bias == "none" else "two")
            zeros = {name: np.zeros(shape, layer["W"].dtype) for name, shape in whole.items()}
            own = found.back(
                zeros | layer, layer_shapes(found.cell, D, H, bias if found.cell.bias else "none")
            )
            if own is None:
                break
            params |= {prefix + name: array for name, array in own.items()}
        else:
            return bias, params
    return None


def some(arrays: Mapping[str, object]) -> str:
    """Return some names, with the shapes of arrays."""
    shown = [f"{name:.80} {getattr(array, 'shape', '')}".rstrip() for name, array in arrays.items()]
    return ", ".join(shown[:5]) + (f" and {len(shown) - 5:,} others" if len(shown) > 5 else "")
