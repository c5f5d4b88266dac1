"""Layers on a GPU, where there is one: PyTorch's own operator and loops run there, and say so."""

import copy
from typing import Any

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    pytest.skip("no GPU", allow_module_level=True)

import bptt.torch as layers  # noqa: E402  once it is known that there is PyTorch

T, N, D, H = 6, 3, 5, 8
NAMED = ["LSTM", "GRU", "RNN"]


def flat(found: Any) -> list[Any]:
    return [t for each in found for t in flat(each)] if isinstance(found, tuple) else [found]


def run(layer: Any, x: Any, **more: Any) -> list[Any]:
    x = x.clone().requires_grad_()
    found = [y.data if hasattr(y, "batch_sizes") else y for y in flat(layer(x, **more))]
    loss = sum(
        (y.float() * (1 + torch.arange(y.numel(), device=y.device).view(y.shape) % 7)).sum() for y in found
    )
    return [*found, *torch.autograd.grad(loss, [x, *layer.parameters()])]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", NAMED)
def test_pytorchs_operator_runs_there(name: str, dtype: Any) -> None:
    theirs = getattr(torch.nn, name)(D, H, 2, bidirectional=True).to("cuda", dtype)
    ours = getattr(layers, name)(D, H, 2, bidirectional=True, device="cuda", dtype=dtype)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(T, N, D, device="cuda", dtype=dtype)
    for a, b in zip(run(ours, x), run(theirs, x), strict=True):
        torch.testing.assert_close(a, b)
    assert ours.runs_on == "PyTorch's own operator: tensors on cuda:0"


@pytest.mark.parametrize("name", NAMED)
def test_autocast_there(name: str) -> None:
    theirs, ours = getattr(torch.nn, name)(D, H).cuda(), getattr(layers, name)(D, H).cuda()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(T, N, D, device="cuda")
    for dtype in (torch.float16, torch.bfloat16):
        with torch.autocast("cuda", dtype):
            a, b = ours(x)[0], theirs(x)[0]
        assert a.dtype == b.dtype
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("name", [*NAMED, "slstm", "gru-cho", "lstm-peephole", "indrnn"])
@pytest.mark.parametrize("way", ["plain", "mask", "resets", "states"])
def test_there_as_on_the_cpu(name: str, way: str) -> None:
    own = name not in NAMED
    here = (layers.Cell(name, D, H, 2) if own else getattr(layers, name)(D, H, 2)).double()
    there = copy.deepcopy(here).cuda()
    x = torch.randn(T, N, D, dtype=torch.float64)
    mask = torch.arange(T)[:, None] < torch.tensor([6, 2, 4])
    more = {"mask": {"mask": mask}, "resets": {"resets": ~mask}, "states": {"return_states": True}}.get(
        way, {}
    )
    moved = {k: v.cuda() if isinstance(v, torch.Tensor) else v for k, v in more.items()}
    for a, b in zip(run(there, x.cuda(), **moved), run(here, x, **more), strict=True):
        torch.testing.assert_close(a.cpu(), b, rtol=1e-9, atol=1e-9)
    assert here.runs_on.startswith("compiled")
    by = "PyTorch's own operator" if way == "plain" and not own else "a loop of PyTorch's operations"
    assert there.runs_on == f"{by}: tensors on cuda:0"
    back = there.cpu()
    for a, b in zip(run(back, x, **more), run(here, x, **more), strict=True):
        assert torch.equal(a, b)
    assert back.runs_on.startswith("compiled")


def test_packed_there() -> None:
    theirs, ours = torch.nn.GRU(D, H, 2).cuda(), layers.GRU(D, H, 2).cuda()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(T, N, D, device="cuda")
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor([6, 2, 4]), enforce_sorted=False)
    (a, ha), (b, hb) = ours(packed), theirs(packed)
    torch.testing.assert_close(a.data, b.data)
    torch.testing.assert_close(ha, hb)


def test_a_state_on_another_device() -> None:
    with pytest.raises(RuntimeError):
        layers.GRU(D, H)(torch.randn(T, N, D), torch.zeros(1, N, H, device="cuda"))
    with pytest.raises(RuntimeError):
        layers.GRU(D, H)(torch.randn(T, N, D, device="cuda"))
