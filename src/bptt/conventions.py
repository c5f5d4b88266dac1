"""What other systems call the same parameters: one table, and one piece of code that reads it.

A layer here has W (D, Gx·H), U (H, Gh·H) and the biases b and b_h, with a block of columns for each gate.
Elsewhere the gates come in another order, matrices stand transposed, biases are added up, or a part is
added at run time and not stored. Each row of `LAYOUTS` says so for one system:

=========  ===============  ===========  ================================================================
system     cell             gates        what else
=========  ===============  ===========  ================================================================
pytorch    rnn, lstm, gru   ifgo, rzn    transposed; two biases, of which only the GRU needs both
keras      rnn, lstm, gru   ifgo, zrn    gru is ``reset_after=True``, with two biases; gru-cho is False
cudnn      rnn, lstm, gru   ifgo, rzn    each gate apart, by its ``linLayerID``; two biases
onnx       rnn, lstm, gru   iofg, zrn    gru is ``linear_before_reset=1``; gru-cho is 0
equinox    lstm, gru        ifgo, rzn    one bias, and the GRU's ``bias_n`` inside its reset gate
tf1        lstm             igfo         ``BasicLSTMCell``: one kernel; 1 added to a_f at run time
cs231n     lstm             ifog         the layout here
chainer    lstm             gifo         rows interleaved: the gates of unit 0, then those of unit 1
thinc      lstm             fiog         the flat parameter is these arrays one after the other
dynet      lstm             ifog         ``VanillaLSTMBuilder``: 1 added to a_f at run time
flax       lstm             ifgo         each gate apart; the bias with the recurrent kernel
chung      gru-cho          rzn          z in the opposite sense: h = (1 - z) h_prev + z n
=========  ===============  ===========  ================================================================

``gru`` resets after the recurrent product and ``gru-cho`` before it. These are different functions: a
system that has one of them cannot hold the other.

All conversions are of one layer in one direction. What no table of arrays can say: Keras before version
2.3 had ``hard_sigmoid`` gates, and a reversed layer's outputs are in the order of its steps in Keras but
in the order of its inputs in ONNX and here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np

from bptt.cells import Cell, get
from bptt.errors import ConfigError, ShapeError
from bptt.types import Array, Params


@dataclass(frozen=True)
class Part:
    """One array of a layer, as a system has it.

    Attributes
    ----------
    name : str
    holds : str
        What its rows are: ``W``, ``U``, the bias ``x`` of the input part, the bias ``h`` of the recurrent
        part, or their sum ``b``. Several letters: one below the other.
    axes : str
        Its axes, a word each: rows ``k``, gates ``g``, hidden units ``h``. ``"gh k"`` is (G·H, rows), with
        the units of a gate together; in ``"hg k"`` the gates of a unit are together.
    gates : str
        The gates it has, if not all of the layout's.
    """

    name: str
    holds: str
    axes: str
    gates: str = ""


@dataclass(frozen=True)
class Layout:
    """How a system stores a cell: a row of the table.

    Attributes
    ----------
    system : str
    cells : tuple of str
    gates : str
        The letters of ``Cell.from_x``, in the system's order.
    parts : tuple of Part
        The arrays, in the system's order.
    biases : "together", "always" or "each"
        Whether the biases may be left out: all or none of them, never, or each on its own.
    forget_bias : float or None
        What the system adds to a_f at run time, unless told otherwise.
    negated : str
        Gates that the system has in the opposite sense: 1 - σ(a) = σ(-a).
    """

    system: str
    cells: tuple[str, ...]
    gates: str
    parts: tuple[Part, ...]
    biases: Literal["together", "always", "each"] = "together"
    forget_bias: float | None = None
    negated: str = ""


def _apart(name: str, holds: str, axes: str, gates: str, marks: Iterable[object]) -> tuple[Part, ...]:
    """Return a part for each gate; the gate's mark completes its name."""
    return tuple(Part(name.format(mark), holds, axes, g) for g, mark in zip(gates, marks, strict=True))


