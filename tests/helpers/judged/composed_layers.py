"""The layers of composed models, read from text and written in one layout, with one way of each thing."""

import re
from pathlib import Path

Lines = list[str]

TEXT = Path(__file__).with_suffix(".txt").read_text("utf-8")
LAYERS = {one.split()[0]: one for one in TEXT.split("\n= ")[1:]}
SAME = ("residual", "norm")
"""Layers whose outputs are as wide as their inputs."""


class Layer:
    """A layer, written.

    Parameters
    ----------
    name, width, units
        Which one; the sizes of its inputs and of what is in it.
    layout, dot, store
        rows, vector or columns; how products are written; what holds values over time: list, dict or array.
    """

    def __init__(self, name: str, width: int, units: int, layout: str, dot: str, store: str) -> None:
        self.name, self.width, self.units, self.layout, self.dot, self.store = (
            name, width, units, layout, dot, store,
        )  # fmt: skip
        self.out = width if name in SAME else units
        head, _, body = LAYERS[name].partition("\n")
        self.shapes = dict(self._shape(one) for one in head.split()[1:])
        fore, back = body.split("\n-\n")
        self.kept = list(dict.fromkeys(re.findall(r"@(\w+)", body)))
        self.forward, self.backward = self._lines(fore), self._lines(back)
        self.kept += ["hs"] * ("<begin: hs" in fore) + ["cs"] * ("<begin: cs" in fore)

    def _shape(self, parameter: str) -> tuple[str, str]:
        name, size = parameter.split(":")
        if ">" in size:
            into, out = size.split(">")
            return name, f"{into}, {out}" if self.layout == "rows" else f"{out}, {into}"
        return name, f"{size}, 1" if self.layout == "columns" and "," not in size else size.replace(",", ", ")

    def _lines(self, text: str) -> Lines:
        found: Lines = []
        for line in text.rstrip().split("\n"):
            gates, _, rest = line.strip().partition("? ") if re.match(r" +[a-z]+\? ", line) else ("", "", "")
            indent = line[: len(line) - len(line.lstrip())]
            for gate in gates or " ":
                one = indent + rest.replace("?", gate) if gates else line
                while call := re.search(r"<(\w+)(?:: ([^<>]+))?>", one):
                    new = getattr(self, call[1])(*(call[2].split(", ") if call[2] else ()))
                    one = one[: call.start()] + new + one[call.end() :]
                found += one.split("\n")
        return found

    def _by_layout(self, rows: str, vector: str, columns: str) -> str:
        return {"rows": rows, "vector": vector, "columns": columns}[self.layout]

    def axis(self) -> str:
        return "-2" if self.layout == "columns" else "-1"

    def turned(self) -> str:
        return ".swapaxes(-1, -2)" if self.layout == "columns" else ""

    def zeros(self, bias: str) -> str:
        size = f"len({bias})"
        return f"np.zeros({self._by_layout(f'(xs.shape[1], {size})', size, f'({size}, xs.shape[2])')})"

    def mul(self, a: str, b: str) -> str:
        return f"{a} @ {b}" if self.dot == "@" else f"np.{self.dot}({a}, {b})"

    def lin(self, w: str, x: str) -> str:
        """Return W applied to x."""
        if self.dot == "einsum":
            how = self._by_layout("io,ni->no", "oi,i->o", "oi,in->on")
            return f"np.einsum('{how}', {w}, {x})"
        return self.mul(x, w) if self.layout == "rows" else self.mul(w, x)

    def back(self, w: str, dy: str) -> str:
        """Return the gradient at what W was applied to."""
        if self.dot == "einsum":
            how = self._by_layout("io,no->ni", "oi,o->i", "oi,on->in")
            return f"np.einsum('{how}', {w}, {dy})"
        return self.mul(dy, f"{w}.T") if self.layout == "rows" else self.mul(f"{w}.T", dy)

    def outer(self, x: str, dy: str) -> str:
        """Return the gradient at W."""
        if self.dot == "einsum":
            how = self._by_layout("ni,no->io", "i,o->oi", "in,on->oi")
            return f"np.einsum('{how}', {x}, {dy})"
        if self.layout == "vector":
            return f"np.outer({dy}, {x})"
        return self.mul(f"{x}.T", dy) if self.layout == "rows" else self.mul(dy, f"{x}.T")

    def total(self, dy: str) -> str:
        """Return the gradient at a bias."""
        held = f"({dy})" if " " in dy else dy
        return self._by_layout(f"{held}.sum(axis=0)", dy, f"{held}.sum(axis=1, keepdims=True)")

    def begin(self, name: str, first: str) -> str:
        """Return what begins that which is kept over time, with what is there before the first step."""
        if self.store == "list":
            return f"@{name} = [{first}]"
        if self.store == "dict":
            return f"@{name} = {{-1: {first}}}"
        return f"@{name} = np.zeros((len(xs) + 1, *{first}.shape))\n@{name}[0] = {first}"

    def keep(self, name: str, value: str) -> str:
        later = "" if self.store == "dict" else " + 1"
        return f"@{name}.append({value})" if self.store == "list" else f"@{name}[t{later}] = {value}"

    def now(self, name: str) -> str:
        return f"@{name}[t]" if self.store == "dict" else f"@{name}[t + 1]"

    def past(self, name: str) -> str:
        return f"@{name}[t - 1]" if self.store == "dict" else f"@{name}[t]"

    def stacked(self, name: str) -> str:
        if self.store == "dict":
            return f"np.array([@{name}[t] for t in range(len(xs))])"
        return f"np.array(@{name}[1:])"
