"""Cells of the zoo's papers against steps of PyTorch written from them: every element of every gradient."""

from typing import Any

import numpy as np
import pytest

import bptt
from bptt.derive import EquationCell, page
from bptt.kernels.backends import reason_against
from bptt.layer.columns import Columns
from bptt.layer.shapes import layer_shapes
from bptt.zoo.papers import PAPERS

torch: Any = pytest.importorskip("torch")
from literature import STEPS  # noqa: E402
from sampling import some  # noqa: E402

T, N, D = 3, 2, 3

STATES: dict[str, Any] = {
    "clockwork.k": lambda rng, shape: rng.integers(0, 5, shape).astype(float),
    "rwkv.b": lambda rng, shape: rng.uniform(0.5, 2, shape),
    "lsnn.z": lambda rng, shape: rng.integers(0, 2, shape).astype(float),
    "slstm-heads.n": lambda rng, shape: rng.uniform(0.5, 2, shape),
    "linear-attention.z": lambda rng, shape: rng.uniform(0.5, 2, shape),
    "rkn.su": lambda rng, shape: rng.uniform(0.5, 2, shape),
    "rkn.sl": lambda rng, shape: rng.uniform(0.5, 2, shape),
    "hippo.k": lambda rng, shape: rng.integers(0, 5, shape).astype(float),
    "fru.k": lambda rng, shape: rng.integers(0, 5, shape).astype(float),
    "skip-lstm.u": lambda rng, shape: rng.uniform(0.1, 0.9, shape),
}
"""Initial values where not any number is one."""


def test_each_paper_has_a_step() -> None:
    assert PAPERS.keys() == STEPS.keys()


def sizes(cell: EquationCell) -> tuple[int, int]:
    """Return D and H: where the equations read x itself, they are one."""
    H = 8 if cell.equations.heads > 1 or cell.maps else 5
    return H if "x" in cell.given else D, H


def drawn(cell: EquationCell, seed: int) -> tuple[dict[str, Any], Any, Any, Any, Any]:
    """Return parameters and what is given, x, initial states and cotangents."""
    rng = np.random.default_rng(seed)
    (D, H), given = sizes(cell), [n for n in cell.given if n != "x"]
    shapes = layer_shapes(cell, D, H, "one" if cell.bias else "none")
    params: dict[str, Any] = {n: rng.normal(0, 0.7, shape) for n, shape in shapes.items()}
    bounds = {n: start for n, start in cell.equations.params.items() if isinstance(start, tuple)}
    params |= {n: rng.uniform(*pair, params[n].shape) for n, pair in bounds.items()}
    params |= {n: rng.uniform(0, 3, (T, N, cell.width(n, H))) for n in given}
    widths = [cell.width(s, H) for s in cell.states]
    x, dy = rng.normal(size=(T, N, D)), rng.normal(size=(T, N, widths[0]))
    draws = [STATES.get(f"{cell.name}.{s}", lambda rng, shape: rng.normal(size=shape)) for s in cell.states]
    states = tuple(draw(rng, (N, width)) for draw, width in zip(draws, widths, strict=True))
    return params, x, states, dy, tuple(rng.normal(size=s.shape) for s in states)


class Affine:
    """A step's pre-activations by gate, of W, U and b cut into their columns; and what is given at it."""

    def __init__(self, cell: EquationCell, at: Any) -> None:
        columns = Columns.of(cell, sizes(cell)[1])
        widths = {g: c.stop - c.start for g, c in cell.columns(sizes(cell)[1]).items()}

        def cut(array: Any, gates: tuple[str, ...]) -> dict[str, Any]:
            parts = array.split([widths[g] for g in gates], -1) if gates else ()
            return dict(zip(gates, parts, strict=True))

        self._W = cut(at["W"], tuple(g for g in cell.from_x if f"W.{g}" not in cell.maps))
        self._b = cut(at["b"], cell.from_x) if cell.bias else {}
        self._U: dict[str, Any] = {}
        for p in () if cell.maps else columns.products:  # else a step makes the matrix
            self._U |= cut(at[p.matrix][:, p.own], p.part.gates)
        self._given = {n: at[n] for n in cell.given if n != "x"}

    def at(self, x_t: Any, t: int) -> "Affine":
        self.x = x_t
        for name, array in self._given.items():
            setattr(self, name, array[t])
        return self

    def __call__(self, gate: str, read: Any = None) -> Any:
        assert (read is not None) == (gate in self._U)
        parts = [self.x @ self._W[gate]] if gate in self._W else []
        parts += [self._b[gate]] if gate in self._b else []
        return sum(parts + ([read @ self._U[gate]] if gate in self._U else []))


def by_autograd(cell: EquationCell, params: Any, x: Any, states: Any, dy: Any, dstates: Any) -> Any:
    """Return the outputs, and the gradients by name."""
    at = {n: torch.tensor(a, requires_grad=True) for n, a in params.items()}
    given = [torch.tensor(a, requires_grad=True) for a in (x, *states)]
    affine, now, ys = Affine(cell, at), tuple(given[1:]), []
    for t, x_t in enumerate(given[0]):
        now = STEPS[cell.name](affine.at(x_t, t), at, *now)
        ys.append(now[0])
    pairs = [*zip(ys, dy, strict=True), *zip(now, dstates, strict=True)]
    loss = sum((s * torch.tensor(d)).sum() for s, d in pairs)
    wanted = torch.autograd.grad(loss, [*at.values(), *given], allow_unused=True, materialize_grads=True)
    return torch.stack(ys), dict(zip([*at, "x", *cell.states], wanted, strict=True))


@pytest.mark.parametrize(
    ("backend", "name"), [("reference", n) for n in PAPERS] + [("cpu", n) for n in some(PAPERS, 24)]
)
def test_gradients_are_those_of_the_paper_s_step(name: str, backend: Any) -> None:
    cell = PAPERS[name]
    if backend == "cpu" and reason_against(cell, np.dtype(np.float64)):
        pytest.skip("it has no kernel")
    for seed in some(range(3), 1):
        params, x, states, dy, dstates = drawn(cell, seed)
        ran = bptt.unroll(cell, params, x, states, backend=backend)
        grads = ran.backward(dy, dstates)
        got: Any = grads.params | {"x": grads.inputs} | dict(zip(cell.states, grads.states, strict=True))
        y, wanted = by_autograd(cell, params, x, states, dy, dstates)
        np.testing.assert_allclose(ran.y, y.detach().numpy(), rtol=1e-12, atol=1e-12)
        for n, d in wanted.items():
            np.testing.assert_allclose(got[n], d.numpy(), rtol=1e-10, atol=1e-10, err_msg=n)


FORMS = ("text", "latex", "numpy", "torch")


@pytest.mark.parametrize(
    ("form", "name"), [(f, n) for k, f in enumerate(FORMS) for n in some(PAPERS, 4, 3 * k)]
)
def test_what_is_printed_of_a_paper_is_proven(form: str, name: str) -> None:
    assert page(PAPERS[name], form)
