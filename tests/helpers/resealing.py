"""A run's files written with other values and right digests, so that what is tested is what reads them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from bptt.training.runs import format as run_format
from bptt.types import Params


def read_config(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(folder.joinpath("config.json").read_text())
    return config


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Write a configuration as it is given, but for its digests."""
    file = folder / "vocabulary.json"
    vocabulary = file.read_bytes() if file.is_file() else None
    sealed = run_format.sealed(config, vocabulary)
    if "format" in config and config["format"] != run_format.FORMAT:
        sealed["format"] = config["format"]
        sealed["sha256"]["config"] = run_format.sum_of(sealed)
    folder.joinpath("config.json").write_text(json.dumps(sealed))


def write_vocabulary(folder: Path, vocabulary: object) -> None:
    """Write a vocabulary, and the configuration that knows its digest."""
    folder.joinpath("vocabulary.json").write_text(json.dumps(vocabulary))
    write_config(folder, read_config(folder))


def write_checkpoint(folder: Path, name: str, values: dict[str, Any], arrays: Params) -> None:
    """Write a checkpoint of the run in a folder; arrays by their whole names."""
    given = {"format": run_format.FORMAT, "run": read_config(folder).get("id"), **values}
    given["sha256"] = run_format.sum_of_arrays(given, arrays)
    data = save({k: np.asarray(a, order="C") for k, a in arrays.items()}, {"bptt": json.dumps(given)})
    folder.joinpath(f"{name}.safetensors").write_bytes(data)
