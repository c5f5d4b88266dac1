"""Data in a page: a tree of words and numbers as JSON, its arrays as one deflated block of bytes."""

import base64
import json
import math
import zlib
from dataclasses import dataclass, is_dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

AnyArray: TypeAlias = np.ndarray[Any, Any]

LEVELS = 254
"""Steps from `lo` to `hi` of what is kept in 8 bits: codes 1 to 255; 0 stands for no number."""

_ALIGNED = 8  # bytes: a typed array of JavaScript begins where its items could lie


@dataclass(frozen=True)
class EightBits:
    """An array that is kept in 8 bits an item.

    Attributes
    ----------
    array : ndarray
        Of any shape. NaN stays NaN.
    lo, hi : float or ndarray
        The smallest and largest number that is kept, for all, or for each entry of the last axis; what lies
        beyond is put there.
    scale : {"linear", "log2"}
        What is cut into equal steps: the number, or its logarithm; `lo` and `hi` are numbers in both.

    Examples
    --------
    >>> EightBits(np.array([[0.0, 0.5, 1.0]]), 0.0, 1.0).codes()
    array([[  1, 128, 255]], dtype=uint8)
    """

    array: AnyArray
    lo: float | AnyArray
    hi: float | AnyArray
    scale: Literal["linear", "log2"] = "linear"

    def codes(self) -> AnyArray:
        """Return the bytes, in the array's shape."""
        lo, hi, array = (np.asarray(part, np.float64) for part in (self.lo, self.hi, self.array))
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.scale == "log2":
                lo, hi, array = np.log2(lo), np.log2(hi), np.log2(array)
            width = np.where(hi > lo, hi - lo, 1.0)
            steps = np.rint(np.clip((array - lo) / width, 0, 1) * LEVELS) + 1
        return np.where(np.isnan(steps), 0, steps).astype(np.uint8)


def pack(value: Any) -> str:
    r"""Return a tree of data as two elements of a page; its script `data.js` gives the tree back.

    Parameters
    ----------
    value : dict, list, tuple, str, bool, int, float, None, ndarray, EightBits or dataclass
        As deep as you like; a dataclass is taken as a dict of its attributes. An array of booleans or whole
        numbers is kept in the fewest bytes that hold it, one of other numbers as float32. A float that is
        not finite becomes null.

    Returns
    -------
    str
        ``<script type="application/json" id="data">`` and ``<script type="application/octet-stream"
        id="arrays">``. Neither can end early, whatever a text of the tree says.

    Examples
    --------
    >>> print(pack({"title": "</script>"}).splitlines()[0])
    <script type="application/json" id="data">{"title":"\u003c/script>"}</script>
    """
    blocks: list[bytes] = []
    tree = json.dumps(_plain(value, blocks), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    arrays = base64.b64encode(zlib.compress(b"".join(blocks), 6)).decode("ascii")
    # a browser reads a script's text up to what looks like an end tag or a comment, whatever its type
    tree = tree.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return (
        f'<script type="application/json" id="data">{tree}</script>\n'
        f'<script type="application/octet-stream" id="arrays">{arrays}</script>'
    )


def _plain(value: Any, blocks: list[bytes]) -> Any:
    """Return the value with nothing in it that JSON does not know; the arrays' bytes go to the blocks."""
    if isinstance(value, EightBits):
        bounds = {"lo": _bound(value.lo), "hi": _bound(value.hi), "scale": value.scale}
        return _array(value.codes(), blocks) | bounds
    if isinstance(value, np.ndarray):
        return _array(_smallest(value), blocks)
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(getattr(value, name), blocks) for name in value.__dataclass_fields__}
    if isinstance(value, dict):
        return {str(key): _plain(part, blocks) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part, blocks) for part in value]
    if isinstance(value, np.generic):
        return _plain(value.item(), blocks)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")  # half of a pair of surrogates is no text
    return value


def _bound(bound: float | AnyArray) -> float | list[float]:
    rounded = np.asarray(bound, np.float32)  # the page's arithmetic; and shorter
    return float(rounded) if rounded.ndim == 0 else [float(f"{part:.7g}") for part in rounded]


def _smallest(array: AnyArray) -> AnyArray:
    if array.dtype.kind == "b":
        return array.astype(np.uint8)
    if array.dtype.kind in "iu":
        lo, hi = (int(array.min()), int(array.max())) if array.size else (0, 0)
        kinds = (np.uint8, np.uint16, np.uint32) if lo >= 0 else (np.int8, np.int16, np.int32)
        fits = [k for k in kinds if np.iinfo(k).min <= lo and hi <= np.iinfo(k).max]
        return array.astype(fits[0] if fits else np.float32)
    return array.astype(np.float32)


def _array(array: AnyArray, blocks: list[bytes]) -> dict[str, Any]:
    """Return where the array's bytes lie and what they are, having put them into the blocks.

    Bytes are kept as differences along the first axis where these compress better.
    """
    little = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
    data, differs = little.tobytes(), False
    if little.dtype == np.uint8 and little.ndim > 1 and len(little) > 1:
        steps = np.diff(little, axis=0, prepend=np.zeros_like(little[:1])).tobytes()
        differs = len(zlib.compress(steps, 1)) < len(zlib.compress(data, 1))
        data = steps if differs else data
    at = sum(map(len, blocks))
    blocks.append(data + bytes(-len(data) % _ALIGNED))
    kind = {"u": "u", "i": "i", "f": "f"}[little.dtype.kind] + str(little.dtype.itemsize)
    return {"$": at, "dtype": kind, "shape": list(array.shape)} | ({"differs": True} if differs else {})