def _cudnn(gates: str) -> tuple[Part, ...]:
    first, second = range(len(gates)), range(len(gates), 2 * len(gates))
    matrices = _apart("matrix.{}", "W", "h k", gates, first) + _apart("matrix.{}", "U", "h k", gates, second)
    return matrices + _apart("bias.{}", "x", "h", gates, first) + _apart("bias.{}", "h", "h", gates, second)


_WEIGHTS = (Part("weight_ih", "W", "gh k"), Part("weight_hh", "U", "gh k"))
_TORCH = (*_WEIGHTS, Part("bias_ih", "x", "gh"), Part("bias_hh", "h", "gh"))
_EQUINOX = (*_WEIGHTS, Part("bias", "b", "gh"))
_KERNELS = (Part("kernel", "W", "k gh"), Part("recurrent_kernel", "U", "k gh"))
_KERAS = (*_KERNELS, Part("bias", "b", "gh"))
_ONNX = (Part("W", "W", "1 gh k"), Part("R", "U", "1 gh k"), Part("B", "xh", "1 kgh"))
_TF1 = (Part("kernel", "WU", "k gh"), Part("bias", "b", "gh"))
_CS231N = (Part("Wx", "W", "k gh"), Part("Wh", "U", "k gh"), Part("b", "b", "gh"))
_CHAINER = (Part("upward/W", "W", "hg k"), Part("upward/b", "b", "hg"), Part("lateral/W", "U", "hg k"))
_THINC = (Part("Wx", "W", "gh k"), Part("bx", "x", "gh"), Part("Wh", "U", "gh k"), Part("bh", "h", "gh"))
_DYNET = (Part("Wx", "W", "gh k"), Part("Wh", "U", "gh k"), Part("b", "b", "gh"))
_FLAX = (
    *_apart("i{}/kernel", "W", "k h", "ifgo", "ifgo"),
    *_apart("h{}/kernel", "U", "k h", "ifgo", "ifgo"),
    *_apart("h{}/bias", "b", "h", "ifgo", "ifgo"),
)
_CHUNG = (
    *_apart("W{}", "W", "h k", "rzn", ("_r", "_z", "")),
    *_apart("U{}", "U", "h k", "rzn", ("_r", "_z", "")),
    *_apart("b{}", "b", "h", "rzn", ("_r", "_z", "")),
)
_RNN = ("rnn", "rnn-relu")

LAYOUTS: tuple[Layout, ...] = (
    Layout("pytorch", _RNN, "a", _TORCH),
    Layout("pytorch", ("lstm",), "ifgo", _TORCH),
    Layout("pytorch", ("gru",), "rzn", _TORCH),
    Layout("keras", _RNN, "a", _KERAS),
    Layout("keras", ("lstm",), "ifgo", _KERAS),
    Layout("keras", ("gru",), "zrn", (*_KERNELS, Part("bias", "xh", "k gh"))),
    Layout("keras", ("gru-cho",), "zrn", _KERAS),
    Layout("cudnn", _RNN, "a", _cudnn("a")),
    Layout("cudnn", ("lstm",), "ifgo", _cudnn("ifgo")),
    Layout("cudnn", ("gru",), "rzn", _cudnn("rzn")),
    Layout("onnx", _RNN, "a", _ONNX),
    Layout("onnx", ("lstm",), "iofg", _ONNX),
    Layout("onnx", ("gru", "gru-cho"), "zrn", _ONNX),
    Layout("equinox", ("lstm",), "ifgo", _EQUINOX),
    Layout("equinox", ("gru",), "rzn", (*_EQUINOX, Part("bias_n", "h", "h", "n"))),
    Layout("tf1", ("lstm",), "igfo", _TF1, forget_bias=1.0),
    Layout("cs231n", ("lstm",), "ifog", _CS231N),
    Layout("chainer", ("lstm",), "gifo", _CHAINER),
    Layout("thinc", ("lstm",), "fiog", _THINC),
    Layout("dynet", ("lstm",), "ifog", _DYNET, forget_bias=1.0),
    Layout("flax", ("lstm",), "ifgo", _FLAX),
    Layout("chung", ("gru-cho",), "rzn", _CHUNG, negated="z"),
)
"""The table."""

SYSTEMS: dict[str, tuple[str, ...]] = {
    system: tuple(name for row in LAYOUTS if row.system == system for name in row.cells)
    for system in dict.fromkeys(row.system for row in LAYOUTS)
}
"""The names of the systems, and of the cells that each has."""


