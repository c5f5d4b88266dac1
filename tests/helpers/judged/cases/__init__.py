"""Small files, each of a kind that people write: what is right, what is wrong, where, and how it is called.

A case is text in one of the files beside this: a line with its name, ``right`` or ``wrong``, and what is
asked for beyond that (``mended``: a diff after which all is right; ``found``: an example is found without
being given; ``open``: it does not come out yet), then its example and its files. ``# wrong`` ends the first
line that is wrong; NumPy's import is understood.
"""

import re
from pathlib import Path
from typing import NamedTuple

MARK = "  # wrong"


class Case(NamedTuple):
    """One piece of code: its files, the judged one last."""

    name: str
    verdict: str
    asked: tuple[str, ...]
    example: str
    files: dict[str, str]

    @property
    def line(self) -> int | None:
        """The first line that is wrong."""
        lines = enumerate([*self.files.values()][-1].splitlines(), 1)
        return next((n for n, line in lines if line.endswith(MARK)), None)

    def write(self, folder: Path) -> Path:
        """Write the files, without their marks; return the judged one's path."""
        for name, text in self.files.items():
            path = folder / name
            path.write_text(text.replace(MARK, ""), encoding="utf-8")
        return path


def _cases(text: str) -> list[Case]:
    out = []
    for part in re.split(r"^=== ", text, flags=re.MULTILINE)[1:]:
        head, _, rest = part.partition("\n")
        name, verdict, *asked = head.split(" | ")
        blocks = re.split(r"^--- (.*)\n", rest, flags=re.MULTILINE)[1:]
        found = dict(zip(blocks[::2], blocks[1::2], strict=True))
        example = found.pop("example")
        files = {("code.py" if n == "file" else n): _with_numpy(n, t) for n, t in found.items()}
        out.append(Case(name, verdict, tuple(asked), example, files))
    return out


def _with_numpy(name: str, text: str) -> str:
    return f"import numpy as np\n\n{text}" if name == "file" else text


CASES = [
    case for path in sorted(Path(__file__).parent.glob("*.txt")) for case in _cases(path.read_text("utf-8"))
]
