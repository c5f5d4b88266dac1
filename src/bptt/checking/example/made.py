"""An example: its text, and where it comes from."""

import ast
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from bptt.checking.example.texts import OTHER, Sizes, rendered
from bptt.errors import ConfigError


@dataclass(frozen=True)
class Example:
    """A few lines that call the code once.

    Attributes
    ----------
    text : str
        Python, which is executed in the names of the file.
    origin : str
        Where it comes from, in words.
    piece : tuple of str
        The functions and methods that it shows; empty where that is not known.
    sizes : mapping
        Of a written example: the sizes of ``T``, ``N``, ``D``, ``H`` and ``V``.
    marked : str
        Of a written example: its text, with marks where sizes stand.
    """

    text: str
    origin: str
    piece: tuple[str, ...] = ()
    sizes: Sizes = field(default_factory=dict)
    marked: str = ""


def given(example: str) -> Example:
    """Return the user's example: a file's text if there is one of that name, else code; ``;`` ends a line.

    Raises
    ------
    ConfigError
        If it is neither.

    Examples
    --------
    >>> given("net = RNN(3, 5); y = net.forward(np.random.randn(4, 3))").text.splitlines()
    ['net = RNN(3, 5)', 'y = net.forward(np.random.randn(4, 3))']
    """
    try:
        is_file = Path(example).is_file()
    except (OSError, ValueError):  # too long for a name
        is_file = False
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
