"""The one piece of code that reads the table."""

from collections.abc import Mapping
from math import prod

import numpy as np

from bptt.cells import CELLS, Cell
from bptt.errors import ConfigError, ShapeError
from bptt.nets.conventions.systems import CONVENTIONS, SYSTEMS, Convention, Part
from bptt.types import Array, Params
from bptt.zoo import get, record


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


def _find(cell: str | Cell, system: str) -> tuple[Cell, Convention]:
    if system not in SYSTEMS:
        raise ConfigError(f"no system is called {system!r}; there are {', '.join(SYSTEMS)}")
    cell = _counterpart(get(cell))
    for row in CONVENTIONS:
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
    known = dict.fromkeys(name for cells in SYSTEMS.values() for name in cells)
    raise ConfigError(
        f"the cell {cell.name} has no counterpart in other systems: what they have is {', '.join(known)}"
    )


def _own(cell: Cell) -> Convention:
    """Return the convention here."""
    parts = (Part("W", "W", "k gh"), Part("U", "U", "k gh"), Part("b", "x", "gh"), Part("b_h", "h", "gh"))
    return Convention("", (cell.name,), "".join(cell.from_x), parts)


def _meet(cell: Cell) -> Array:
    """Return for each gate whether its input part and its recurrent part simply add."""
    return np.array([g == u for g, u in zip(cell.from_x, cell.from_h + cell.from_q, strict=True)])


def _added(row: Convention, forget_bias: float | None) -> float | None:
    if forget_bias is None:
        return row.forget_bias
    if row.forget_bias is None:
        raise ConfigError(f"{row.system} adds no forget bias at run time; got forget_bias={forget_bias}")
    return forget_bias


# Between two conventions a layer is a dict of blocks (rows, G, H) by the letters of `Part.holds`, the gates
# in the order of Cell.from_x. W has D rows, U has H, a bias has one.


def _read(cell: Cell, row: Convention, arrays: Mapping[str, Array]) -> dict[str, Array]:
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


def _write(cell: Cell, row: Convention, layer: dict[str, Array]) -> dict[str, Array]:
    """Return the layer's arrays, without those of biases that it does not have."""
    layer = _signed(cell, row, layer)
    arrays: dict[str, Array] = {}
    for part in row.parts:
        if layer.keys() >= set(part.holds):
            block = np.concatenate([layer[c] for c in part.holds])[:, _places(cell, row, part)]
            shape = _shape(part, *block.shape)
            arrays[part.name] = np.ascontiguousarray(block.transpose(_order(part)).reshape(shape))
    return arrays


def _signed(cell: Cell, row: Convention, layer: dict[str, Array]) -> dict[str, Array]:
    """Return the layer with the negated gates' sign changed."""
    sign = np.array([-1 if g in row.negated else 1 for g in cell.from_x], np.int8)[:, None]
    return {c: block * sign for c, block in layer.items()} if row.negated else layer


def _places(cell: Cell, row: Convention, part: Part) -> list[int]:
    return [cell.from_x.index(g) for g in part.gates or row.gates]


def _order(part: Part) -> list[int]:
    """Return the axes k, g, h of a block in the part's order; those that it lacks, of size 1, first."""
    return sorted(range(3), key=lambda axis: part.axes.find("kgh"[axis]))


def _shape(part: Part, k: int, g: int, h: int) -> tuple[int, ...]:
    sizes = {"k": k, "g": g, "h": h, "1": 1}
    return tuple(prod(sizes[c] for c in word) for word in part.axes.split())


def _check(cell: Cell, row: Convention, arrays: Mapping[str, Array]) -> dict[str, int]:
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
