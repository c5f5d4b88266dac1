"""A checkpoint: arrays and values, as bytes that the same content always gives, and back.

The file is one of safetensors, which hold arrays and nothing that runs. What is read is looked at in the
order of its cost: the file's kind and size, its values, the shapes, the arrays, their digest, their numbers.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bptt.errors import RunError
from bptt.files import open_regular
from bptt.training.runs import format as run_format
from bptt.types import Params, Shapes


@dataclass(frozen=True)
class Checkpoint:
    """Arrays by group, and a `Progress`'s values.

    The groups are ``params``, ``optimizer``, ``state`` (those carried) and, once it has begun, ``average``.
    """

    arrays: dict[str, Params]
    values: dict[str, Any]

    @property
    def weights(self) -> Params:
        """What the model is used with: the averaged parameters where there are any."""
        return self.arrays.get("average") or self.arrays["params"]


def to_bytes(checkpoint: Checkpoint, run_id: str | None) -> bytes:
    """Return a checkpoint of the run that has this name as the bytes of its file."""
    from safetensors.numpy import save

    # order="C", because safetensors writes others in the order in which they lie in memory
    arrays = {
        f"{group}.{key}": np.asarray(array, order="C")
        for group, part in checkpoint.arrays.items()
        for key, array in part.items()
    }
    values = {"format": run_format.FORMAT, "run": run_id, **checkpoint.values}
    values["sha256"] = run_format.sum_of_arrays(values, arrays)
    # one entry, because safetensors keeps no order among several
    text = json.dumps(values, sort_keys=True, allow_nan=False)
    return bytes(save(arrays, metadata={"bptt": text}))


def read(path: Path, shapes: Shapes | None, run_id: str | None) -> Checkpoint:
    """Return the checkpoint of the run that has this name; see :meth:`bptt.training.runs.folder.Run.load`.

    The name is None for a run of the first format, whose checkpoints do not have it.
    """
    from safetensors import SafetensorError, safe_open

    _check_header(path)
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get("bptt")
            if text is None:
                raise RunError("it is no checkpoint of bptt: it has no bptt metadata")
            values = _values(text)
            run_format.expect_format(path, format_ := values.pop("format", None))
            found = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118 not a dict
            given: dict[str, Shapes] = {"params": {}, "average": {}}
            for key, s in found.items():
                if _is_param(key):
                    given[key.partition(".")[0]][key.partition(".")[2]] = tuple(s.get_shape())
            if shapes is not None and (given["params"] != shapes or given["average"] not in ({}, shapes)):
                raise RunError("its parameters are not those of the model in config.json")
            if odd := {s.get_dtype() for s in found.values()} - {"F32", "F64", "I64"}:
                raise RunError(f"it has arrays of {', '.join(sorted(odd))}; a run's are F32, F64 or I64")
            arrays: Params = {key: file.get_tensor(key) for key in found}
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise _not_whole(str(error).splitlines()[0][:300]) from None
    if format_ > run_format.OLDEST:
        summed = values.pop("sha256", None)
        run_format.expect_sum(run_format.sum_of_arrays({"format": format_, **values}, arrays), summed)
        if (of := values.pop("run", None)) != run_id:
            raise RunError(f"it is of another run: of {of!r:.80}, and config.json is of {run_id!r:.80}")
    grouped: dict[str, Params] = {}
    for key, array in arrays.items():
        if not np.isfinite(array).all() or (_is_param(key) and array.dtype.kind != "f"):
            raise RunError(f"{key[:100]} holds what is no finite number")
        group, _, own = key.partition(".")
        grouped.setdefault(group, {})[own] = array
    return Checkpoint(grouped, values)


def _values(text: str) -> dict[str, Any]:
    try:
        return run_format.decode(text.encode(), dict[str, Any])
    except RunError as error:
        raise _not_whole(f"in its metadata: {error}") from None


def _check_header(path: Path) -> None:
    """Raise unless a checkpoint is a file, and neither it nor its header is too large."""
    try:
        with open_regular(path, run_format.LIMITS[path.name]) as file:
            length = int.from_bytes(file.read(8), "little")
    except OSError as error:
        raise RunError(error.strerror or str(error)) from None
    if length > run_format.HEADER_LIMIT:
        raise _not_whole(f"its header would be {length:,} bytes")


def _not_whole(why: str) -> RunError:
    return RunError(f"it is not a whole checkpoint: {why}")


def _is_param(key: str) -> bool:
    return key.startswith(("params.", "average."))
