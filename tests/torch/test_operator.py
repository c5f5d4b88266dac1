"""The operator within what is compiled: PyTorch's own check of it, and its gradients against autograd's."""

from typing import Any

import pytest

from torch_layers import assert_near, gradients, layers, random, torch

operator: Any = pytest.importorskip("bptt.torch.operator")
loop: Any = pytest.importorskip("bptt.torch.loop")

LAYERS = {"LSTM": 4, "GRU": 3, "RNN": 1}
ALL = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic")
FORMS: list[dict[str, Any]] = [
    {},
    {"inputs": 40},
    {"bias": False},
    {"reverse": True},
    {"all_states": True},
    {"packed": True},
    {"flags": True},
    {"flags": True, "reverse": True, "all_states": True},
    {"dtype": torch.float32},
    {"grad": False},
]


def arguments(
    name: str,
    *,
    inputs: int = 3,
    bias: bool = True,
    reverse: bool = False,
    all_states: bool = False,
    packed: bool = False,
    flags: bool = False,
    dtype: Any = torch.float64,
    grad: bool = True,
) -> tuple[Any, ...]:
    """Return what the operator takes: five steps of two rows, or six rows that are packed."""
    H, N, G = 4, 3 if packed else 2, LAYERS[name]
    cell = getattr(layers, name)(inputs, H).cell
    names = ("W", "U", "b", "b_h")[: 4 if bias else 2]
    shapes = [(G * H, inputs), (G * H, H), (G * H,), (G * H,)]
    x = random(*((6, inputs) if packed else (5, N, inputs)), dtype=dtype, grad=False)
    generator = torch.Generator().manual_seed(0)
    mask, resets = (torch.rand(5, N, generator=generator) < 0.7 for _ in range(2)) if flags else (None, None)
    if mask is not None:
        x = x.masked_fill(~mask.unsqueeze(-1), 0)
    states = [random(1, N, H, seed=5 + k, dtype=dtype, grad=grad) for k in range(len(cell.states))]
    params = [
        random(*shape, seed=9 + k, dtype=dtype, grad=grad) for k, shape in enumerate(shapes[: len(names)])
    ]
    batch_sizes = torch.tensor([3, 2, 1]) if packed else None
    text = operator._text(cell), ",".join(names), True, reverse, all_states, "float32"
    return x.requires_grad_(grad), mask, resets, states, params, batch_sizes, grad, *text


@pytest.mark.parametrize(
    ("name", "form"),
    [*(("LSTM", form) for form in FORMS), ("GRU", FORMS[0]), ("GRU", FORMS[2]), ("RNN", FORMS[0])],
    ids=str,
)
def test_the_operator_is_what_pytorch_wants_of_one(name: str, form: dict[str, Any]) -> None:
    given = arguments(name, **form)
    # what is kept of a step that a mask leaves out is anything
    torch.library.opcheck(
        torch.ops.bptt.layer.default, given, test_utils=ALL[: 3 if form.get("flags") else 4]
    )
    *outputs, kept = torch.ops.bptt.layer(*given)
    x, mask, resets, states, params, batch_sizes, keep, *text = given
    if not keep:
        assert kept.numel() == 0
        return
    cotangents = [random(*o.shape, seed=20 + k, dtype=o.dtype, grad=False) for k, o in enumerate(outputs)]
    plain = [None if t is None else t.detach() for t in (x, mask, resets)]
    needs = [True] * (1 + len(states) + len(params))
    backward = cotangents, *plain, [s.detach() for s in states], [p.detach() for p in params], batch_sizes
    torch.library.opcheck(
        torch.ops.bptt.layer_backward.default, (*backward, kept.detach(), needs, *text), test_utils=ALL[:3]
    )


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("form", [f for f in FORMS if "grad" not in f and "dtype" not in f], ids=str)
def test_the_operator_gives_what_a_loop_gives(name: str, form: dict[str, Any]) -> None:
    given = arguments(name, **form)
    x, mask, resets, states, params, batch_sizes, _, text, names, by_rows, reverse, all_states, _ = given
    *outputs, _ = torch.ops.bptt.layer(*given)
    how = operator._how(str(text), str(names), by_rows, reverse, all_states, batch_sizes)
    wanted = loop.run(how, x, mask, resets, [s[0] for s in states], params)
    wanted[1 : 1 + len(states)] = [s.unsqueeze(0) for s in wanted[1 : 1 + len(states)]]
    if reverse and resets is not None:  # what is carried over the first step's border is the caller's affair
        gone = resets[0].unsqueeze(-1)
        for k in range(1, 1 + len(states)):
            outputs[k], wanted[k] = outputs[k].masked_fill(gone, 0), wanted[k].masked_fill(gone, 0)
    assert_near(outputs, wanted)
    leaves = [x, *states, *params]
    assert_near(gradients(outputs, leaves), gradients(wanted, leaves))
