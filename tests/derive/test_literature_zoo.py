"""Cells of the zoo's papers against steps of PyTorch written from them: every element of every gradient."""

from typing import Any

import numpy as np
import pytest

import bptt
from bptt.derive import EquationCell, page
from bptt.layer.shapes import layer_shapes
from bptt.zoo.papers import PAPERS

torch: Any = pytest.importorskip("torch")
from literature import STEPS  # noqa: E402

T, N, D, H = 3, 2, 3, 5

STATES: dict[str, Any] = {
    "clockwork.k": lambda rng, shape: rng.integers(0, 5, shape).astype(float),
    "rwkv.b": lambda rng, shape: rng.uniform(0.5, 2, shape),
    "lsnn.z": lambda rng, shape: rng.integers(0, 2, shape).astype(float),
}
"""Initial values where not any number is one."""


def test_each_paper_has_a_step() -> None:
    assert PAPERS.keys() == STEPS.keys()


def drawn(cell: EquationCell, seed: int) -> tuple[dict[str, Any], Any, Any, Any, Any]:
    """Return parameters, x, initial states and cotangents."""
    rng = np.random.default_rng(seed)
    shapes = layer_shapes(cell, D, H, "one" if cell.bias else "none")
    params: dict[str, Any] = {n: rng.normal(0, 0.7, shape) for n, shape in shapes.items()}
    bounds = {n: start for n, start in cell.equations.params.items() if isinstance(start, tuple)}
    params |= {n: rng.uniform(*pair, params[n].shape) for n, pair in bounds.items()}
    x, dy = rng.normal(size=(T, N, D)), rng.normal(size=(T, N, H))
    given = [STATES.get(f"{cell.name}.{s}", lambda rng, shape: rng.normal(size=shape)) for s in cell.states]
    states = tuple(draw(rng, (N, H)) for draw in given)
    return params, x, states, dy, tuple(rng.normal(size=(N, H)) for _ in states)


def by_autograd(cell: EquationCell, params: Any, x: Any, states: Any, dy: Any, dstates: Any) -> Any:
    """Return the outputs, and the gradients by name."""
    at = {n: torch.tensor(a, requires_grad=True) for n, a in params.items()}
    given = [torch.tensor(a, requires_grad=True) for a in (x, *states)]
    from_u = cell.from_h + cell.from_q
    W = dict(zip(cell.from_x, at["W"].split(H, -1), strict=True)) if cell.from_x else {}
    b = dict(zip(cell.from_x, at["b"].split(H, -1), strict=True)) if cell.bias else {}
    U = dict(zip(from_u, at["U"].split(H, -1), strict=True)) if from_u else {}
    now, ys = tuple(given[1:]), []
    for x_t in given[0]:

        def affine(gate: str, read: Any = None, x_t: Any = x_t) -> Any:
            assert (read is not None) == (gate in U)
            parts = [x_t @ W[gate]] if gate in W else []
            parts += [b[gate]] if gate in b else []
            return sum(parts + ([read @ U[gate]] if gate in U else []))

        now = STEPS[cell.name](affine, at, *now)
        ys.append(now[0])
    pairs = [*zip(ys, dy, strict=True), *zip(now, dstates, strict=True)]
    loss = sum((s * torch.tensor(d)).sum() for s, d in pairs)
    wanted = torch.autograd.grad(loss, [*at.values(), *given], allow_unused=True, materialize_grads=True)
    return torch.stack(ys), dict(zip([*at, "x", *cell.states], wanted, strict=True))


@pytest.mark.parametrize("name", PAPERS)
@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_gradients_are_those_of_the_paper_s_step(name: str, backend: Any) -> None:
    cell = PAPERS[name]
    for seed in range(3):
        params, x, states, dy, dstates = drawn(cell, seed)
        ran = bptt.unroll(cell, params, x, states, backend=backend)
        grads = ran.backward(dy, dstates)
        got: Any = grads.params | {"x": grads.inputs} | dict(zip(cell.states, grads.states, strict=True))
        y, wanted = by_autograd(cell, params, x, states, dy, dstates)
        np.testing.assert_allclose(ran.y, y.detach().numpy(), rtol=1e-12, atol=1e-12)
        for n, d in wanted.items():
            np.testing.assert_allclose(got[n], d.numpy(), rtol=1e-10, atol=1e-10, err_msg=n)


@pytest.mark.parametrize("name", PAPERS)
def test_what_is_printed_of_a_paper_is_proven(name: str) -> None:
    for form in ("text", "latex", "numpy", "torch"):
        assert page(PAPERS[name], form)
