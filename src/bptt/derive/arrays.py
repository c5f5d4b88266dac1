"""The arrays of a module: two axes where that will do, else one each for heads, units and keys.

Between steps all is flat, (N, H) or (N, the size of a value), as in :func:`bptt.unroll` and where matrices
are. Where there is one head and nothing has keys a value stays so within a step, too, (N, H) or (N, 1), and
what goes over the units goes over the last axis.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from bptt.derive.algebra import Expr
from bptt.derive.axes import OVER, SHAPES, Axes
from bptt.derive.names import unlike
from bptt.derive.numpy_code import Printer
from bptt.derive.whole import Whole
from bptt.errors import ConfigError

_OVER = {
    "sum": ("np.sum(a, axis={at}, keepdims=True)", "the sum over the {axis}s"),
    "max": ("np.max(a, axis={at}, keepdims=True)", "the largest over the {axis}s"),
    "cumsum": ("np.cumsum(a, axis={at})", "the sums over the {axis}s so far"),
    "backsum": ("np.flip(np.cumsum(np.flip(a, {at}), {at}), {at})", "the sums over the {axis}s from the end"),
}

_OVER_TORCH = {
    "sum": "torch.sum({a}, dim={at}, keepdim=True)",
    "max": "torch.amax({a}, dim={at}, keepdim=True)",
    "cumsum": "torch.cumsum({a}, dim={at})",
    "backsum": "torch.flip(torch.cumsum(torch.flip({a}, ({at},)), dim={at}), ({at},))",
}


class Arrays:
    """What a module needs beside its lines where values are not all (N, H).

    Parameters
    ----------
    whole : Whole
    taken : names
        That are not free.

    Attributes
    ----------
    plain : bool
        Whether all values are one number for each unit, and none of this is needed.
    deep : bool
        Whether there is an axis each for heads, units and keys.
    """

    def __init__(self, whole: Whole, taken: Collection[str]) -> None:
        self.whole, self.eq = whole, whole.equations
        self.plain = self.eq.is_elementwise
        self.deep = self.eq.heads > 1 or any("key" in axes for axes in self.eq.axes.values())
        self.deep = self.deep and not self.plain
        self._flat = unlike("flat", taken)
        self._by = {axes: unlike(f"by_{'_'.join(name.split())}", taken) for name, axes in SHAPES.items()}

    def shaped(self, name: str, code: str) -> str:
        """Return code of a value with its axes, of code of it flat."""
        return f"{self._by[self.eq.axes[name]]}({code})" if self.deep else code

    def flat(self, code: str) -> str:
        """Return code of a value flat, of code of it with its axes."""
        return f"{self._flat}({code})" if self.deep else code

    def reshaped(self, names: Iterable[str], of: Sequence[str] = ()) -> str:
        """Return the line that gives what is handed in flat its axes; `of` are the values it is like."""
        names = [*names]
        made = [self.shaped(like, n) for n, like in zip(names, of or names, strict=True)]
        return f"{', '.join(names)} = {', '.join(made)}" if names and self.deep else ""

    def over(self, function: str, code: str) -> str:
        """Return PyTorch's code of what goes over an axis."""
        kind, _, axis = function.partition("_")
        at = {"head": -3, "unit": -2, "key": -1}[axis] if self.deep else -1
        return _OVER_TORCH[kind].format(a=code, at=at)

    def size(self, text: str, there: Iterable[str], units: str, ones: str = "np.ones") -> str:
        """Return the lines that set the sizes of axes that a text names.

        They are those of values that are there; where none has units, `units` is code of how many there are.
        """
        lines, there, heads = list[str](), [*there], self.eq.heads
        for axis, place in {"unit": -2 if self.deep else -1, "key": -1}.items():
            if re.search(rf"\b(size|ones)_{axis}\b", text):
                like = next((n for n in there if axis in self.eq.axes[self.whole.value_of(n)]), "")
                if like:
                    size = f"{like}.shape[{place}]"
                elif axis == "key" and self.eq.keys:
                    size = f"{self.eq.keys}"
                else:
                    size = f"{self.known(units)} // {heads}" if heads > 1 else self.known(units)
                lines.append(f"size_{axis} = {size}")
            if re.search(rf"\bones_{axis}\b", text):
                column = ", 1" if axis == "unit" and self.deep else ""
                lines.append(f"ones_{axis} = {ones}((size_{axis}{column or ','}))")
        return "\n".join(lines)

    def units(self, arrays: Mapping[str, tuple[Sequence[str], str]]) -> str:
        """Return how many units there are, of a product's gates and an array whose columns these are."""
        for gates, array in arrays.values():
            one, two, three = (sum(self.eq.width(g, k * self.eq.heads) for g in gates) for k in (1, 2, 3))
            if two - one == three - two > 0:  # not of units times as many keys
                less, each = 2 * one - two, (two - one) // self.eq.heads
                columns = f"({array}.shape[-1] - {less})" if less else f"{array}.shape[-1]"
                return f"{columns} // {each}" if each > 1 else columns
        return ""

    def known(self, units: str) -> str:
        """Return it, where it is known."""
        if not units:
            raise ConfigError(f"{self.eq.name}: no matrix tells how many units there are: no code is printed")
        return units

    def flattened(self, code: str) -> str:
        """Return PyTorch's code of a value flat."""
        return f"{code}.flatten(-3)" if self.deep else code

    def unflattened(self, name: str, code: str) -> str:
        """Return the line of PyTorch that gives what is called so its axes, those of a value."""
        return f"{code} = {self.unflattened_code(name, code)}"

    def unflattened_code(self, name: str, code: str) -> str:
        """Return PyTorch's code of a value with its axes, of code of it flat."""
        return f"{code}.unflatten(-1, ({', '.join(self._sizes(self.eq.axes[name], code))}))"

    def full(self, name: str, code: str, has: Axes, rows: str, library: str = "np") -> str:
        """Return code of an array with all axes of a value, of code of one that has some."""
        axes = self.eq.axes[name]
        if self.plain or axes <= has:
            return code
        return f"{library}.broadcast_to({code}, {self.shape(name, rows)})"

    def shape(self, name: str, rows: str) -> str:
        """Return code of a value's shape, where there are so many rows."""
        axes = self.eq.axes[name]
        sizes = [f"size_{axis}" if axis in axes else "1" for axis in ("unit", "key")]
        shape = [f"{self.eq.heads}" if "head" in axes else "1", *sizes] if self.deep else sizes[:1]
        return f"(*{rows}, {', '.join(shape)})"

    def functions(self, text: str) -> str:
        """Return the functions that a text calls."""
        found = []
        for name in OVER:
            kind, _, axis = name.partition("_")
            if re.search(rf"\b{name}\(", text):
                at = {"head": -3, "unit": -2, "key": -1}[axis] if self.deep else -1
                made, words = (t.format(at=at, axis=axis) for t in _OVER[kind])
                found.append(f'def {name}(a):\n    """Return {words}."""\n    return {made}')
        for shape, axes in SHAPES.items():
            if f"{self._by[axes]}(" in text:
                found.append(self._shape(shape, axes))
        if f"{self._flat}(" in text:
            said = '"""Return a value with one axis for heads, units and keys."""'
            found.append(f"def {self._flat}(a):\n    {said}\n    return a.reshape(*a.shape[:-3], -1)")
        return "".join(f"{f}\n\n\n" for f in found)

    def _shape(self, name: str, axes: Axes) -> str:
        said = f"Return what has a number for each {' and '.join(name.split())} with an axis for each."
        lines = [f"def {self._by[axes]}(a):", f'    """{said}"""']
        return "\n".join([*lines, f"    return a.reshape(*a.shape[:-1], {', '.join(self._sizes(axes))})"])

    def _sizes(self, axes: Axes, of: str = "a") -> list[str]:
        """Return how many heads, units and keys there are, -1 for what follows of the size of it all."""
        eq, both = self.eq, {"unit", "key"} <= axes
        sizes = [f"{eq.heads}" if "head" in axes else "1", "-1" if "unit" in axes else "1"]
        sizes.append((f"{eq.keys}" if both else "-1") if "key" in axes else "1")
        if both and not eq.keys:
            sizes[1:] = [f"round(({of}.shape[-1] / {eq.heads}) ** 0.5)"] * 2
        return sizes

    def has(self, e: Expr) -> Axes:
        """Return the axes of an expression of gradients."""
        if e.is_Symbol:
            known = self.whole.derivation.axes
            return known.get(e.name, frozenset())
        name = type(e).__name__
        if name == "product":
            at = self.back_at(e.args[1].name)
            return self.eq.axes[at] if at else frozenset()
        of = frozenset[str]().union(*map(self.has, e.args))
        kind, _, axis = name.partition("_")
        return of - {axis} if name in OVER and kind in ("sum", "max") else of

    def back_at(self, matrix: str) -> str:
        """Return at which value the product with a matrix is a gradient; nothing for the input."""
        whole = self.whole
        kind, gate = next(of for of, name in whole.names.items() if name == matrix)
        at = str(whole.source(gate)) if kind == "U" else whole.x
        return at if at in self.eq.axes else ""


class ArrayPrinter(Printer):
    """Prints products of values that have axes; matrices stand in a dict."""

    def __init__(self, arrays: Arrays, p: str, flat: Collection[str]) -> None:
        super().__init__()
        self.arrays, self.p, self.flat = arrays, p, flat

    def _print_Symbol(self, e: Expr) -> str:  # noqa: N802  the library's names
        whole = self.arrays.whole
        own = e.name in whole.shapes and e.name not in whole.equations.params
        return f'{self.p}["{e.name}"]' if own else str(e.name)

    def _print_Function(self, e: Expr) -> str:  # noqa: N802
        match type(e).__name__:
            case "affine":
                return f"{self._one(e.args[0])} @ {self._print(e.args[1])}"
            case "outer":
                return f"{self._one(e.args[0])}.T @ {self._one(e.args[1])}"
            case "product":
                made = f"{self._one(e.args[0])} @ {self._print(e.args[1])}.T"
                at = self.arrays.back_at(e.args[1].name)
                return self.arrays.shaped(at, made) if at else made
        return str(super()._print_Function(e))

    def _one(self, e: Expr) -> str:
        return e.name if e.name in self.flat else self.arrays.flat(e.name)
