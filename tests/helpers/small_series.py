"""Small tables of series, and settings that learn of them in no time."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt import Settings
from bptt.types import Array

ASKED: dict[str, Any] = {"task": "forecast", "series": "shop", "time": "day", "value": "sold", "season": 7}
ASKED |= {
    "horizon": 5,
    "window": 14,
    "hidden": 6,
    "batch": 4,
    "steps": 23,
    "report_every": 5,
    "eval_every": 7,
}


def sold(seed: int, days: int, slope: float = 0.5) -> Array:
    """Return values with a week's pattern, a trend and noise; some are not known."""
    rng = np.random.default_rng(seed)
    week = 10 * rng.random(7)
    values = 50 + slope * np.arange(days) + np.tile(week, days // 7 + 1)[:days] + rng.normal(size=days)
    values[rng.random(days) < 0.03] = np.nan
    return values.round(2)


def table(shops: dict[str, Array], begin: str = "2020-01-30") -> str:
    rows = ["shop,day,sold,price"]
    for shop, values in shops.items():
        for t, y in enumerate(values):
            day = np.datetime64(begin) + np.timedelta64(t, "D")
            rows.append(f"{shop},{day},{'' if np.isnan(y) else y},{1 + t % 3}")
    return "\n".join(rows) + "\n"


@pytest.fixture
def sales(tmp_path: Path) -> str:
    path = tmp_path / "sales.csv"
    path.write_text(table({"a": sold(0, 90), "b": 100 * sold(1, 75)}))
    return str(path)


def asked(data: str, **more: Any) -> Settings:
    return Settings.of(data=data, **{**ASKED, **more})
