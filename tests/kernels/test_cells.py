"""Kernels against the reference loop: every cell, sizes around a vector's width, flags, directions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt.derive.proof import ProofError
from bptt.kernels.backends import kernel, matmul
from bptt.kernels.cell.rows import Ragged, rows_of
from bptt.kernels.llvm.host import host
from bptt.layer.reference import unroll as reference
from bptt.nets.stepper import Stepper
from bptt.zoo.equations import ZOO
from gradcheck import TOLERANCE
from kernel_cases import FLAGS, compare, difference, exact, weights

CELLS = {**ZOO, **{f"{name}, by hand": cell for name, cell in bptt.cells.CELLS.items()}}


def needs(dtype: str) -> None:
    if dtype == "bfloat16" and not host().avx512_bf16:
        pytest.skip("not a processor with bfloat16")


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("name", CELLS)
def test_equals_the_reference(name: str, dtype: str) -> None:
    needs(dtype)
    rng = np.random.default_rng(sum(map(ord, name)))
    sizes = [(T, N, H) for T in (1, 2, 7) for N in (1, 2, 5, 32) for H in (1, 3, 16, 17, 64, 100)]
    worst = {}
    for k, (T, N, H) in enumerate(sizes):
        kind = FLAGS[k % len(FLAGS)] if (k // len(FLAGS)) % 2 else FLAGS[0]
        worst[T, N, H, kind] = compare(CELLS[name], rng, dtype, T, N, H, kind, tokens=k % 3 == 0)
    at = list(worst)[int(np.argmax(list(worst.values())))]
    assert worst[at] < TOLERANCE[dtype], at


@pytest.mark.parametrize("kind", FLAGS)
def test_every_flag(kind: str) -> None:
    rng = np.random.default_rng(7)
    for tokens in (False, True):
        for N in (3, 8):
            assert compare(ZOO["gru-cho"], rng, "float64", 6, N, 5, kind, tokens) < TOLERANCE["float64"]


def test_a_planted_fault_breaks_the_tolerance(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is compared is the cell's own code: with another derivative in it the comparison fails."""
    from bptt.derive.functions import FUNCTIONS, Function

    monkeypatch.setenv("BPTT_CACHE", str(tmp_path))
    monkeypatch.setitem(FUNCTIONS, "tanh", Function("np.tanh", ("1 - y",)))
    text = "@bptt.cell(state='h')\ndef planted(a_h):\n    h = tanh(a_h)\n    return h\n"
    cell = bptt.derive.EquationCell(bptt.derive.read(text))
    rng = np.random.default_rng(0)
    params = weights(cell, rng, 6, 4, "float64")
    x = rng.normal(size=(3, 2, 6))
    right = reference(bptt.zoo.get("rnn"), params, x)
    with pytest.raises(ProofError, match="a_h"):  # before any code is made of it
        bptt.unroll(cell, params, x, backend="cpu")
    monkeypatch.setattr("bptt.kernels.cell.sequence.prove", lambda d, still: None)
    fast = bptt.unroll(cell, params, x, backend="cpu")
    assert difference(fast.y, right.y) < 1e-14
    dy = rng.normal(size=right.y.shape)
    assert difference(fast.backward(dy).params["U"], right.backward(dy).params["U"]) > 1e-3


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "slstm", "gru-cho", "indrnn"])
def test_whole_models(cell: str, bidirectional: bool) -> None:
    """Layers, both directions, embedding, loss: in float32 beside the reference in float64."""
    rng = np.random.default_rng(3)
    sizes: dict[str, Any] = {"inputs": 11, "outputs": 11, "hidden": 19, "embedding": 7, "layers": 2}
    fast = bptt.Model(**sizes, cell=cell, bidirectional=bidirectional, backend="cpu")
    right = bptt.Model(**sizes, cell=cell, bidirectional=bidirectional, backend="reference")
    params = fast.init(rng)
    exact = {name: array.astype(np.float64) for name, array in params.items()}
    tokens = rng.integers(11, size=(8, 5))
    mask = np.arange(7)[:, None] < np.array([7, 3, 5, 0, 6])
    loss, grads, state = fast.loss_and_grads(params, tokens[:-1], tokens[1:], mask=mask)
    wanted = right.loss_and_grads(exact, tokens[:-1], tokens[1:], mask=mask)
    assert abs(loss - wanted.loss) < 1e-6
    for name, grad in wanted.grads.items():
        assert grads[name].dtype == np.float32
        assert difference(grads[name].astype(np.float64), grad) < TOLERANCE["float32"], name
    for name, array in wanted.state.items():
        assert difference(state[name].astype(np.float64), array) < TOLERANCE["float32"], name


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_the_same_bits_for_any_number_of_threads(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from bptt.layer import threads

    needs(dtype)
    precision: Any = "bfloat16" if dtype == "bfloat16" else "float32"
    dtype = "float32" if dtype == "bfloat16" else dtype
    rng = np.random.default_rng(5)
    T, N, D, H = 5, 13, 40, 70
    mask = np.arange(T)[:, None] < rng.integers(1, T + 1, size=N)
    for name in ("lstm", "lstm-peephole", "gru-cho"):
        cell = ZOO[name]
        params = weights(cell, rng, D, H, dtype)
        x = rng.normal(size=(T, N, D)).astype(dtype)
        dy = rng.normal(size=(T, N, H)).astype(dtype)
        for kind in (None, mask):
            results = []
            for count in (1, 2, 3, 4):
                monkeypatch.setattr(threads, "count", lambda count=count: count)
                run = bptt.unroll(cell, params, x, mask=kind, backend="cpu", precision=precision)
                grads = run.backward(dy)
                arrays = [run.y, *run.states, *grads.params.values(), grads.inputs, *grads.states]
                results.append([a.tobytes() for a in arrays if a is not None])
            assert all(result == results[0] for result in results)


@pytest.mark.parametrize("cell", ["lstm", "gru-cho"])
def test_whole_models_in_bfloat16(cell: str) -> None:
    """Every product rounds, those of the output and the embedding too, and nothing else is less precise."""
    needs("bfloat16")
    rng = np.random.default_rng(4)
    sizes: dict[str, Any] = {"inputs": 11, "outputs": 50, "hidden": 64, "embedding": 33, "layers": 2}
    narrow = bptt.Model(**sizes, cell=cell, precision="bfloat16")
    right = bptt.Model(**sizes, cell=cell, backend="reference")
    params = {name: rng.normal(size=shape) / np.sqrt(shape[0]) for name, shape in narrow.shapes.items()}
    params = {name: array.astype(np.float32) for name, array in params.items()}
    inputs, targets = rng.integers(11, size=(8, 5)), rng.integers(50, size=(8, 5))
    loss, grads, _ = narrow.loss_and_grads(params, inputs, targets)
    wanted = right.loss_and_grads(exact(params), inputs, targets)
    assert 1e-6 < abs(loss - wanted.loss) < 5e-3
    for name, grad in wanted.grads.items():
        error = np.linalg.norm(grads[name] - grad) / np.linalg.norm(grad)
        assert grads[name].dtype == np.float32
        assert 1e-5 < error < 1.5e-2, name
    outputs = narrow.forward(params, inputs).outputs
    stepper = Stepper(narrow, params, batch=5)
    steps = np.stack([stepper.read(tokens) for tokens in inputs])
    assert np.abs(steps - outputs).max() < 1e-6 * np.abs(outputs).max()


def test_a_product_that_does_not_round_breaks_the_tolerance(monkeypatch: pytest.MonkeyPatch) -> None:
    needs("bfloat16")
    monkeypatch.setattr("kernel_cases.rounded", np.asarray)
    rng = np.random.default_rng(6)
    for name in ("rnn", "lstm", "slstm"):
        worst = np.max(
            [compare(ZOO[name], rng, "bfloat16", 7, 5, 64, "none", tokens=False) for _ in range(5)]
        )
        assert worst > 1.5 * TOLERANCE["bfloat16"], name


def test_bfloat16_says_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    lstm, f32 = bptt.zoo.get("lstm"), np.dtype(np.float32)
    with pytest.raises(bptt.ConfigError, match="backend reference has no such products"):
        kernel("reference", lstm, f32, "bfloat16")
    with pytest.raises(bptt.ConfigError, match="parameters are float32; got float64"):
        kernel("auto", lstm, np.dtype(np.float64), "bfloat16")
    with pytest.raises(bptt.ConfigError, match="precision must be one of float32, bfloat16; got 'half'"):
        bptt.Model(inputs=3, outputs=3, hidden=2, precision="half")  # type: ignore[arg-type]
    monkeypatch.setenv("BPTT_TARGET", "baseline")
    with pytest.raises(bptt.ConfigError, match="has no AVX512-BF16; precision float32 runs it"):
        kernel("cpu", lstm, f32, "bfloat16")
    with pytest.raises(bptt.ConfigError, match="has no AVX512-BF16"):
        matmul(np.ones((2, 2), "f"), np.ones((2, 2), "f"), precision="bfloat16")


def test_early_ends_are_left_out() -> None:
    mask = np.arange(9)[:, None] < np.array([9, 2, 5, 0])
    found = rows_of(9, 4, 1 << 30, mask=mask, reset=None, reverse=False)
    assert isinstance(found, Ragged)
    assert found.total == 16
    assert [len(found.starts(cut)[0]) for cut in found.cuts(2)] == [9, 9]
    x = np.arange(36).reshape(9, 4)
    assert (found.leave(found.enter(x)) == np.where(mask, x, 0)).all()


def test_auto_is_the_kernel_in_float32_alone() -> None:
    lstm = bptt.zoo.get("lstm")
    assert kernel("auto", lstm, np.dtype(np.float32)) is not None
    assert kernel("auto", lstm, np.dtype(np.float64)) is None
    assert kernel("reference", lstm, np.dtype(np.float32)) is None
    with pytest.raises(bptt.ConfigError, match="complex128"):
        kernel("cpu", lstm, np.dtype(np.complex128))
    with pytest.raises(bptt.ConfigError, match="backend must be one of"):
        bptt.Model(inputs=3, outputs=3, hidden=2, backend="gpu")  # type: ignore[arg-type]


def test_a_cell_without_equations_falls_back_with_a_reason() -> None:
    class Own(type(bptt.zoo.get("lstm"))):  # type: ignore[misc]
        name = "own"

    cell = Own()
    assert kernel("auto", cell, np.dtype(np.float32)) is None
    with pytest.raises(bptt.ConfigError, match="own is written by hand and has no equations"):
        kernel("cpu", cell, np.dtype(np.float32))


@pytest.mark.parametrize("laid", [np.asfortranarray, lambda a: np.broadcast_to(a[0], a.shape)])
@pytest.mark.parametrize("reverse", [False, True])
def test_states_may_lie_in_memory_in_any_way(laid: Any, reverse: bool) -> None:
    rng = np.random.default_rng(7)
    T, N, D, H = 4, 5, 3, 6
    params = {"W": rng.normal(size=(D, 4 * H)), "U": rng.normal(size=(H, 4 * H)), "b": rng.normal(size=4 * H)}
    x, dy = rng.normal(size=(T, N, D)), rng.normal(size=(T, N, H))
    states = tuple(laid(rng.normal(size=(N, H))) for _ in range(2))
    dstates = tuple(laid(rng.normal(size=(N, H))) for _ in range(2))
    reset = laid(rng.random((T, N)) < 0.3)
    found = []
    for backend in ("cpu", "reference"):
        run = bptt.unroll("lstm", params, x, states, reset=reset, reverse=reverse, backend=backend)
        grads = run.backward(dy, dstates)
        found.append([run.y, *run.states, *grads.params.values(), grads.inputs, *grads.states])
    for fast, right in zip(*found, strict=True):
        np.testing.assert_allclose(fast, right, rtol=0, atol=1e-12)


def test_a_stepper_reads_states_that_lie_in_any_way() -> None:
    rng = np.random.default_rng(8)
    model = bptt.Model(inputs=9, outputs=9, hidden=8, embedding=3)
    params, tokens = model.init(rng), rng.integers(9, size=(2, 5))
    state = {k: rng.normal(size=v.shape).astype(np.float32) for k, v in model.zero_state(5).items()}
    turned = {k: np.asfortranarray(v) for k, v in state.items()}
    right = [model.forward(params, tokens, state).outputs[t] for t in range(2)]
    stepper = Stepper(model, params, turned)
    for t in range(2):
        np.testing.assert_allclose(stepper.read(tokens[t]), right[t], atol=1e-5)
