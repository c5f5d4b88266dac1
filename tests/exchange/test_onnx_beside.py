"""Weights in the file beside a model, as exporters leave them, by that name alone, within bounds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt.errors import DataError
from bptt.exchange import Content, onnx_file
from bptt.exchange.graphs import protobuf

onnx = pytest.importorskip("onnx")


def apart(path: Path, change: Callable[[Any], None] = lambda entries: None) -> Content:
    """Write a model whose weights lie beside it, and change where the first says that it lies."""
    model = bptt.Model(inputs=3, outputs=3, hidden=4, embedding=2)
    content = Content(model, model.init(np.random.default_rng(0)), None, {})
    onnx_file.write(content, path)
    whole = onnx.load(path)
    onnx.save_model(whole, path, save_as_external_data=True, location=f"{path.name}.data", size_threshold=0)
    moved = onnx.load(path, load_external_data=False)
    assert len(moved.graph.initializer) == len(whole.graph.initializer) > 4
    told = {entry.key: entry.value for entry in moved.graph.initializer[0].external_data}
    change(told)
    del moved.graph.initializer[0].external_data[:]
    for key, value in told.items():
        moved.graph.initializer[0].external_data.add(key=key, value=value)
    path.write_bytes(moved.SerializeToString())
    return content


def test_weights_beside_a_model_are_read(tmp_path: Path) -> None:
    content = apart(tmp_path / "a.onnx")
    found = onnx_file.read(tmp_path / "a.onnx")
    assert found.model == content.model
    for name, array in content.params.items():
        np.testing.assert_array_equal(found.params[name], array)


REFUSED: dict[str, tuple[dict[str, str], str]] = {
    "another name": (
        {"location": "b.data"},
        r"another file, 'b\.data', and what is read is a\.onnx\.data",
    ),
    "a way out": ({"location": "../x/a.onnx.data"}, "lies in another file, '../x/a.onnx.data'"),
    "from the root": ({"location": "/etc/passwd"}, "lies in another file, '/etc/passwd'"),
    "beyond the end": ({"offset": "1000000"}, r"wants 24 bytes of a\.onnx\.data, which has [\d,]+, and says"),
    "before the beginning": ({"offset": "-4"}, r"wants 24 bytes of a\.onnx\.data"),
    "too many": ({"length": "28"}, r"wants 24 bytes of a\.onnx\.data, which has [\d,]+, and says 28"),
    "no number": ({"offset": "x"}, r"says no place in a\.onnx\.data"),
    "endless digits": ({"length": "9" * 5000}, r"says no place in a\.onnx\.data"),
}


@pytest.mark.parametrize(("change", "says"), REFUSED.values(), ids=REFUSED)
def test_what_lies_elsewhere_is_one_line(tmp_path: Path, change: dict[str, str], says: str) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "b.data").write_bytes(b"1234" * 100)
    apart(tmp_path / "a.onnx", lambda told: told.update(change))
    with pytest.raises(DataError, match=says) as caught:
        onnx_file.read(tmp_path / "a.onnx")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_weights_that_are_gone_cut_short_or_too_much_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart(tmp_path / "a.onnx")
    data = tmp_path / "a.onnx.data"
    kept = data.read_bytes()
    data.write_bytes(kept[: len(kept) // 2])
    with pytest.raises(DataError, match=r"wants [\d,]+ bytes of a\.onnx\.data, which has"):
        onnx_file.read(tmp_path / "a.onnx")
    data.unlink()
    with pytest.raises(DataError, match=r"lies in a\.onnx\.data, and: No such file"):
        onnx_file.read(tmp_path / "a.onnx")
    data.mkdir()
    with pytest.raises(DataError, match=r"lies in a\.onnx\.data, and: it is a folder, not a file"):
        onnx_file.read(tmp_path / "a.onnx")
    data.rmdir()
    data.write_bytes(kept)
    beside = protobuf.Beside(tmp_path / "a.onnx")  # many arrays may say that they are the same bytes
    monkeypatch.setattr(beside, "_left", 40)
    told = {"location": data.name, "length": "24"}
    assert len(beside.read(told, 24)) == 24
    with pytest.raises(DataError, match="wants 24 bytes"):
        beside.read(told, 24)
