"""What a cell reads at each step beside the input, in layers of PyTorch: against the reference."""

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import bptt  # noqa: E402  once it is known that there is PyTorch
import bptt.torch as layers  # noqa: E402
from bptt.derive.functions import exp, softplus, tanh  # noqa: E402
from bptt.errors import ConfigError, ShapeError  # noqa: E402

T, N, H = 4, 3, 5


@bptt.cell(state="h c", inputs="t z x", shapes={"t": "row"})
def aged(a_h, a_g, c, t, z, x):  # type: ignore[no-untyped-def]
    """Forget by the time that has passed."""
    k = exp(-softplus(a_g) * t)
    c = k * c + (1 - k) * tanh(a_h + x * z)
    h = tanh(c) * z
    return h, c


def given() -> dict[str, Any]:
    rng = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Any:
        return torch.rand(*shape, generator=rng, dtype=torch.float64).requires_grad_()

    return {"x": drawn(T, N, H), "t": drawn(T, N), "z": drawn(T, N, H)}


def made(**options: Any) -> Any:
    torch.manual_seed(1)
    return layers.Cell(aged, H, H, dtype=torch.float64, **options)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("flags", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_layers_read_beside_x_as_the_reference_does(batch_first: bool, flags: bool, reverse: bool) -> None:
    layer, arrays, rng = (
        made(batch_first=batch_first, bidirectional=reverse),
        given(),
        np.random.default_rng(1),
    )
    mask = rng.random((T, N)) < 0.7 if flags else None
    reset = rng.random((T, N)) < 0.4 if flags else None

    def turned(tensor: Any) -> Any:
        return tensor.transpose(0, 1) if batch_first else tensor

    more = (
        {}
        if mask is None
        else {"mask": turned(torch.from_numpy(mask)), "resets": turned(torch.from_numpy(reset))}
    )
    x, inputs = turned(arrays["x"]), {name: turned(arrays[name]) for name in "tz"}
    y, _ = layer(x, inputs=inputs, **more)
    own = "_reverse" * reverse
    y, dy = turned(y)[..., -H:], np.cos(np.arange(T * N * H)).reshape(T, N, H)
    (y * torch.from_numpy(dy)).sum().backward()
    params = {n: getattr(layer, f"{n}_l0{own}").detach().numpy() for n in ("W", "U", "b")}
    values = {name: tensor.detach().numpy() for name, tensor in arrays.items()}
    run = bptt.unroll(
        aged,
        params,
        values.pop("x"),
        mask=mask,
        reset=reset,
        reverse=reverse,
        inputs=values,
        backend="reference",
    )
    wanted = run.backward(dy)
    assert wanted.inputs is not None
    np.testing.assert_allclose(y.detach(), run.y, rtol=0, atol=1e-12)
    np.testing.assert_allclose(arrays["x"].grad, wanted.inputs, rtol=0, atol=1e-11)
    found = {n: getattr(layer, f"{n}_l0{own}").grad for n in params} | {n: arrays[n].grad for n in values}
    assert {*found} == {*wanted.params}
    for name, gradient in wanted.params.items():
        assert gradient.any()
        np.testing.assert_allclose(found[name], gradient, rtol=0, atol=1e-11, err_msg=name)
    assert layer.runs_on.startswith("a loop of PyTorch's operations: ")


def test_a_single_sequence_has_no_axis_for_rows() -> None:
    layer, arrays = made(), given()
    whole, _ = layer(arrays["x"], inputs={name: arrays[name] for name in "tz"})
    alone, _ = layer(arrays["x"][:, 1], inputs={name: arrays[name][:, 1] for name in "tz"})
    torch.testing.assert_close(alone, whole[:, 1], rtol=0, atol=1e-14)


def test_what_does_not_go_beside_x_is_told() -> None:
    layer, arrays = made(), given()
    t, z = arrays["t"], arrays["z"]
    for inputs, says in (
        (None, "aged reads t, z at each step beside its input; got nothing"),
        ({"t": t}, "aged reads t, z at each step beside its input; got t"),
        ({"t": t, "z": t}, r"aged: z must be \(4, 3, 5\), got \(4, 3\)"),
        ({"t": z, "z": z}, r"aged: t must be \(4, 3, 1\), got \(4, 3, 5\)"),
    ):
        with pytest.raises(ShapeError, match=says):
            layer(arrays["x"], inputs=inputs)
    with pytest.raises(ShapeError, match="reads nothing at each step"):
        layers.LSTM(H, H)(torch.zeros(T, N, H), inputs={"t": t})
    with pytest.raises(ConfigError, match="equations read x, so every input must be H = 5"):
        layers.Cell(aged, 4, H)
