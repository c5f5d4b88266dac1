"""One output for each sequence: read at its own end or over its own steps, with the gradients of that."""

import itertools
from typing import Any, get_args

import numpy as np
import pytest

from bptt import Batch, Model, conventions, layer_params
from bptt.errors import ConfigError
from bptt.nets.losses import cross_entropy
from bptt.nets.pool import PoolName
from bptt.types import Params
from gradcheck import assert_close, complex_step
from model_cases import MASK, RESET, N, Options, T, case

MODELS: dict[str, Options] = {
    "tokens": {},
    "both directions, 2 layers": {"bidirectional": True, "layers": 2, "cell": "gru", "hidden": 2},
    "real, both directions": {"token_inputs": False, "bidirectional": True},
    "embedding": {"embedding": 2},
}
EVERY_POOL = pytest.mark.parametrize("pool", get_args(PoolName))
FLAGS: dict[str, Options] = {
    "plain": {},
    "mask": {"mask": MASK},
    "mask+reset": {"mask": MASK, "reset": RESET},
}


@EVERY_POOL
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
def test_every_gradient_of_a_pool(name: str, flags: Options, pool: str) -> None:
    c = case(flags=flags, pool=pool, **MODELS[name])
    c.cotangents["outputs"] = c.cotangents["outputs"][:1]
    grads = c.grads()
    if "reset" not in flags:  # which may keep a state from the outputs
        assert all(array.any() for array in grads.values())
    assert_close(grads, complex_step(c.projection, c.arrays), 1e-12)


@EVERY_POOL
@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error", "sigmoid_cross_entropy"])
@pytest.mark.parametrize("weights", [None, (0.5, 2.0, 1.0, 3.0)], ids=["", "class weights"])
def test_a_training_step_is_the_gradient_of_a_pooled_loss(
    pool: str, loss: str, weights: tuple[float, ...] | None
) -> None:
    if weights and loss != "cross_entropy":
        pytest.skip("class weights are the cross-entropy's")
    c = case(pool=pool, loss=loss, class_weights=weights, bidirectional=True, layers=2)
    params, tokens, state, _ = c.parts(c.arrays)
    targets = c.targets[:1]

    def loss_of(params: Params) -> Any:
        return c.model.loss_of(c.model.forward(params, tokens, state, mask=MASK).outputs, targets).value

    value, grads, _ = c.model.loss_and_grads(params, tokens, targets, state, mask=MASK)
    assert value == loss_of(params)
    assert_close(grads, complex_step(loss_of, params), 1e-12)
    each, _ = c.model.losses(params, tokens, targets, state, mask=MASK)
    assert each.mean() == pytest.approx(value, rel=1e-14)


@EVERY_POOL
def test_a_pool_reads_a_rows_own_steps(pool: str) -> None:
    """A row among others is what it is alone, without what fills it up."""
    c = case(pool=pool, bidirectional=True, layers=2, token_inputs=False)
    params, x, _, _ = c.parts(c.arrays)
    lengths = [3, 2]
    mask = np.arange(T)[:, None] < lengths
    together = c.model.forward(params, np.where(mask[..., None], x, np.nan), mask=mask).outputs
    for n in range(N):
        alone = c.model.forward(params, x[: lengths[n], n : n + 1]).outputs
        np.testing.assert_allclose(together[:, n], alone[:, 0], rtol=1e-13)


@EVERY_POOL
@pytest.mark.parametrize("weights", [None, (0.5, 2.0, 1.0, 3.0)], ids=["", "class weights"])
def test_compiled_pools_are_the_references(pool: str, weights: tuple[float, ...] | None) -> None:
    options: Options = {"pool": pool, "bidirectional": True, "layers": 2, "class_weights": weights}
    found = []
    for backend in ("reference", "auto"):
        model = Model(inputs=5, outputs=4, hidden=6, embedding=3, **options | {"backend": backend})
        params = model.init(np.random.default_rng(1))
        batch = Batch(
            np.random.default_rng(2).integers(5, size=(7, 3)),
            np.array([[3, 0, 2]]),
            np.arange(7)[:, None] < [7, 2, 4],
            np.ones((1, 3), bool),
        )
        back = model.backprop(params, batch)
        each, _ = model.losses(params, batch)
        np.testing.assert_allclose(each, back.each, rtol=1e-5)
        found.append(back.grads.params | {"loss": np.array(back.loss), "each": back.each})
    assert_close(found[1], found[0], 1e-5)


