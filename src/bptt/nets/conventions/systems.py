"""The table: how each system stores a layer of each cell that it has."""

from collections.abc import Iterable
from dataclasses import dataclass


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
        The gates it has, if not all of the convention's.
    """

    name: str
    holds: str
    axes: str
    gates: str = ""


@dataclass(frozen=True)
class Convention:
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

CONVENTIONS: tuple[Convention, ...] = (
    Convention("pytorch", _RNN, "a", _TORCH),
    Convention("pytorch", ("lstm",), "ifgo", _TORCH),
    Convention("pytorch", ("gru",), "rzn", _TORCH),
    Convention("keras", _RNN, "a", _KERAS),
    Convention("keras", ("lstm",), "ifgo", _KERAS),
    Convention("keras", ("gru",), "zrn", (*_KERNELS, Part("bias", "xh", "k gh"))),
    Convention("keras", ("gru-cho",), "zrn", _KERAS),
    Convention("cudnn", _RNN, "a", _cudnn("a")),
    Convention("cudnn", ("lstm",), "ifgo", _cudnn("ifgo")),
    Convention("cudnn", ("gru",), "rzn", _cudnn("rzn")),
    Convention("onnx", _RNN, "a", _ONNX),
    Convention("onnx", ("lstm",), "iofg", _ONNX),
    Convention("onnx", ("gru", "gru-cho"), "zrn", _ONNX),
    Convention("equinox", ("lstm",), "ifgo", _EQUINOX),
    Convention("equinox", ("gru",), "rzn", (*_EQUINOX, Part("bias_n", "h", "h", "n"))),
    Convention("tf1", ("lstm",), "igfo", _TF1, forget_bias=1.0),
    Convention("cs231n", ("lstm",), "ifog", _CS231N),
    Convention("chainer", ("lstm",), "gifo", _CHAINER),
    Convention("thinc", ("lstm",), "fiog", _THINC),
    Convention("dynet", ("lstm",), "ifog", _DYNET, forget_bias=1.0),
    Convention("flax", ("lstm",), "ifgo", _FLAX),
    Convention("chung", ("gru-cho",), "rzn", _CHUNG, negated="z"),
)
"""The table."""

SYSTEMS: dict[str, tuple[str, ...]] = {
    system: tuple(name for row in CONVENTIONS if row.system == system for name in row.cells)
    for system in dict.fromkeys(row.system for row in CONVENTIONS)
}
"""The names of the systems, and of the cells that each has."""