def layout(cell: str | Cell, system: str) -> Layout:
    """Return the row of the table.

    Raises
    ------
    ConfigError
        If there is no such system, or it has no such cell.
    """
    cell = get(cell)
    if system not in SYSTEMS:
        raise ConfigError(f"no system is called {system!r}; there are {', '.join(SYSTEMS)}")
    for row in LAYOUTS:
        if row.system == system and cell.name in row.cells:
            return row
    raise ConfigError(
        f"{system} has no {cell.name}: it has {', '.join(SYSTEMS[system])}"
        + ("; gru resets after the product and gru-cho before it" if cell.name.startswith("gru") else "")
    )


def to_system(
    cell: str | Cell, params: Params, system: str, *, forget_bias: float | None = None
) -> dict[str, Array]:
    """Return a layer's parameters as another system has them.

    A layer without biases goes without them (``bias=False``, ``use_bias=False``), or with zeros to a
    system that always has them.

    Parameters
    ----------
    cell : str or Cell
    params : dict of arrays
        W (D, Gx·H), U (H, Gh·H), and if wanted b (Gx·H,), b_h (Gh·H,), of any floating dtype.
    system : str
        One of `SYSTEMS`.
    forget_bias : float, optional
        What the system adds to a_f at run time, for those that do. Default: 1, as theirs.

    Returns
    -------
    dict of arrays
        By the system's names, in its order; new arrays. The same function of x and the states.

    Raises
    ------
    ConfigError
        If there is no such system, or it has no such cell or option.
    ShapeError
        If an array's shape is not as above.

    Examples
    --------
    >>> import bptt
    >>> params = bptt.init.Init().layer(np.random.default_rng(0), bptt.cells.get("lstm"), 3, 4)
    >>> {name: array.shape for name, array in to_system("lstm", params, "pytorch").items()}
    {'weight_ih': (16, 3), 'weight_hh': (16, 4), 'bias_ih': (16,), 'bias_hh': (16,)}
    >>> to_system("lstm", params, "tf1")["bias"].reshape(4, 4)[2]  # a_f, to which TensorFlow adds 1
    array([-1., -1., -1., -1.], dtype=float32)
    """
    cell, row = get(cell), layout(cell, system)
    added = _added(row, forget_bias)
    layer = _read(cell, _own(cell), params)
    if "x" in layer or "h" in layer or row.biases == "always":
        none = np.zeros_like(layer["U"][:1])
        x, h = layer.get("x", none), layer.get("h", none)
        layer |= {"x": x, "h": h, "b": x + h * _meet(cell)[:, None]}
        if added:
            layer["b"][:, cell.from_x.index("f")] -= added
    return _write(cell, row, layer)


def from_system(
    cell: str | Cell, arrays: Mapping[str, Array], system: str, *, forget_bias: float | None = None
) -> Params:
    """Return another system's parameters of a layer as parameters of a layer here.

    Parameters
    ----------
    cell : str or Cell
    arrays : dict of arrays
        By the system's names, as from `to_system`.
    system, forget_bias
        See `to_system`.

    Returns
    -------
    dict of arrays
        W, U; b where the system has biases; b_h where it has two of them. New arrays.

    Raises
    ------
    ConfigError
        If there is no such system, cell or option, or an array is missing or unknown.
    ShapeError
        If the arrays' shapes do not fit each other.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> arrays = {"kernel": rng.normal(size=(3, 16)), "recurrent_kernel": rng.normal(size=(4, 16))}
    >>> params = from_system("lstm", arrays, "keras")
    >>> params["U"].shape, bool((params["U"][:, 8:12] == arrays["recurrent_kernel"][:, 12:]).all())
    ((4, 16), True)
    """
    cell, row = get(cell), layout(cell, system)
    added = _added(row, forget_bias)
    layer = _read(cell, row, arrays)
    if added:
        layer["x"][:, cell.from_x.index("f")] += added
    return _write(cell, _own(cell), layer)