@EVERY_POOL
def test_torch_pools_alike(pool: PoolName) -> None:
    torch = pytest.importorskip("torch")
    net = torch.nn.LSTM(4, 3, 2, bidirectional=True, dtype=torch.float64)
    top = torch.nn.Linear(6, 5, dtype=torch.float64)
    told: Options = {"layers": 2, "bidirectional": True, "bias": "two", "token_inputs": False}
    model = Model(inputs=4, outputs=5, hidden=3, pool=pool, **told)
    rng = np.random.default_rng(1)
    params = {name: rng.normal(size=shape) for name, shape in model.shapes.items()}

    def in_torchs_names(arrays: Params, to_system: Any) -> Params:
        found = {"top.weight": arrays["output.W"].T, "top.bias": arrays["output.b"]}
        for layer, reverse in itertools.product(range(2), (False, True)):
            own = to_system("lstm", layer_params(arrays, layer, reverse=reverse), "pytorch")
            end = f"l{layer}" + "_reverse" * reverse
            found |= {f"net.{name}_{end}": np.asarray(array) for name, array in own.items()}
        return found

    both = torch.nn.ModuleDict({"net": net, "top": top})
    both.load_state_dict(
        {name: torch.tensor(a) for name, a in in_torchs_names(params, conventions.to_system).items()}
    )
    x, targets, lengths = rng.normal(size=(6, 3, 4)), np.array([[4, 0, 2]]), [4, 6, 1]
    y, (h, _) = net(torch.nn.utils.rnn.pack_padded_sequence(torch.tensor(x), lengths, enforce_sorted=False))
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(y)
    pooled = torch.cat([h[-2], h[-1]], 1) if pool == "last" else y.sum(0) / torch.tensor(lengths)[:, None]
    theirs = torch.nn.functional.cross_entropy(top(pooled), torch.tensor(targets[0]))
    theirs.backward()
    loss, grads, _ = model.loss_and_grads(params, x, targets, mask=np.arange(6)[:, None] < lengths)
    assert loss == pytest.approx(theirs.item(), rel=1e-12)
    wanted = {name: p.grad.numpy() for name, p in both.named_parameters()}
    assert_close(in_torchs_names(grads, conventions.grads_to_system), wanted, 1e-10)


def test_a_class_of_weight_two_counts_as_if_it_stood_there_twice() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(1, 3, 4))
    total: Any = {"reduction": "sum_over_time_and_batch"}
    once = cross_entropy(logits, np.array([[1, 3, 1]]), class_weights=np.array([9, 2, 9, 1.0]), **total)
    twice = cross_entropy(logits[:, [0, 0, 1, 2, 2]], np.array([[1, 1, 3, 1, 1]]), **total)
    assert once.value == pytest.approx(twice.value, rel=1e-14)
    np.testing.assert_allclose(once.grad, twice.grad[:, [0, 2, 3]] * [[[2], [1], [2]]])
    np.testing.assert_allclose(once.each, twice.each[:, [0, 2, 3]] * [2, 1, 2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pool": "max"}, "pool must be one of last, mean; got 'max'"),
        ({"class_weights": (1.0,)}, "class_weights are K = 4 finite numbers above 0"),
        ({"class_weights": (1.0, 1.0, 1.0, 0.0)}, "finite numbers above 0"),
        (
            {"class_weights": (1.0,) * 4, "loss": "squared_error"},
            "for the cross-entropy; got 4 for squared_error",
        ),
    ],
)
def test_a_pool_that_there_is_not_is_told(options: Options, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        case(**options)
