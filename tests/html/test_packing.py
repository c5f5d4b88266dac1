"""What is packed is what a reader of the page's two elements gets back."""

import base64
import json
import re
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from bptt.html import EightBits, pack
from bptt.html.packing import LEVELS

rng = np.random.default_rng(5)


@dataclass(frozen=True)
class _Seen:
    name: str
    values: EightBits


def parts(packed: str) -> tuple[Any, bytes]:
    tree, arrays = re.findall(r"<script[^>]*>(.*?)</script>", packed, re.DOTALL)
    return json.loads(tree), zlib.decompress(base64.b64decode(arrays))


def back(at: dict[str, Any], block: bytes) -> np.ndarray[Any, Any]:
    """Return an array as `data.js` makes it."""
    count = int(np.prod(at["shape"]))
    items = np.frombuffer(block, np.dtype("<" + at["dtype"]), count, at["$"]).reshape(at["shape"])
    if at.get("differs"):
        items = np.cumsum(items, axis=0, dtype=np.uint8)
    if "lo" not in at:
        return items
    lo, hi = np.asarray(at["lo"]), np.asarray(at["hi"])
    if at["scale"] == "log2":
        lo, hi = np.log2(lo), np.log2(hi)
    numbers = lo + (items.astype(float) - 1) / LEVELS * (hi - lo)
    numbers = 2**numbers if at["scale"] == "log2" else numbers
    return np.where(items == 0, np.nan, numbers)


def test_a_tree_comes_back_with_its_arrays() -> None:
    noise, smooth = rng.normal(size=(7, 5)), np.cumsum(rng.normal(size=(400, 3)) * 0.01, axis=0)
    noise[2, 3] = np.nan
    lo, hi = np.nanmin(noise, 0), np.nanmax(noise, 0)
    tree, block = parts(
        pack(
            {
                "seen": [_Seen("a", EightBits(noise, lo, hi))],
                "smooth": EightBits(smooth, float(smooth.min()), float(smooth.max())),
                "few": np.array([3, 300]),
                "floats": np.array([[1.5, np.nan]]),
                "flags": np.array([True, False]),
                "nothing": float("nan"),
                3: (np.float32(1.5), None, "ü"),
            }
        )
    )
    found = back(tree["seen"][0]["values"], block)
    assert tree["seen"][0]["name"] == "a"
    np.testing.assert_array_equal(np.isnan(found), np.isnan(noise))
    assert np.nanmax(np.abs(found - noise) / (hi - lo)) <= 0.5 / LEVELS + 1e-6
    assert tree["smooth"]["differs"], "smooth data are kept as differences"
    np.testing.assert_allclose(back(tree["smooth"], block), smooth, atol=float(np.ptp(smooth)) / LEVELS)
    assert (tree["few"]["dtype"], back(tree["few"], block).tolist()) == ("u2", [3, 300])
    np.testing.assert_array_equal(back(tree["floats"], block), np.array([[1.5, np.nan]], np.float32))
    assert back(tree["flags"], block).tolist() == [1, 0]
    assert (tree["nothing"], tree["3"]) == (None, [1.5, None, "ü"])


def test_logarithms_keep_their_relative_error() -> None:
    norm = 2.0 ** rng.uniform(-20, 4, (60, 9))
    norm[3] = np.nan
    norm[4, 4] = 0.0  # has no logarithm: it is put at the smallest
    tree, block = parts(pack({"norm": EightBits(norm, 2.0**-20, 2.0**4, "log2")}))
    found = back(tree["norm"], block)
    assert np.isnan(found[3]).all()
    assert found[4, 4] == pytest.approx(2.0**-20)
    kept = np.isfinite(norm) & (norm > 0)
    assert np.max(np.abs(np.log2(found[kept] / norm[kept]))) <= 0.5 * 24 / LEVELS + 1e-6


@pytest.mark.parametrize(
    "text", ["</script><img src=x onerror=alert(1)>", "<!--<script>", "\u2028", "\ud800"]
)
def test_no_text_ends_an_element_early(text: str) -> None:
    packed = pack({"text": text, text: 1})
    assert packed.count("<") == 4
    tree, _ = parts(packed)
    assert tree["text"] == text.encode("utf-8", "replace").decode()


def test_no_arrays_and_empty_ones() -> None:
    assert parts(pack([])) == ([], b"")
    tree, block = parts(pack([np.zeros((0, 3)), np.zeros(0, np.int64)]))
    assert [at["shape"] for at in tree] == [[0, 3], [0]]
    assert block == b""
