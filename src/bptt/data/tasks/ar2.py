"""AR(2): forecast a noisy oscillation one step ahead, as well as it can be done."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bptt.data.tasks.base import Task, Verdict, counted
from bptt.errors import ConfigError
from bptt.types import Array, Batch, Generator


@dataclass(kw_only=True, eq=False)
class AR2(Task):
    """Forecast the next value of a stationary autoregressive process of order two.

    The process is x_t = phi1 x_{t-1} + phi2 x_{t-2} + sigma ε_t with normal ε_t, from its stationary
    distribution; input x_t, target x_{t+1}. The best forecast, phi1 x_t + phi2 x_{t-1}, needs the value
    before the last, so the first step's target does not count.

    Parameters
    ----------
    batch, seed : int
        As in `Task`.
    T : int
        Steps of a sequence, 2 or more.
    phi1, phi2 : float
        Coefficients, within the triangle phi1 + phi2 < 1, phi2 - phi1 < 1, phi2 > -1. By default a
        damped oscillation with a period of 12 steps.
    sigma : float
        Standard deviation of the noise, above 0.

    Raises
    ------
    ConfigError
        If the process is not stationary.

    Notes
    -----
    Box and Jenkins (1970), "Time series analysis: forecasting and control", section 3.2.

    Examples
    --------
    >>> task = AR2(batch=32, seed=0)
    >>> task.next().inputs.shape
    (100, 32, 1)
    >>> print(f"{task.optimum:.3f} {task.baseline:.3f}")
    0.045 0.103
    """

    name = "ar2"
    summary = "forecast a noisy oscillation one step ahead"
    loss = "squared_error"
    least: ClassVar = {"T": 2}
    settings: ClassVar = {"hidden": 16, "steps": 1500, "eval_every": 250}
    input_size = 1
    output_size = 1

    T: int = 100
    phi1: float = 1.5
    phi2: float = -0.75
    sigma: float = 0.3

    def __post_init__(self, seed: int) -> None:
        super().__post_init__(seed)
        if not (self.phi1 + self.phi2 < 1 and self.phi2 - self.phi1 < 1 and self.phi2 > -1):
            raise ConfigError(
                "ar2: a stationary process has phi1 + phi2 < 1, phi2 - phi1 < 1 and phi2 > -1, "
                f"got phi1 = {self.phi1}, phi2 = {self.phi2}"
            )
        if not 0 < self.sigma < math.inf:
            raise ConfigError(f"ar2: sigma must be above 0 and finite, got {self.sigma}")

    @property
    def optimum(self) -> float:
        """Half the variance of the noise, which nobody can forecast."""
        return self.sigma**2 / 2

    @property
    def baseline(self) -> float:
        """The loss of the best forecast from x_t alone, rho x_t."""
        variance, rho = self._stationary()
        return variance * (1 - rho**2) / 2

    def _stationary(self) -> tuple[float, float]:
        """Return the variance of x_t and the correlation of x_t with x_{t-1} (Yule and Walker)."""
        rho = self.phi1 / (1 - self.phi2)
        rho2 = self.phi1 * rho + self.phi2
        return self.sigma**2 / (1 - self.phi1 * rho - self.phi2 * rho2), rho

    def draw(self, rng: Generator, rows: int) -> Batch:
        """Return a fresh batch: inputs (T, N, 1) and targets (T, N, 1), float32."""
        variance, rho = self._stationary()
        x = rng.standard_normal((self.T + 1, rows))
        x[0] *= math.sqrt(variance)
        x[1] = rho * x[0] + math.sqrt(variance * (1 - rho**2)) * x[1]
        x[2:] *= self.sigma
        for t in range(2, self.T + 1):
            x[t] += self.phi1 * x[t - 1] + self.phi2 * x[t - 2]

        series = x.astype(np.float32)[..., None]
        target_mask = np.ones((self.T, rows), dtype=np.bool_)
        target_mask[0] = False
        return Batch(series[:-1], series[1:], target_mask=target_mask)

    def _marks(self, batch: Batch, y: Array) -> Array:
        error = (y - batch.targets)[counted(batch)]
        return np.array([np.square(error, dtype=np.float64).sum() / 2, len(error)])

    def _verdict(self, total: float, targets: float) -> Verdict:
        """Ask for a test loss within 5% of the optimum; figure: the loss over the optimum."""
        loss = total / targets
        ratio = loss / self.optimum
        says = f"{self.name}: test loss {loss:.4g}, {ratio:.3f} times the optimum; 1.05 or less is wanted"
        return Verdict(ratio <= 1.05, says, ratio)