def grads_to_system(cell: str | Cell, grads: Params, system: str) -> dict[str, Array]:
    """Return the gradients at a layer's parameters as gradients at the system's parameters.

    Conversion is linear (or, with a bias added at run time, affine), so gradients convert by the transpose
    of `from_system`: reordered in the same way, but where biases add up each has the gradient of the sum.

    Parameters
    ----------
    cell : str or Cell
    grads : dict of arrays
        At W, U, b and b_h, as ``unroll(...).backward(...).params`` has them.
    system : str

    Returns
    -------
    dict of arrays
        By the system's names, as from `to_system`.

    Raises
    ------
    ConfigError
        As `to_system`; or if the gradient at one of the system's biases is not in `grads`.
    ShapeError
        If an array's shape is not as in `to_system`.

    Examples
    --------
    >>> grads = {"W": np.zeros((1, 3)), "U": np.zeros((3, 3)), "b": np.array([1.0, 2.0, 3.0])}
    >>> theirs = grads_to_system("rnn", grads, "pytorch")
    >>> theirs["bias_ih"], theirs["bias_hh"]
    (array([1., 2., 3.]), array([1., 2., 3.]))
    """
    cell, row = get(cell), layout(cell, system)
    layer = _read(cell, _own(cell), grads)
    x, h = layer.get("x"), layer.get("h")
    if x is None and h is None:
        if row.biases == "always":
            raise ConfigError(f"{system} {cell.name} has biases, and grads has no b; give the layer a zero b")
        return _write(cell, row, layer)
    if (x is None or h is None) and not _meet(cell).all():
        raise ConfigError(
            f"{cell.name}: the biases of the candidate's two parts do not add up, so the gradient at one "
            f"does not give that at the other; give the layer both b and b_h, if need be zeros"
        )
    x, h = (h if x is None else x), (x if h is None else h)
    assert x is not None and h is not None
    return _write(cell, row, layer | {"x": x, "h": h, "b": x})


# A layer between two layouts is a dict of blocks (rows, G, H) by the letters of `Part.holds`, with the
# gates in the order of Cell.from_x. W has D rows, U has H, a bias has one.


def _own(cell: Cell) -> Layout:
    """Return the layout of the parameters here."""
    parts = Part("W", "W", "k gh"), Part("U", "U", "k gh"), Part("b", "x", "gh"), Part("b_h", "h", "gh")
    return Layout("", (cell.name,), "".join(cell.from_x), parts, biases="each")


def _meet(cell: Cell) -> Array:
    """Return for each gate whether its input part and its recurrent part simply add."""
    return np.array([g == u for g, u in zip(cell.from_x, cell.from_h + cell.from_q, strict=True)])


def _added(row: Layout, forget_bias: float | None) -> float:
    if forget_bias is not None and row.forget_bias is None:
        raise ConfigError(f"{row.system} adds no forget bias at run time; got forget_bias={forget_bias}")
    return (row.forget_bias or 0.0) if forget_bias is None else forget_bias


def _order(part: Part) -> list[int]:
    """Return the axes of a block (k, g, h) in the order of the part's; those it lacks, of size 1, first."""
    return ["kgh".index(c) for c in sorted("kgh", key=part.axes.find)]


def _places(cell: Cell, row: Layout, part: Part) -> list[int]:
    return [cell.from_x.index(g) for g in part.gates or row.gates]


