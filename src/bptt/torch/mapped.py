"""A layer's matrices made of its maps' raw tensors, by PyTorch's operations: within autograd, anywhere."""

import ast
import copy
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch

from bptt.cells import Cell
from bptt.layer.mapped import blocks, gate_of, matrices
from bptt.maps import Equation, Map
from bptt.maps.constants import CONSTANTS, constant
from bptt.maps.functions import FUNCTIONS, circles, diagonals
from bptt.maps.text import ARRAY, IDENTITY, RESULT, value_of
from bptt.torch.tensors import Tensor


class Matrices:
    """What makes a layer's W and U of its tensors, as :func:`bptt.layer.mapped.made` does of arrays.

    Parameters
    ----------
    cell : Cell
        With maps.
    D, H : int
    """

    def __init__(self, cell: Cell, D: int, H: int) -> None:
        self._of = cell, D, H
        known = blocks(cell, D, H)
        self.widths = {name: block.sizes[1] for name, block in known.items()}
        self.blocks = {
            matrix: [name for name, block in known.items() if "." in name and block.matrix == matrix]
            for matrix in matrices(cell)
        }
        self.served = {gate_of(n): gate_of(each) for n, each in cell.maps.items() if isinstance(each, str)}
        self.made = []
        for name, each in cell.maps.items():
            if isinstance(each, Map):
                block = known[gate_of(name)]
                raw = [f"{name}.{n}" for n in each.shapes(*block.sizes)]
                self.made.append((gate_of(name), raw, block.sizes, _function(each, *block.sizes)))
        self.raw = {name for _, raw, *_ in self.made for name in raw}
        mapped = {at for at, *_ in self.made}
        self.left = {
            matrix: names if matrix in mapped else [n for n in names if n not in (*mapped, *self.served)]
            for matrix, names in self.blocks.items()
        }

    def __reduce__(self) -> Any:
        return Matrices, self._of

    def __call__(self, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors by name, with W and U whole."""
        parts, like = {}, params["U"]
        for at, raw, sizes, function in self.made:
            parts[at] = function(like, *[params[n] for n in raw]).expand(*sizes)
        for matrix, names in self.left.items():
            if names:
                whole = parts[matrix] if matrix in parts else params[matrix]
                parts |= dict(zip(names, whole.split([self.widths[n] for n in names], -1), strict=True))
        found = {name: tensor for name, tensor in params.items() if name not in self.raw}
        for matrix, names in self.blocks.items():
            if names:
                found[matrix] = torch.cat([parts[self.served.get(n, n)] for n in names], -1)
        return found


def _function(each: Map, rows: int, columns: int) -> Callable[..., Tensor]:
    """Return what makes a map's matrix of a tensor like it and the raw ones."""
    names = list(each.shapes(rows, columns))
    if not isinstance(each, Equation):
        return lambda like, *raw: _Code.apply(each, (rows, columns), tuple(names), like, *raw)
    fixed = _Constants((rows, columns))
    lines = [
        f"{name} = {ast.unparse(fixed.visit(copy.deepcopy(expr)))}"
        for name, expr in each.derived(rows, columns).forward
    ]
    held = [f"{name} = _constants[{k}].to(_like)" for k, name in enumerate(fixed.values)]
    result = f"return _whole({RESULT}, _like)"
    text = "\n    ".join((f"def matrix({', '.join(('_like', *names))}):", *held, *lines, result))
    # an equation's names begin with no underscore
    namespace = _functions() | {"_constants": [*fixed.values.values()], "_whole": _whole}
    exec(compile(text, f"<the map {each.name}>", "exec"), namespace)
    made: Callable[..., Tensor] = namespace["matrix"]
    return made


def _whole(value: Any, like: Tensor) -> Tensor:
    return value if isinstance(value, torch.Tensor) else like.new_tensor(value)


class _Constants(ast.NodeTransformer):
    """Puts names in the place of what no tensor is in."""

    def __init__(self, sizes: tuple[int, int]) -> None:
        self.sizes, self.values = sizes, dict[str, Tensor]()

    def held(self, values: Any) -> ast.AST:
        name = f"_{len(self.values)}"
        self.values[name] = torch.tensor(np.asarray(values, float))
        return ast.Name(name, ast.Load())

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self.held(np.eye(*self.sizes)) if node.id == IDENTITY else node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        assert isinstance(node.func, ast.Name)
        if node.func.id == ARRAY:
            return self.held(ast.literal_eval(node.args[0]))
        if node.func.id in CONSTANTS:
            return self.held(constant(node.func.id, self.sizes, *map(value_of, node.args)))
        node.args = [self.visit(a) for a in node.args]
        return node


class _Code(torch.autograd.Function):
    """A map that is code, over NumPy's arrays."""

    @staticmethod
    def forward(
        ctx: Any, each: Map, sizes: tuple[int, int], names: Sequence[str], like: Tensor, *raw: Tensor
    ) -> Tensor:
        ctx.each, ctx.names = each, names
        ctx.save_for_backward(*raw)
        return torch.as_tensor(
            each.forward(_arrays(names, raw), *sizes), dtype=like.dtype, device=like.device
        )

    @staticmethod
    def backward(ctx: Any, *d: Tensor) -> tuple[Any, ...]:
        raw = ctx.saved_tensors
        back = ctx.each.pullback(_arrays(ctx.names, raw), d[0].detach().cpu().numpy())
        grads = (torch.as_tensor(back[n]).to(t) for n, t in zip(ctx.names, raw, strict=True))
        return None, None, None, None, *grads


def _arrays(names: Sequence[str], raw: Sequence[Tensor]) -> dict[str, Any]:
    return {n: t.detach().cpu().numpy() for n, t in zip(names, raw, strict=True)}


@cache
def _functions() -> dict[str, Any]:
    """Return the functions of equations over tensors."""
    own: dict[str, Any] = {
        "expm": torch.linalg.matrix_exp,
        "inv": torch.linalg.inv,
        "reflections": _reflections,
        "blocks": lambda B: torch.block_diag(*B),
        "circulant": lambda v: v[torch.from_numpy(circles(len(v)))],
        "toeplitz": lambda v: v[torch.from_numpy(diagonals(len(v)))],
        "sum": lambda X, axis: X.sum(int(axis), keepdim=True),
        "stop": torch.Tensor.detach,
        "softplus": torch.nn.functional.softplus,
        "step": lambda x: (x > 0).to(x.dtype),
    }
    return {name: own.get(name) or getattr(torch, name) for name in FUNCTIONS}


def _reflections(V: Tensor) -> Tensor:
    P = torch.eye(V.shape[1], dtype=V.dtype, device=V.device)
    for v in V:
        P = P - torch.outer(P @ v, (2 / (v @ v)) * v)
    return P
