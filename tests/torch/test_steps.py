"""A cell's step as a torch.autograd.Function, in whatever a program of PyTorch does with one."""

import copy
import io
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt.cells import LSTM
from bptt.errors import ConfigError
from bptt.zoo.equations import ZOO
from odd_cells import ODD

torch = pytest.importorskip("torch")

from bptt.torch.steps import function  # noqa: E402  once it is known that there is PyTorch

D, H, N, T = 3, 4, 2, 3


def draw(cell: str, dtype: Any = torch.float64, rows: int = N) -> list[Any]:
    """Return x of all steps, the states and the parameters of a step, leaves all."""
    made = ZOO[cell]
    G_x, G_h = len(made.from_x), len(made.from_h) + len(made.from_q)
    shapes = [(T, rows, D), *[(rows, H)] * len(made.states), (D, G_x * H)] + [(H, G_h * H)] * (G_h > 0)
    shapes += [(G_x * H,)] * made.bias + [(H,)] * len(made.units)
    rng = torch.Generator().manual_seed(0)
    return [torch.randn(s, generator=rng, dtype=dtype, requires_grad=True) for s in shapes]


class Layer(torch.nn.Module):  # type: ignore[misc, name-defined]
    """Steps in a loop, with parameters of its own."""

    def __init__(self, cell: str, dtype: Any = torch.float64) -> None:
        super().__init__()
        self.step, self.states = function(cell), len(ZOO[cell].states)
        arrays = draw(cell, dtype)[1 + self.states :]
        self.arrays = torch.nn.ParameterList(a.detach().clone() for a in arrays)

    def forward(self, x: Any, *states: Any) -> Any:
        outputs = []
        for x_t in x:
            made = self.step.apply(x_t, *states, *self.arrays)
            states = made if isinstance(made, tuple) else (made,)
            outputs.append(states[0])
        return torch.stack(outputs), *states


def grads(results: Any, given: list[Any]) -> Any:
    rng = torch.Generator().manual_seed(1)
    loss = sum((r.double() * torch.randn(r.shape, generator=rng, dtype=torch.float64)).sum() for r in results)
    return torch.autograd.grad(loss, given)


def test_one_class_a_cell_whose_docstring_says_what_it_takes() -> None:
    step = function("lstm")
    assert issubclass(step, torch.autograd.Function)
    assert step is function(ZOO["lstm"]) is function(bptt.zoo.get("lstm"))
    assert step is not function("lstm-chrono")
    doc = " ".join(step.__doc__.split())
    assert "h, c = LstmStep.apply(x, h_prev, c_prev, W, U, b)." in doc
    assert "W (D, 4 * H); U (H, 4 * H); b (4 * H,). The columns of W, U and b are those of a_i, a_f" in doc
    assert "The columns of U are those of a_r, a_z, u_n." in " ".join(function("gru").__doc__.split())


