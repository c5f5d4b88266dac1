"""An example, and how values are written in it: Python in which «marks» stand for what depends on its sizes.

``«T N D»`` is an array of random numbers, ``«zeros N H»`` one of zeros, ``«onehot T V»`` labels,
``«tokens T N»`` words as nested lists, ``«labels T N»`` other ones, ``«size H»`` a number. ``T`` is the
number of steps, ``N`` of sequences, ``D`` of features, ``H`` of units and ``V`` of classes or words.
"""

import ast
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from bptt.errors import ConfigError

SIZES: Mapping[str, int] = {"T": 4, "N": 2, "D": 3, "H": 6, "V": 7}
"""The sizes of a first example: all differ, and so do sums and products that occur, T + 1 among them."""

OTHER: Mapping[str, int] = {"T": 6, "N": 3, "D": 5, "H": 8, "V": 9}
"""The sizes of a second example: all others than those of the first, and all different."""

Sizes: TypeAlias = Mapping[str, int | str]
"""What the symbols stand for; a text is a size that the code itself has, and stays as it is."""

AXES = re.compile(r"(?:onehot |tokens |labels |zeros |size )?[-+*\dTNDHV]*[TNDHV1](?: [-+*\dTNDHV]+)*")


def marked(text: str) -> str:
    """Return the entry of a table as marked Python: axes alone are a mark."""
    return f"«{text}»" if AXES.fullmatch(text) else text


def rendered(text: str, sizes: Sizes) -> str:
    """Return marked Python at some sizes.

    Examples
    --------
    >>> rendered("x, h = «T N D», «zeros N H»", SIZES)
    'x, h = np.random.randn(4, 2, 3), np.zeros((2, 6))'
    >>> rendered("np.array(«tokens T N»), «onehot T V 1», «size 4*H»", SIZES)
    'np.array([[0, 2], [2, 1], [1, 2], [2, 1]]), np.eye(7)[[0, 2, 1, 2]][:, :, None], 24'
    """
    return re.sub("«([^«»]*)»", lambda m: _made(m[1].split(), sizes), text)


def _made(mark: list[str], sizes: Sizes) -> str:
    kind, axes = (mark[0], mark[1:]) if mark[0].islower() else ("randn", mark)
    known = {symbol: int(size) for symbol, size in sizes.items()}
    shape = [int(eval(axis, {}, known)) for axis in axes]
    text = ", ".join(map(str, shape))
    match kind:
        case "size":
            return text
        case "zeros":
            return f"np.zeros(({text},))" if len(shape) == 1 else f"np.zeros(({text}))"
        case "tokens":
            return str(_tokens(shape))
        case "labels":
            return str(_tokens(shape, 1))
        case "onehot":
            return _onehot(axes, shape)
    return f"np.random.randn({text})"


def _tokens(shape: Sequence[int], start: int = 0) -> list[int] | list[list[int]]:
    """Return words of three, some of which occur twice: a list, or one of lists."""
    row = [(0, 2, 1, 2, 1, 0)[k % 6] for k in range(start, start + sum(shape))]
    return row[: shape[0]] if len(shape) == 1 else [row[k : k + shape[1]] for k in range(shape[0])]


def _onehot(axes: Sequence[str], shape: Sequence[int]) -> str:
    """Return one-hot vectors along the axis of the classes, written as rows of the identity."""
    classes = axes.index("V")
    others = [n for n in range(len(axes)) if n != classes and axes[n] != "1"]
    picked = _tokens([shape[n] for n in others]) if others else 2
    text = f"np.eye({shape[classes]})[{f'np.array({picked})' if len(others) > 1 else picked}]"
    order = [*others, classes]
    wanted = [n for n in range(len(axes)) if axes[n] != "1"]
    if wanted != order:
        text += f".transpose({', '.join(str(order.index(n)) for n in wanted)})"
    return text + (f"[{', '.join('None' if a == '1' else ':' for a in axes)}]" if "1" in axes else "")


@dataclass(frozen=True)
class Example:
    """A few lines that call the code once."""

    text: str  # Python, which is executed in the names of the file
    origin: str  # where it comes from, in words
    piece: tuple[str, ...] = ()  # the functions and methods that it shows, where that is known
    sizes: Sizes = field(default_factory=dict)  # of a written example: of T, N, D, H and V
    marked: str = ""  # of a written example: its text, with marks where sizes stand


def given(example: str) -> Example:
    """Return the user's example: a file's text if there is one of that name, else code; ``;`` ends a line.

    Raises ConfigError if it is neither.

    Examples
    --------
    >>> given("net = RNN(3, 5); y = net.forward(np.random.randn(4, 3))").text.splitlines()
    ['net = RNN(3, 5)', 'y = net.forward(np.random.randn(4, 3))']
    """
    is_file = os.path.isfile(example)  # noqa: PTH113 (of what is too long for a name it is none)
    if not is_file and re.fullmatch(r"[\w./\\~ -]+\.(?:py|txt)", example):
        raise ConfigError(f"example {example!r}: there is no such file; give a file, or code")
    text = Path(example).read_text(encoding="utf-8") if is_file else example
    origin = example if is_file else "the command line"
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        where = "" if error.lineno in (None, 1) else f", line {error.lineno}"
        raise ConfigError(f"example {origin}{where}: {error.msg}; it must be Python") from error
    return Example(text if is_file else "\n".join(ast.unparse(node) for node in tree.body), origin)


def other_sizes(example: Example) -> Example | None:
    """Return a written example at other sizes; nothing for one that was not written by the tool.

    Examples
    --------
    >>> other_sizes(Example("x = np.random.randn(4)", "written by bptt", (), {"T": 4}, "x = «T»")).text
    'x = np.random.randn(6)'
    """
    if not example.marked:
        return None
    sizes = {s: OTHER[s] if isinstance(n, int) else n for s, n in example.sizes.items()}
    return replace(example, text=rendered(example.marked, sizes), sizes=sizes)
