"""The loop over a cell's equations, whatever their values' shapes, against the derived backward."""

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from bptt.derive import EquationCell  # noqa: E402
from bptt.layer.reference import unroll  # noqa: E402
from bptt.torch.loop import functions  # noqa: E402
from bptt.zoo.step import step_of  # noqa: E402
from shaped import CELLS, T, drawn  # noqa: E402


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_autograd_gives_the_derived_gradients(cell: EquationCell) -> None:
    params, x, states = drawn(cell)
    run = unroll(cell, params, x, states)
    dy = np.random.default_rng(1).normal(size=run.y.shape)
    dfinal = [np.random.default_rng(2).normal(size=s.shape) for s in run.states]
    grads = run.backward(dy, tuple(dfinal))
    P = {n: torch.tensor(a, requires_grad=True) for n, a in params.items()}
    X = torch.tensor(x, requires_grad=True)
    first = now = tuple(torch.tensor(s, requires_grad=True) for s in states)
    step, outputs = step_of(cell, functions(), lambda a, count: a.chunk(count, -1)), []
    for t in range(T):
        given = {n: X[t] if n == "x" else P[n][t] for n in cell.given}
        now = step(X[t] @ P["W"] + P["b"], now, P, given)
        outputs.append(now[0])
    loss = (torch.stack(outputs) * torch.tensor(dy)).sum()
    loss = loss + sum((s * torch.tensor(d)).sum() for s, d in zip(now, dfinal, strict=True))
    loss.backward()
    got = {n: p.grad for n, p in P.items()} | {"in": X.grad}
    want: dict[str, Any] = grads.params | {"in": grads.inputs}
    for k, (s, g) in enumerate(zip(first, grads.states, strict=True)):
        got[f"at {k}"], want[f"at {k}"] = s.grad, g
    for name, g in want.items():
        own = np.zeros_like(g) if got[name] is None else got[name].numpy()
        np.testing.assert_allclose(own, g, 1e-10, 1e-10, err_msg=name)