def test_a_layer_s_arrays_of_bptt_are_the_step_s() -> None:
    rng = np.random.default_rng(0)
    model = bptt.Model(inputs=5, outputs=5, hidden=H, cell="slstm")
    layer = bptt.layer_params(model.init(rng, dtype=np.float64))
    x = rng.normal(size=(T, N, len(layer["W"])))
    states = tuple(torch.zeros(N, H, dtype=torch.float64) for _ in range(4))
    for x_t in torch.from_numpy(x):
        states = function("slstm").apply(x_t, *states, *map(torch.from_numpy, layer.values()))
    ran = bptt.unroll("slstm", layer, x)
    for s, wanted in zip(states, ran.states, strict=True):
        np.testing.assert_allclose(s.numpy(), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("cell", ["gru", "lstm-peephole"])
def test_gradcheck(cell: str) -> None:
    x, *others = draw(cell)
    assert torch.autograd.gradcheck(function(cell).apply, (x[0], *others))


def test_what_needs_no_gradient_gets_none_and_costs_no_product() -> None:
    given = [a.detach() for a in draw("lstm")]
    for k, a in enumerate(given):
        a.requires_grad_(k != 0 and k != 3)
    h, c = function("lstm").apply(given[0][0], *given[1:])
    with torch.profiler.profile() as profile:
        (h.sum() + 2 * c.sum()).backward()
    assert [k for k, a in enumerate(given) if a.grad is None] == [0, 3]
    (products,) = [e.count for e in profile.key_averages() if e.key == "aten::mm"]
    assert products == 2  # dh_prev and dU


def test_a_second_derivative_is_refused() -> None:
    given = draw("rnn")
    h = function("rnn").apply(given[0][0], *given[1:])
    (dx,) = torch.autograd.grad(h.pow(2).sum(), given[0], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        dx.sum().backward()


def test_no_rows() -> None:
    x, *others = draw("gru-cho", rows=0)
    layer = Layer("gru-cho")
    results = layer(x, others[0])
    dx, dh, *dparams = grads(results, [x, others[0], *layer.arrays])
    assert results[0].shape == (T, 0, H)
    assert (dx.shape, dh.shape) == (x.shape, others[0].shape)
    assert all((d == 0).all() for d in dparams)


@pytest.mark.parametrize("cell", ["lstm", "gru", "gru-cho", "slstm", "lstm-no-bias"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dtypes(cell: str, dtype: Any) -> None:
    x, *others = draw(cell)
    count, layer = len(ZOO[cell].states), Layer(cell)
    wanted = grads(layer(x, *others[:count]), [x, *layer.arrays])
    x, states = x.detach().to(dtype).requires_grad_(), [s.detach().to(dtype) for s in others[:count]]
    layer.to(dtype)
    results = layer(x, *states)
    assert {r.dtype for r in results} == {dtype}
    for d, w in zip(grads(results, [x, *layer.arrays]), wanted, strict=True):
        assert d.dtype == dtype
        assert (d.double() - w).abs().max() < (1e-5 if dtype == torch.float32 else 0.2) * w.abs().max()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
@pytest.mark.parametrize("cell", ZOO)
@pytest.mark.parametrize(("dtype", "most"), [(torch.float64, 1e-12), (torch.float32, 1e-4), (None, 0.2)])
def test_on_a_gpu_steps_give_the_numbers_of_the_cpu(cell: str, dtype: Any, most: float) -> None:
    """In float64, float32, and float32 under autocast."""
    x, *others = draw(cell)
    count, layer = len(ZOO[cell].states), Layer(cell)
    wanted = grads(layer(x, *others[:count]), [x, *layer.arrays])
    layer.to("cuda", dtype or torch.float32)
    given = [a.detach().to("cuda", dtype or torch.float32) for a in (x, *others[:count])]
    given[0].requires_grad_()
    with torch.autocast("cuda", dtype=torch.bfloat16, enabled=dtype is None):
        results = [r.cpu() for r in layer(*given)]
    for d, w in zip(grads(results, [given[0], *layer.arrays]), wanted, strict=True):
        assert d.is_cuda
        assert (d.cpu().double() - w).abs().max() < most * w.abs().max()


@pytest.mark.parametrize("cell", ["lstm", "gru", "gru-cho", "lstm-no-bias", "rnn"])
@pytest.mark.parametrize("lower", [True, False])
def test_autocast(cell: str, lower: bool) -> None:
    """Products are made in bfloat16; what comes in so, as from a Linear, and what does not, goes together."""
    x, *others = draw(cell, torch.float32)
    count, layer = len(ZOO[cell].states), Layer(cell, torch.float32)
    wanted = grads(layer(x, *others[:count]), [x, *layer.arrays])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        given = [a.bfloat16() if lower else a for a in (x, *others[:count])]
        results = layer(*given)
    assert {r.dtype for r in results} == {torch.float32}
    for d, w in zip(grads(results, [x, *layer.arrays]), wanted, strict=True):
        assert d.dtype == torch.float32
        assert 1e-6 < (d - w).abs().max() / w.abs().max() < 0.1


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiled_whole() -> None:
    x, h, c, *_ = draw("lstm")
    layer = Layer("lstm")
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    given = [x, h, c, *layer.arrays]
    for a, b in zip(grads(compiled(x, h, c), given), grads(layer(x, h, c), given), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("copied", ["pickle", "save", "deepcopy"])
def test_a_module_that_holds_it_is_copied(copied: str) -> None:
    layer = Layer("lstm")
    if copied == "pickle":
        again = pickle.loads(pickle.dumps(layer))
    elif copied == "save":
        file = io.BytesIO()
        torch.save(layer, file)
        file.seek(0)
        again = torch.load(file, weights_only=False)
    else:
        again = copy.deepcopy(layer)
    assert again.step is layer.step
    x, h, c, *_ = draw("lstm")
    assert torch.equal(again(x, h, c)[0], layer(x, h, c)[0])


class Doubled(torch.autograd.Function):  # type: ignore[misc, name-defined]
    """Somebody else's."""


def test_other_functions_pickle_as_ever() -> None:
    assert pickle.loads(pickle.dumps(function(ODD["greek"]))) is function(ODD["greek"])
    assert pickle.loads(pickle.dumps(Doubled)) is Doubled


def test_a_mistake_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine(LSTM):
        name = "mine"

    with pytest.raises(ConfigError, match=r"^no cell is called 'nolstm'"):
        function("nolstm")
    with pytest.raises(ConfigError, match=r"^mine: a step is derived from equations, and this cell has none"):
        function(Mine())
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ConfigError, match=r"pip install 'bptt\[torch\]'$"):
        function(ODD["one-gate"])
