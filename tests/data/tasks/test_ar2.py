"""The AR(2) series has the moments that Yule and Walker give it."""

import math

import numpy as np
import pytest

from bptt.data.tasks import AR2
from bptt.data.tasks.base import counted
from bptt.errors import ConfigError
from task_models import Predict, fresh, mean_loss


@pytest.mark.parametrize(("phi1", "phi2"), [(1.5, -0.75), (0.2, 0.5), (-0.9, -0.1)])
def test_ar2_starts_stationary_with_its_own_noise(phi1: float, phi2: float) -> None:
    """From the first step on: variance and correlation as Yule and Walker have them, noise of sigma."""
    batch = AR2(batch=20_000, seed=1, T=12, phi1=phi1, phi2=phi2, sigma=0.5).next()
    x = np.concatenate([batch.inputs, batch.targets[-1:]]).astype(np.float64)[..., 0]
    assert (batch.inputs[1:] == batch.targets[:-1]).all()
    noise = x[2:] - phi1 * x[1:-1] - phi2 * x[:-2]
    assert noise.std(axis=1) == pytest.approx(np.full(11, 0.5), rel=0.03)
    assert x.var(axis=1) == pytest.approx(np.full(13, x.var()), rel=0.05)
    rho = [np.corrcoef(x[t], x[t + 1])[0, 1] for t in range(12)]
    assert rho == pytest.approx([phi1 / (1 - phi2)] * 12, abs=0.02)
    assert not counted(batch)[0].any()
    assert counted(batch)[1:].all()


@pytest.mark.parametrize(("phi1", "phi2"), [(0.6, 0.4), (-0.6, 0.4), (0.0, -1.0), (math.nan, 0.0)])
def test_ar2_refuses_what_is_not_stationary(phi1: float, phi2: float) -> None:
    with pytest.raises(ConfigError, match="stationary"):
        AR2(batch=1, seed=0, phi1=phi1, phi2=phi2)


def test_the_baseline_is_the_best_forecast_from_the_last_value() -> None:
    def from_the_last(rho: float) -> Predict:
        return lambda batch: rho * batch.inputs

    task, batches = fresh("ar2")
    around = [mean_loss(task, batches, from_the_last(rho)) for rho in (0.80, 6 / 7, 0.91)]
    assert around[1] == min(around)