def _read(cell: Cell, row: Layout, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the layer that the arrays hold, or raise an error that names the array that does not fit."""
    parts = _present(cell, row, arrays)
    values = {part.name: np.asarray(arrays[part.name]) for part in parts}
    sizes = _sizes(cell, row, parts, values)
    layer: dict[str, Array] = {}
    for part in parts:
        at, order, rows = _places(cell, row, part), _order(part), [sizes[c] for c in part.holds]
        size = (sum(rows), len(at), sizes["U"])
        block = values[part.name].reshape([size[axis] for axis in order]).transpose(np.argsort(order))
        for c, piece in zip(part.holds, np.split(block, np.cumsum(rows)[:-1]), strict=True):
            key = "x" if c == "b" else c
            whole = layer.setdefault(key, np.zeros((len(piece), len(cell.from_x), size[2]), piece.dtype))
            whole[:, at] = piece
    return _signed(cell, row, layer)


def _write(cell: Cell, row: Layout, layer: dict[str, Array]) -> dict[str, Array]:
    """Return the layer's arrays; those of biases that it does not have are left out."""
    layer = _signed(cell, row, layer)
    arrays: dict[str, Array] = {}
    for part in row.parts:
        if all(c in layer for c in part.holds):
            block = np.concatenate([layer[c] for c in part.holds])[:, _places(cell, row, part)]
            shape = _shape(part, dict(zip("kgh", block.shape, strict=True)))
            arrays[part.name] = np.ascontiguousarray(block.transpose(_order(part)).reshape(shape))
    return arrays


def _signed(cell: Cell, row: Layout, layer: dict[str, Array]) -> dict[str, Array]:
    """Return the layer with the negated gates' sign changed."""
    if not row.negated:
        return layer
    sign = np.array([-1 if g in row.negated else 1 for g in cell.from_x], np.int8)[:, None]
    return {name: block * sign for name, block in layer.items()}


def _shape(part: Part, sizes: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(prod(sizes.get(c, 1) for c in word) for word in part.axes.split())


def _present(cell: Cell, row: Layout, arrays: Mapping[str, Array]) -> list[Part]:
    """Return the parts that are there, if nothing is there too much or too little."""
    missing = [part for part in row.parts if part.name not in arrays]
    biases = [part for part in row.parts if not set(part.holds) & set("WU")]
    may_miss = {"each": missing, "together": biases, "always": []}[row.biases]
    may_miss = [part for part in may_miss if part in biases]
    wrong = missing != may_miss if missing else False
    if wrong or arrays.keys() - {part.name for part in row.parts}:
        optional = {"each": "at most ", "together": "all or none of ", "always": ""}[row.biases]
        needed = ", ".join(part.name for part in row.parts if part not in biases)
        raise ConfigError(
            f"{_title(cell, row)}: the arrays must be {needed} and {optional}"
            f"{', '.join(part.name for part in biases)}; got {', '.join(arrays) or 'none'}"
        )
    return [part for part in row.parts if part not in missing]


def _sizes(cell: Cell, row: Layout, parts: list[Part], values: dict[str, Array]) -> dict[str, int]:
    """Return the number of rows of what a part can hold; U's is H and W's is D."""

    def fail(part: Part, wanted: str) -> ShapeError:
        got = values[part.name]
        return ShapeError(
            f"{_title(cell, row)}: {part.name} must be floats {wanted}, got {got.dtype} {got.shape}"
        )

    for part in parts:
        if values[part.name].ndim != len(part.axes.split()) or values[part.name].dtype.kind not in "fc":
            raise fail(part, _symbols(row, part))
    recurrent = next(part for part in parts if "U" in part.holds)
    word = next(word for word in recurrent.axes.split() if "h" in word)
    H = values[recurrent.name].shape[recurrent.axes.split().index(word)]
    H //= len(recurrent.gates or row.gates) if "g" in word else 1
    inputs = next(part for part in parts if "W" in part.holds)
    D = values[inputs.name].shape[inputs.axes.split().index("k")] - (H if "U" in inputs.holds else 0)
    sizes = {"W": D, "U": H, "x": 1, "h": 1, "b": 1}
    for part in parts:
        rows = sum(sizes[c] for c in part.holds)
        wanted = _shape(part, {"k": rows, "g": len(part.gates or row.gates), "h": H})
        if values[part.name].shape != wanted or min(D, H) < 1:
            raise fail(part, f"{_symbols(row, part)} = {wanted}")
    return sizes


def _symbols(row: Layout, part: Part) -> str:
    """Return the part's shape in symbols, such as (4H, D)."""
    rows = "+".join({"W": "D", "U": "H"}.get(c, "") for c in part.holds).strip("+")
    words = []
    for word in part.axes.split():
        number = len(part.gates or row.gates) if "g" in word else 1
        number *= len(part.holds) if "k" in word and not rows else 1
        symbol = (rows if "k" in word else "") + ("H" if "h" in word else "")
        words.append((str(number) if number > 1 or not symbol else "") + symbol)
    return f"({', '.join(words)}{',' if len(words) == 1 else ''})"


def _title(cell: Cell, row: Layout) -> str:
    return f"{row.system} {cell.name}".strip()
