"""What bptt.torch's layers compute, and with what: against PyTorch's layers, and its own operations."""

import copy
import pickle
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import bptt.torch as layers  # noqa: E402  once it is known that there is PyTorch
from bptt.errors import ConfigError, ShapeError  # noqa: E402

T, N, D, H = 6, 3, 5, 7
NAMED = ["LSTM", "GRU", "RNN"]
CELLS = ["slstm", "gru-cho", "indrnn", "lstm-peephole", "gru"]


pytestmark = pytest.mark.filterwarnings(
    "ignore:.torch.jit:DeprecationWarning"
)  # PyTorch's own, in torch.func


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def tensor(*shape: int, dtype: Any = torch.float64) -> Any:
    return torch.randn(*shape, dtype=dtype).requires_grad_()


def gradients(found: Any, wanted: Any) -> Any:
    """Return the gradients of the outputs' product with fixed numbers."""
    rng = torch.Generator().manual_seed(3)
    outputs = [y.data if hasattr(y, "batch_sizes") else y for y in flat(found)]
    loss = sum((y * torch.randn(y.shape, generator=rng, dtype=y.dtype)).sum() for y in outputs)
    grads = torch.autograd.grad(loss, wanted, allow_unused=True)
    return outputs, [torch.zeros_like(t) if g is None else g for t, g in zip(wanted, grads, strict=True)]


def flat(found: Any) -> list[Any]:
    if isinstance(found, tuple) and not hasattr(found, "batch_sizes"):
        return [t for each in found for t in flat(each)]
    return [found]


def made_of(name: str, D: int = D, H: int = H, **options: Any) -> Any:
    return getattr(layers, name)(D, H, **options) if name in NAMED else layers.Cell(name, D, H, **options)


def states_of(layer: Any, dtype: Any = torch.float64) -> Any:
    count = layer.num_layers * (1 + layer.bidirectional)
    made = tuple(tensor(count, N, H, dtype=dtype) for _ in layer.cell.states)
    return made if len(made) > 1 else made[0]


def by_loop(layer: Any) -> Any:
    """Return the same layer, run by PyTorch's operations alone."""
    made = copy.deepcopy(layer)
    made.theirs = None
    made.reason_against = lambda: "a test"
    return made


