"""Optimisers do what the papers say, and refuse options that mean nothing."""

import math
from typing import Any

import numpy as np
import pytest

from bptt.errors import ConfigError
from bptt.training.optim import OPTIMIZERS, SGD, Adagrad, Adam, AdamW, Optimizer, RMSProp, get
from optimizers import EVERY, copy, draw, every


def torch_twin(optimizer: Optimizer, torch: Any, params: dict[str, Any]) -> Any:
    """PyTorch's optimiser of the same equations, in its own names for the options."""
    ps = list(params.values())
    match optimizer:
        case SGD(momentum, nesterov):
            return torch.optim.SGD(ps, momentum=momentum, nesterov=nesterov)
        case Adagrad(eps):  # eps inside of the root is a sum that starts at eps
            return torch.optim.Adagrad(ps, eps=0.0, initial_accumulator_value=eps)
        case RMSProp(decay, eps):
            return torch.optim.RMSprop(ps, alpha=decay, eps=eps)
        case AdamW(beta1, beta2, eps, weight_decay):
            groups = [
                {"params": [p for p in ps if p.ndim >= 2], "weight_decay": weight_decay},
                {"params": [p for p in ps if p.ndim < 2], "weight_decay": 0.0},
            ]
            return torch.optim.AdamW(groups, betas=(beta1, beta2), eps=eps)
        case Adam(beta1, beta2, eps):
            return torch.optim.Adam(ps, betas=(beta1, beta2), eps=eps)
    raise AssertionError(optimizer)


@every
def test_twenty_steps_equal_pytorchs(optimizer: Optimizer) -> None:
    torch = pytest.importorskip("torch")
    params = draw(0)
    twins = {name: torch.tensor(p, requires_grad=True) for name, p in params.items()}
    twin = torch_twin(optimizer, torch, twins)
    state = optimizer.init(params)
    for step in range(20):
        grads, lr = draw(step + 1), 0.1 / (step + 1)
        optimizer.update(params, grads, state, lr)
        for group in twin.param_groups:
            group["lr"] = lr
        for name, tensor in twins.items():
            tensor.grad = torch.tensor(grads[name])
        twin.step()
    for name, tensor in twins.items():
        np.testing.assert_allclose(params[name], tensor.detach().numpy(), rtol=1e-12, atol=1e-12)


GRADS = (2.0, 4.0, -1.0)


def adam(
    b1: float, b2: float, eps: float, *, unbias: bool = True, t0: int = 1, inside: bool = False
) -> float:
    """Where Adam takes p = 1 by GRADS with lr = 0.1, in plain Python; the options are faults."""
    p, m, v = 1.0, 0.0, 0.0
    for t, g in enumerate(GRADS, t0):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        c1, c2 = (1 - b1**t, 1 - b2**t) if unbias else (1.0, 1.0)
        p -= 0.1 * (m / c1) / (math.sqrt(v / c2 + eps) if inside else math.sqrt(v / c2) + eps)
    return p


def by_squares(decay: float, share: float, eps: float, *, inside: bool) -> float:
    """Where Adagrad (decay 1, share 1) and RMSProp take p = 1 by GRADS with lr = 0.1."""
    p, s = 1.0, 0.0
    for g in GRADS:
        s = decay * s + share * g**2
        p -= 0.1 * g / (math.sqrt(s + eps) if inside else math.sqrt(s) + eps)
    return p


RULES = {
    "sgd": (SGD(), 1 - 0.1 * (2 + 4 - 1), {"ascent": 1 + 0.1 * (2 + 4 - 1)}),
    "momentum": (  # v = 2, 5, 1.5
        SGD(momentum=0.5),
        1 - 0.1 * (2 + 5 + 1.5),
        {"damped, (1 - momentum) g": 1 - 0.1 * (1 + 2.5 + 0.75), "forgets v": 1 - 0.1 * (2 + 4 - 1)},
    ),
    "nesterov": (  # g + v / 2 = 3, 6.5, -0.25
        SGD(momentum=0.5, nesterov=True),
        1 - 0.1 * (3 + 6.5 - 0.25),
        {"is plain momentum": 1 - 0.1 * (2 + 5 + 1.5)},
    ),
    "adagrad": (
        Adagrad(eps=0.5),
        by_squares(1, 1, 0.5, inside=True),
        {
            "eps outside": by_squares(1, 1, 0.5, inside=False),
            "forgets the sum": by_squares(0, 1, 0.5, inside=True),
        },
    ),
    "rmsprop": (
        RMSProp(decay=0.75, eps=0.5),
        by_squares(0.75, 0.25, 0.5, inside=False),
        {
            "eps inside": by_squares(0.75, 0.25, 0.5, inside=True),
            "sum, not mean": by_squares(0.75, 1, 0.5, inside=False),
            "decay for 1 - decay": by_squares(0.25, 0.75, 0.5, inside=False),
        },
    ),
    "adam": (
        Adam(beta1=0.5, beta2=0.75, eps=0.5),
        adam(0.5, 0.75, 0.5),
        {
            "no bias correction": adam(0.5, 0.75, 0.5, unbias=False),
            "t starts late": adam(0.5, 0.75, 0.5, t0=2),
            "eps inside": adam(0.5, 0.75, 0.5, inside=True),
            "betas exchanged": adam(0.75, 0.5, 0.5),
        },
    ),
}


