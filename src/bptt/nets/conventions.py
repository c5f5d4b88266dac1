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
system that has one of them cannot hold the other. Of the cells that are equations, the zoo's and a user's
own, those that compute one of these functions (the zoo's ``lstm-no-bias`` and ``lstm-chrono`` are LSTMs)
convert as it does; the others have no counterpart in any system, and a ConfigError says so.

All conversions are of one layer in one direction. What no table of arrays can say: old Keras had
``hard_sigmoid`` gates; and a reversed layer's outputs are in the order of its steps in Keras, but in that
of its inputs in ONNX and here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from bptt.cells import CELLS, Cell
from bptt.errors import ConfigError, ShapeError
from bptt.types import Array, Params
from bptt.zoo import get, record


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
    forget_bias : float or None
        What the system adds to a_f at run time, unless told otherwise.
    negated : str
        Gates that the system has in the opposite sense: 1 - σ(a) = σ(-a).
    """

    system: str
    cells: tuple[str, ...]
    gates: str
    parts: tuple[Part, ...]
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


def to_system(
    cell: str | Cell, params: Params, system: str, *, forget_bias: float | None = None
) -> dict[str, Array]:
    """Return a layer's parameters as another system has them.

    Parameters
    ----------
    cell : str or Cell
    params : dict of arrays
        W (D, Gx·H), U (H, Gh·H), and if wanted b (Gx·H,), b_h (Gh·H,), of any floating dtype. A layer
        without biases goes without them (``bias=False``, ``use_bias=False``); to a system that must have
        them, give b as zeros.
    system : str
        One of `SYSTEMS`.
    forget_bias : float, optional
        What the system adds to a_f at run time, if it does. Default: as theirs, 1.

    Returns
    -------
    dict of arrays
        By the system's names, in its order; new arrays. The same function of x and the states.

    Raises
    ------
    ConfigError
        If there is no such system, or it has no such cell or option, or `params` has other names.
    ShapeError
        If an array's shape or dtype is not as above.

    Examples
    --------
    >>> import bptt
    >>> params = bptt.Init().layer(np.random.default_rng(0), bptt.zoo.get("lstm"), 3, 4)
    >>> {name: array.shape for name, array in to_system("lstm", params, "pytorch").items()}
    {'weight_ih': (16, 3), 'weight_hh': (16, 4), 'bias_ih': (16,), 'bias_hh': (16,)}
    >>> to_system("lstm", params, "tf1")["bias"].reshape(4, 4)[2]  # a_f, to which TensorFlow adds 1
    array([-1., -1., -1., -1.], dtype=float32)
    """
    cell, row = _find(cell, system)
    added = _added(row, forget_bias)
    layer = _read(cell, _own(cell), params)
    if added is not None or layer.keys() & {"x", "h"}:
        x, h = (layer.get(c, np.zeros_like(layer["U"][:1])) for c in "xh")
        layer |= {"x": x, "h": h, "b": x + h * _meet(cell)[:, None]}
        if added is not None:
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
        By the system's names, as from `to_system`. A bias that is missing is zero.
    system, forget_bias
        See `to_system`.

    Returns
    -------
    dict of arrays
        W, U; b where the system has biases; b_h where it has two of them. New arrays.

    Raises
    ------
    ConfigError
        If there is no such system, cell or option, or a matrix is missing or an array unknown.
    ShapeError
        If the arrays do not fit each other, or are not of a floating dtype.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> arrays = {"kernel": rng.normal(size=(3, 16)), "recurrent_kernel": rng.normal(size=(4, 16))}
    >>> params = from_system("lstm", arrays, "keras")
    >>> params["U"].shape, bool((params["U"][:, 8:12] == arrays["recurrent_kernel"][:, 12:]).all())
    ((4, 16), True)
    """
    cell, row = _find(cell, system)
    added = _added(row, forget_bias)
    layer = _read(cell, row, arrays)
    if added is not None:
        layer.setdefault("x", np.zeros_like(layer["U"][:1]))[:, cell.from_x.index("f")] += added
    return _write(cell, _own(cell), layer)


def grads_to_system(cell: str | Cell, grads: Params, system: str) -> dict[str, Array]:
    """Return the gradients at a layer's parameters as gradients at the system's parameters.

    Conversion is linear but for a bias added at run time, so gradients convert by the transpose of
    `from_system`: in the new order, and where two biases add up each has the gradient of their sum.

    Parameters
    ----------
    cell : str or Cell
    grads : dict of arrays
        At W, U, b and b_h, as ``unroll(...).backward(...).params`` has them.
    system : str

    Returns
    -------
    dict of arrays
        By the system's names; new arrays.

    Raises
    ------
    ConfigError
        As `to_system`; or if `grads` has one of b and b_h, and the gradient at the other is another.
    ShapeError
        As `to_system`.

    Examples
    --------
    >>> grads = {"W": np.zeros((1, 3)), "U": np.zeros((3, 3)), "b": np.array([1.0, 2.0, 3.0])}
    >>> theirs = grads_to_system("rnn", grads, "pytorch")
    >>> theirs["bias_ih"], theirs["bias_hh"]
    (array([1., 2., 3.]), array([1., 2., 3.]))
    """
    cell, row = _find(cell, system)
    layer = _read(cell, _own(cell), grads)
    given = layer.keys() & {"x", "h"}
    if len(given) == 1 and not _meet(cell).all():
        raise ConfigError(
            f"{cell.name}: the gradient at one of b and b_h does not give that at the other, as the "
            "candidate's two biases do not simply add; give the layer both (zeros will do)"
        )
    if given:
        layer = dict.fromkeys("xh", layer[min(given)]) | layer
        layer["b"] = layer["x"]
    return _write(cell, row, layer)


def _find(cell: str | Cell, system: str) -> tuple[Cell, Layout]:
    if system not in SYSTEMS:
        raise ConfigError(f"no system is called {system!r}; there are {', '.join(SYSTEMS)}")
    cell = _counterpart(get(cell))
    for row in LAYOUTS:
        if row.system == system and cell.name in row.cells:
            return cell, row
    gru = "; gru resets after the product, gru-cho before it" if cell.name in ("gru", "gru-cho") else ""
    raise ConfigError(f"{system} has no {cell.name}: it has {', '.join(SYSTEMS[system])}{gru}")


def _counterpart(cell: Cell) -> Cell:
    """Return the one of `CELLS` that is the same function of the same arrays."""
    if type(cell) is type(CELLS.get(cell.name)):
        return cell
    from bptt.zoo.equations import ZOO

    name = {"lstm-no-bias": "lstm", "lstm-chrono": "lstm"}.get(cell.name, cell.name)
    if name in CELLS and cell.name in ZOO and record.same(cell, ZOO[cell.name]):
        return CELLS[name]
    raise ConfigError(
        f"the cell {cell.name} has no counterpart in other systems: what they have is {', '.join(CELLS)}"
    )


def _own(cell: Cell) -> Layout:
    """Return the layout of the parameters here."""
    parts = (Part("W", "W", "k gh"), Part("U", "U", "k gh"), Part("b", "x", "gh"), Part("b_h", "h", "gh"))
    return Layout("", (cell.name,), "".join(cell.from_x), parts)


def _meet(cell: Cell) -> Array:
    """Return for each gate whether its input part and its recurrent part simply add."""
    return np.array([g == u for g, u in zip(cell.from_x, cell.from_h + cell.from_q, strict=True)])


def _added(row: Layout, forget_bias: float | None) -> float | None:
    if forget_bias is None:
        return row.forget_bias
    if row.forget_bias is None:
        raise ConfigError(f"{row.system} adds no forget bias at run time; got forget_bias={forget_bias}")
    return forget_bias


# Between two layouts a layer is a dict of blocks (rows, G, H) by the letters of `Part.holds`, the gates in
# the order of Cell.from_x. W has D rows, U has H, a bias has one.


def _read(cell: Cell, row: Layout, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the layer that the arrays hold."""
    rows = _check(cell, row, arrays)
    layer: dict[str, Array] = {}
    for part in row.parts:
        if part.name in arrays:
            at, order, counts = _places(cell, row, part), _order(part), [rows[c] for c in part.holds]
            sizes = (sum(counts), len(at), rows["U"])
            block = np.reshape(arrays[part.name], [sizes[axis] for axis in order])
            block = block.transpose(np.argsort(order))
            for c, piece in zip(part.holds, np.split(block, np.cumsum(counts)[:-1]), strict=True):
                whole = np.zeros((len(piece), len(cell.from_x), rows["U"]), piece.dtype)
                layer.setdefault("x" if c == "b" else c, whole)[:, at] = piece
    return _signed(cell, row, layer)


def _write(cell: Cell, row: Layout, layer: dict[str, Array]) -> dict[str, Array]:
    """Return the layer's arrays, without those of biases that it does not have."""
    layer = _signed(cell, row, layer)
    arrays: dict[str, Array] = {}
    for part in row.parts:
        if layer.keys() >= set(part.holds):
            block = np.concatenate([layer[c] for c in part.holds])[:, _places(cell, row, part)]
            shape = _shape(part, *block.shape)
            arrays[part.name] = np.ascontiguousarray(block.transpose(_order(part)).reshape(shape))
    return arrays


def _signed(cell: Cell, row: Layout, layer: dict[str, Array]) -> dict[str, Array]:
    """Return the layer with the negated gates' sign changed."""
    sign = np.array([-1 if g in row.negated else 1 for g in cell.from_x], np.int8)[:, None]
    return {c: block * sign for c, block in layer.items()} if row.negated else layer


def _places(cell: Cell, row: Layout, part: Part) -> list[int]:
    return [cell.from_x.index(g) for g in part.gates or row.gates]


def _order(part: Part) -> list[int]:
    """Return the axes k, g, h of a block in the part's order; those that it lacks, of size 1, first."""
    return sorted(range(3), key=lambda axis: part.axes.find("kgh"[axis]))


def _shape(part: Part, k: int, g: int, h: int) -> tuple[int, ...]:
    sizes = {"k": k, "g": g, "h": h, "1": 1}
    return tuple(prod(sizes[c] for c in word) for word in part.axes.split())


def _check(cell: Cell, row: Layout, arrays: Mapping[str, Array]) -> dict[str, int]:
    """Return the rows of each block, U's of which are H, or raise an error that names what does not fit."""
    title = f"{row.system} {cell.name}".strip()
    biases = [part.name for part in row.parts if not set(part.holds) & set("WU")]
    needed = [part.name for part in row.parts if part.name not in biases]
    if not set(needed) <= arrays.keys() <= {*needed, *biases}:
        raise ConfigError(
            f"{title}: the arrays must be {', '.join(needed)} and at most {', '.join(biases)}; "
            f"got {', '.join(arrays) or 'none'}"
        )
    rows = {"x": 1, "h": 1, "b": 1}
    for part in sorted(row.parts, key=lambda part: "U" not in part.holds):  # U first, for H
        if part.name not in arrays:
            continue
        array, words, G = np.asarray(arrays[part.name]), part.axes.split(), len(part.gates or row.gates)
        wanted, fits = _symbols(part, G), False
        if array.ndim == len(words) and array.dtype.kind in "fc":
            size = dict(zip(words, array.shape, strict=True))
            if "U" in part.holds:
                rows.setdefault("U", max(n for w, n in size.items() if "h" in w or part.holds == "U") // G)
            if "W" in part.holds:
                rows.setdefault("W", size["k"] - (rows["U"] if "U" in part.holds else 0))
            if min(rows.values()) > 0:
                shape = _shape(part, sum(rows[c] for c in part.holds), G, rows["U"])
                wanted, fits = f"{wanted} = {shape}", array.shape == shape
        if not fits:
            raise ShapeError(f"{title}: {part.name} must be floats {wanted}, got {array.dtype} {array.shape}")
    return rows


def _symbols(part: Part, G: int) -> str:
    """Return the part's shape in symbols, such as (4H, D)."""
    rows = "+".join({"W": "D", "U": "H"}.get(c, "") for c in part.holds).strip("+")
    letters = {"k": rows, "h": "H"}
    words = []
    for word, n in zip(part.axes.split(), _shape(part, 1 if rows else len(part.holds), G, 1), strict=True):
        text = "".join(letters.get(c, "") for c in word)
        words.append(text if text and n == 1 else f"{n}{text}")
    return f"({', '.join(words)}{',' * (len(words) == 1)})"
