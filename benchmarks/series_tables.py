"""Write public series that ship in Python packages as tables, whole and without their last fifth.

    pip install statsmodels vega_datasets pandas; pip install --no-deps sktime
    python benchmarks/series_tables.py FOLDER

NAME.csv is the whole table, NAME-cut.csv what a model may know: `series.py` measures on the rest.
"""

import importlib.util
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

TEST = 5
"""The last one in so many steps of each series is cut off."""


def tables() -> dict[str, Any]:
    pandas: Any = import_module("pandas")
    data: Any = import_module("statsmodels.api").datasets

    def of(package: str, file: str) -> Any:
        found = importlib.util.find_spec(package)
        assert found is not None
        assert found.origin is not None
        return pandas.read_csv(Path(found.origin).parent / file)

    sunspots = data.sunspots.load_pandas().data.astype({"YEAR": int})
    co2 = data.co2.load_pandas().data.co2.resample("MS").mean()
    co2.index = co2.index.strftime("%Y-%m")
    airline = of("sktime", "datasets/data/Airline/Airline.csv")
    wide = of("vega_datasets", "_data/us-employment.csv")
    return {
        "sunspots": sunspots.set_axis(["time", "value"], axis=1),
        "co2": co2.rename_axis("time").rename("value").reset_index(),
        "airline": airline.set_axis(["time", "value"], axis=1),
        "employment": wide.melt("month", var_name="series").rename(columns={"month": "time"}),
    }


def main(folder: str) -> None:
    for name, table in tables().items():
        table.to_csv(Path(folder, f"{name}.csv"), index=False)
        many = "series" in table
        groups = table.groupby("series", sort=False, group_keys=False) if many else [(None, table)]
        cut = [rows.iloc[: len(rows) - len(rows) // TEST] for _, rows in groups]
        import_module("pandas").concat(cut).to_csv(Path(folder, f"{name}-cut.csv"), index=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