@pytest.mark.parametrize(("optimizer", "right", "faults"), RULES.values(), ids=RULES)
def test_three_steps_by_hand(optimizer: Optimizer, right: float, faults: dict[str, float]) -> None:
    params = {"p": np.ones(())}
    state = optimizer.init(params)
    for g in GRADS:
        optimizer.update(params, {"p": np.array(g)}, state, 0.1)
    assert params["p"] == pytest.approx(right, rel=1e-14)
    for fault, wrong in faults.items():  # the steps were chosen so that each fault would show
        assert abs(wrong - right) > 1e-3, fault


def test_adams_first_two_steps_in_numbers() -> None:
    """m = 1, v = 2, then 2.5 and 9; corrected 2, 4, then 10/3 and 12: no formula shared with the code."""
    params = {"p": np.zeros(1)}
    optimizer = Adam(beta1=0.5, beta2=0.5, eps=1e-12)
    state = optimizer.init(params)
    optimizer.update(params, {"p": np.array([2.0])}, state, 1.0)
    assert params["p"][0] == pytest.approx(-1.0, rel=1e-11)
    optimizer.update(params, {"p": np.array([4.0])}, state, 1.0)
    assert params["p"][0] == pytest.approx(-1.9622504486493764, rel=1e-11)
    assert [state[name].item() for name in ("m.p", "v.p", "t")] == [2.5, 9.0, 2]


def test_adamw_decays_matrices_only_and_not_through_the_means() -> None:
    params = draw(0)
    before, zeros = copy(params), {name: np.zeros_like(p) for name, p in params.items()}
    optimizer = AdamW(weight_decay=0.5)
    state = optimizer.init(params)
    optimizer.update(params, zeros, state, 0.1)
    for name, p in params.items():
        np.testing.assert_allclose(p, before[name] * (0.95 if p.ndim >= 2 else 1.0), rtol=1e-15)
    assert not any(state[name].any() for name in state if name != "t")


@every
def test_the_docstring_shows_the_equations(optimizer: Optimizer) -> None:
    lines = (type(optimizer).__doc__ or "").splitlines()
    for equation in optimizer.equations:
        assert any(line.strip().partition("  ")[0] == equation for line in lines), equation


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("adma", {}, "optimizer must be one of sgd, adagrad, rmsprop, adam, adamw, got 'adma'"),
        ("adam", {"momentum": 0.9}, "adam: options are beta1, beta2, eps; got momentum"),
        ("adam", {"beta1": 1.0}, "adam: beta1 must be a number in [0, 1), got 1.0"),
        ("adamw", {"weight_decay": -0.1}, "adamw: weight_decay must be a number in [0, 1), got -0.1"),
        ("rmsprop", {"decay": math.nan}, "rmsprop: decay must be a number in [0, 1), got nan"),
        ("adagrad", {"eps": 0.0}, "adagrad: eps must be a number in [1.17549e-38, 1), got 0.0"),
        ("sgd", {"momentum": "0.9"}, "sgd: momentum must be a number in [0, 1), got '0.9'"),
        ("sgd", {"nesterov": True}, "sgd: nesterov needs a momentum above 0, got 0; 0.9 is common"),
        ("sgd", {"nesterov": "no"}, "sgd: nesterov must be True or False, got 'no'"),
    ],
)
def test_options_that_mean_nothing(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        get(name, **options)
    assert str(error.value) == message


def test_get_knows_every_optimizer() -> None:
    assert {type(optimizer) for optimizer in EVERY} == set(OPTIMIZERS.values())
    for name, kind in OPTIMIZERS.items():
        assert get(name) == kind()
        assert get(name).name == name
    assert get("sgd", momentum=0.5, nesterov=True) == SGD(0.5, True)