@pytest.mark.parametrize("way", ["mask", "holes", "resets", "both", "none"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", [*NAMED, *CELLS])
def test_masks_resets_and_all_states(name: str, bidirectional: bool, way: str) -> None:
    made = made_of(name, num_layers=2, bidirectional=bidirectional, dtype=torch.float64)
    lengths = torch.tensor([6, 2, 4])
    mask = torch.arange(T)[:, None] < lengths
    if way == "holes":
        mask = torch.rand(T, N) < 0.6
    resets = torch.rand(T, N) < 0.4
    given = {"mask": mask} if way in ("mask", "holes", "both") else {}
    given |= {"resets": resets} if way in ("resets", "both") else {}
    x, hx = tensor(T, N, D), states_of(made)
    for all_states in (False, True):
        found = []
        for layer in (made, by_loop(made)):
            wanted = [x, *flat(hx), *layer.parameters()]
            found.append(gradients(layer(x, hx, **given, return_states=all_states), wanted))
            assert layer.runs_on.startswith("compiled") == (layer is made)
        (ours, our_grads), (theirs, their_grads) = found
        for a, b in zip([*ours, *our_grads], [*theirs, *their_grads], strict=True):
            size = max(1.0, float(b.detach().abs().max())) if b.numel() else 1.0
            torch.testing.assert_close(a, b, rtol=0, atol=1e-12 * size)


@pytest.mark.parametrize("name", NAMED)
def test_a_mask_is_what_packing_is(name: str) -> None:
    layer = getattr(layers, name)(D, H, num_layers=2, bidirectional=True, dtype=torch.float64)
    x, hx, lengths = tensor(T, N, D), states_of(layer), torch.tensor([6, 2, 4])
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
    y, final = layer(packed, hx)
    padded, _ = torch.nn.utils.rnn.pad_packed_sequence(y)
    masked, ours = layer(x.nan_to_num(), hx, mask=torch.arange(T)[:, None] < lengths)
    torch.testing.assert_close(padded, masked, rtol=0, atol=1e-14)
    for a, b in zip(flat(final), flat(ours), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-14)


def test_what_is_padded_is_not_read() -> None:
    layer, mask = (
        layers.LSTM(D, H, 2, dtype=torch.float64),
        torch.arange(T)[:, None] < torch.tensor([6, 2, 4]),
    )
    x = tensor(T, N, D)
    bad = torch.where(mask[..., None], x, torch.nan)
    _, right = gradients(layer(x, mask=mask), list(layer.parameters()))
    _, found = gradients(layer(bad, mask=mask), list(layer.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(found, right, strict=True))


@pytest.mark.parametrize("name", NAMED)
def test_a_reset_is_a_sequence_by_itself(name: str) -> None:
    layer = getattr(layers, name)(D, H, dtype=torch.float64)
    x, resets = tensor(T, N, D), torch.zeros(T, N, dtype=torch.bool)
    resets[2, 1] = True
    y, _ = layer(x, states_of(layer), resets=resets)
    alone, _ = layer(x[2:, 1:2])
    torch.testing.assert_close(y[2:, 1:2], alone, rtol=0, atol=1e-14)


def test_all_states_lie_as_the_input_does() -> None:
    layer = layers.LSTM(D, H, 2, batch_first=True)
    y, (_, c), (h_all, c_all) = layer(torch.randn(N, T, D), return_states=True)
    assert h_all.shape == c_all.shape == (2, N, T, H)
    assert torch.equal(h_all[1], y)
    assert torch.equal(c_all[:, :, -1], c)
    y, h, states = layers.GRU(D, H)(torch.randn(T, D), return_states=True)
    assert torch.equal(states[0], y)
    assert states.shape == (1, T, H)
    assert h.shape == (1, H)


@pytest.mark.parametrize("name", [*NAMED, "slstm"])
def test_derivatives_of_derivatives(name: str) -> None:
    layer = made_of(name, 2, 3, dtype=torch.float64)
    x = tensor(4, 2, 2)
    hx = tuple(tensor(1, 2, 3) for _ in layer.cell.states)
    names = [n for n, _ in layer.named_parameters()]

    def run(x: Any, *more: Any) -> Any:
        hx, weights = (
            more[: len(layer.cell.states)],
            dict(zip(names, more[len(layer.cell.states) :], strict=True)),
        )
        found = torch.func.functional_call(layer, weights, (x, hx if len(hx) > 1 else hx[0]))
        assert layer.runs_on.startswith("compiled")
        return tuple(flat(found))

    given = (x, *hx, *layer.parameters())
    assert torch.autograd.gradcheck(run, given)
    assert torch.autograd.gradgradcheck(run, given)


@pytest.mark.parametrize("name", [*NAMED, "lstm-peephole"])
def test_transforms_of_torch_func(name: str) -> None:
    layer = made_of(name)
    x = torch.randn(4, T, N, D)
    each = torch.stack([layer(one)[0] for one in x])
    torch.testing.assert_close(torch.func.vmap(lambda one: layer(one)[0])(x), each)
    assert layer.runs_on == "a loop of PyTorch's operations: a transform of torch.func"
    params = dict(layer.named_parameters())

    def loss(params: Any) -> Any:
        return torch.func.functional_call(layer, params, (x[0],))[0].square().sum()

    found = torch.func.grad(loss)(params)
    loss(params).backward()
    for n, p in layer.named_parameters():
        torch.testing.assert_close(found[n], p.grad, rtol=1e-4, atol=1e-5)
    direction = torch.randn_like(x[0])
    _, forward = torch.func.jvp(lambda a: layer(a)[0], (x[0],), (direction,))
    by_difference = (layer(x[0] + 1e-3 * direction)[0] - layer(x[0] - 1e-3 * direction)[0]) / 2e-3
    torch.testing.assert_close(forward, by_difference, rtol=1e-2, atol=1e-3)
    with torch.autograd.forward_ad.dual_level():
        dual = layer(torch.autograd.forward_ad.make_dual(x[0], direction))[0]
        torch.testing.assert_close(torch.autograd.forward_ad.unpack_dual(dual).tangent, forward)
    assert layer.runs_on.endswith("forward-mode derivatives")


@pytest.mark.parametrize("form", ["dense", "masked", "packed"])
@pytest.mark.parametrize("name", ["LSTM", "GRU", "slstm"])
def test_compiled_by_pytorch(name: str, form: str) -> None:
    torch._dynamo.reset()
    layer = (
        getattr(layers, name)(D, H, 2, bidirectional=True) if name in NAMED else layers.Cell(name, D, H, 2)
    )

    def run(x: Any, hx: Any, mask: Any) -> Any:
        if form == "packed":
            x = torch.nn.utils.rnn.PackedSequence(x.reshape(T * N, D), torch.full((T,), N))
        y, final = layer(x, hx, mask=mask if form == "masked" else None)
        return (y.data if form == "packed" else y), final

    x, hx = tensor(T, N, D, dtype=torch.float32), states_of(layer, torch.float32)
    mask = torch.arange(T)[:, None] < torch.tensor([6, 2, 4])
    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")
    wanted = [x, *flat(hx), *layer.parameters()]
    (y, dy), (ours, grads) = gradients(run(x, hx, mask), wanted), gradients(compiled(x, hx, mask), wanted)
    for a, b in zip([*y, *dy], [*ours, *grads], strict=True):
        torch.testing.assert_close(a, b)
    with torch.no_grad():
        torch.testing.assert_close(compiled(x, hx, mask)[0], y[0])


@pytest.mark.parametrize("name", ["LSTM", "slstm"])
def test_exported(name: str) -> None:
    layer = layers.LSTM(D, H, 2) if name == "LSTM" else layers.Cell(name, D, H)
    x = torch.randn(T, N, D)
    steps, rows = torch.export.Dim("steps", min=2), torch.export.Dim("rows", min=2)
    program = torch.export.export(layer, (x,), dynamic_shapes=({0: steps, 1: rows},))
    longer = torch.randn(9, 4, D)
    torch.testing.assert_close(program.module()(longer)[0], layer(longer)[0])


@pytest.mark.parametrize("name", NAMED)
def test_bfloat16_and_autocast(name: str) -> None:
    ours = getattr(layers, name)(D, H, 2)
    theirs = getattr(torch.nn, name)(D, H, 2)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(T, N, D)
    with torch.autocast("cpu", torch.bfloat16):
        a = ours(x)[0]
        assert ours.runs_on.startswith("compiled")
        try:
            b = theirs(x)[0]
        except RuntimeError:  # PyTorch's LSTM wants a processor for it
            b = theirs.bfloat16()(x.bfloat16())[0]
    assert a.dtype == b.dtype
    torch.testing.assert_close(a, b, rtol=0.02, atol=0.02)
    a, b = ours.bfloat16()(x.bfloat16())[0], theirs.bfloat16()(x.bfloat16())[0]
    assert ours.runs_on.startswith("compiled")
    torch.testing.assert_close(a, b, rtol=0.02, atol=0.02)
    a.float().sum().backward()
    assert all(p.grad.dtype == torch.bfloat16 for p in ours.parameters())
    a, b = ours.half()(x.half())[0], theirs.half()(x.half())[0]
    assert ours.runs_on == "PyTorch's own operator: torch.float16"
    assert torch.equal(a, b)


def test_weights_are_read_at_each_call() -> None:
    layer, x = layers.LSTM(D, H), torch.randn(T, N, D)
    before = layer(x)[0]
    layer.weight_hh_l0.data.add_(0.5)  # which moves no version
    theirs = torch.nn.LSTM(D, H)
    theirs.load_state_dict(layer.state_dict())
    assert not torch.equal(layer(x)[0], before)
    torch.testing.assert_close(layer(x)[0], theirs(x)[0])
    weight = torch.randn(4 * H, H, requires_grad=True)
    del layer._parameters["weight_hh_l0"]
    layer.weight_hh_l0 = weight.tanh()  # no Parameter
    layer(x)[0].sum().backward()
    assert weight.grad is not None


def test_copies() -> None:
    layer, x = layers.GRU(D, H, 2, bidirectional=True), torch.randn(T, N, D)
    mine = layers.Cell("slstm", D, H)
    for made, copied in ((layer, copy.deepcopy(layer)), (layer, pickle.loads(pickle.dumps(layer)))):
        assert torch.equal(made(x)[0], copied(x)[0])
    assert torch.equal(mine(x)[0], pickle.loads(pickle.dumps(mine))(x)[0])


@pytest.mark.parametrize("retain", [False, True])
def test_a_second_backward(retain: bool) -> None:
    layer, x = layers.LSTM(D, H), tensor(T, N, D, dtype=torch.float32)
    loss = layer(x)[0].sum()
    loss.backward(retain_graph=retain)
    if not retain:
        with pytest.raises(RuntimeError, match="second time"):
            loss.backward()
        return
    first, x.grad = x.grad, None
    loss.backward()
    assert torch.equal(x.grad, first)
    x.grad = None
    masked = layer(x, mask=torch.arange(T)[:, None] < torch.tensor([6, 2, 4]))[0].sum()
    masked.backward(retain_graph=True)
    first, x.grad = x.grad, None
    masked.backward()
    assert torch.equal(x.grad, first)


def test_a_weight_that_is_changed_before_the_backward() -> None:
    layer, x = layers.LSTM(D, H), torch.randn(T, N, D)
    y = layer(x)[0].sum()
    with torch.no_grad():
        layer.weight_hh_l0.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_threads_of_python() -> None:
    from concurrent.futures import ThreadPoolExecutor

    layer, xs = layers.LSTM(D, H, 2), torch.randn(8, T, N, D)

    def run(x: Any) -> Any:
        x = x.clone().requires_grad_()
        return torch.autograd.grad(layer(x)[0].square().sum(), x)[0]

    alone = [run(x) for x in xs]
    with ThreadPoolExecutor(4) as threads:
        for a, b in zip(alone * 5, threads.map(run, list(xs) * 5), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {"mask": torch.ones(T, N)},
            r"mask must be bool \(6, 3\), the input's steps and rows; got torch.float32",
        ),
        ({"resets": torch.ones(N, T, dtype=torch.bool)}, r"resets must be bool \(6, 3\)"),
    ],
)
def test_flags_that_do_not_fit(given: Any, says: str) -> None:
    with pytest.raises(ShapeError, match=says):
        layers.LSTM(D, H)(torch.randn(T, N, D), **given)


def test_what_a_cell_refuses() -> None:
    with pytest.raises(ConfigError, match="input_size must be a whole number from 1, got 0"):
        layers.Cell("gru", 0, 3)
    with pytest.raises(ConfigError, match="dropout must be a part"):
        layers.Cell("gru", 1, 3, dropout=2)
    with pytest.raises(ShapeError, match="slstm: input must be"):
        layers.Cell("slstm", D, H)(torch.randn(T, N, D + 1))
    with pytest.raises(ConfigError, match="gru-two"):
        layers.Cell("gru-two", D, H)
    with pytest.raises(ConfigError, match=r"slstm: torch\.jit\.script takes no layer of equations"):
        torch.jit.script(torch.nn.Sequential(layers.Cell("slstm", D, H)))


def test_a_cell_starts_by_the_seed() -> None:
    def made() -> Any:
        torch.manual_seed(7)
        return layers.Cell("lstm-chrono", D, H)

    one, other = made(), made()
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert one.b_l0.abs().max() > 0.5  # as that cell wishes
