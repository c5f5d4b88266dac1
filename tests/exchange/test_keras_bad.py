"""Files of Keras that are damaged, hostile, or of another model: one line, nothing run, little memory."""

import io
import json
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt.errors import BpttError, ConfigError, DataError
from bptt.exchange.content import Content
from bptt.exchange.keras_file import layers, read, write
from bptt.exchange.keras_model.hdf5 import Tree

h5py = pytest.importorskip("h5py")
KERNEL = "layers/lstm/cell/vars/0"


@pytest.fixture
def made(tmp_path: Path) -> Path:
    model = bptt.Model(inputs=7, outputs=7, hidden=5, embedding=4)
    content = Content(model, model.init(np.random.default_rng(0)), None, {})
    write(content, tmp_path / "a.keras")
    write(content, tmp_path / "a.weights.h5")
    return tmp_path


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(path: Path, found: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, data in found.items():
            archive.writestr(name, data)


def change_config(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    found = members(path)
    config = json.loads(found["config.json"])
    change(config)
    rewrite(path, found | {"config.json": json.dumps(config).encode()})


def told(reader: Callable[[Path], object], path: Path) -> str:
    """Return what a reader says of a file in its one line; nothing where it reads it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            reader(path)
        except BpttError as error:
            text = str(error)
        else:
            return ""
    assert text.startswith(str(path)) or text.startswith(f"cannot read {path}")
    assert "\n" not in text
    assert len(text) < 900
    return text


def expect_line(path: Path, says: str) -> None:
    assert says in told(read, path)
    told(layers, path)


@pytest.mark.parametrize("name", ["a.keras", "a.weights.h5"])
def test_a_file_cut_anywhere_is_one_line(made: Path, name: str) -> None:
    data = made.joinpath(name).read_bytes()
    for at in [*range(0, len(data), 997), len(data) - 1]:
        made.joinpath(name).write_bytes(data[:at])
        with pytest.raises(DataError):
            read(made / name)


def test_any_byte_may_be_another(made: Path) -> None:
    rng = np.random.default_rng(1)
    for name in ("a.keras", "a.weights.h5"):
        data = np.frombuffer(made.joinpath(name).read_bytes(), np.uint8)
        for _ in range(150):
            other = data.copy()
            other[rng.integers(len(data), size=rng.integers(1, 9))] = rng.integers(256)
            made.joinpath(name).write_bytes(other.tobytes())
            told(read, made / name)


VALUES: list[Any] = [
    None,
    True,
    -1,
    1.5,
    2**70,
    "",
    "LSTM",
    [],
    {},
    [[]],
    {"class_name": "LSTM", "config": {}},
]


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at] * bool(at) + [place for key, part in inside for place in places(part, (*at, key))]


def test_any_value_of_the_configuration_may_be_another(made: Path) -> None:
    found = members(made / "a.keras")
    rng = np.random.default_rng(2)
    for place in places(json.loads(found["config.json"])):
        config = part = json.loads(found["config.json"])
        for key in place[:-1]:
            part = part[key]
        part[place[-1]] = VALUES[rng.integers(len(VALUES))]
        rewrite(made / "a.keras", found | {"config.json": json.dumps(config).encode()})
        told(read, made / "a.keras")
        told(layers, made / "a.keras")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda file: file.__delitem__(KERNEL), "has 2 arrays, and should have 3"),
        (lambda file: file.__delitem__("layers/lstm"), "has 0 arrays, and should have 3"),
        (lambda file: file.create_dataset("layers/gru/cell/vars/0", data=np.ones((2, 3), "f4")), "does not"),
        (lambda file: put(file, np.ones((4, 21), "f4")), "kernel must be floats (D, 4H) = (4, 20)"),
        (lambda file: put(file, np.ones((3, 20), "f4")), "lstm reads 3 numbers"),
        (lambda file: put(file, np.ones((4, 20), "i4")), "is of int32"),
        (lambda file: put(file, np.ones((4, 20), "c8")), "is of complex64"),
        (lambda file: put(file, np.full((4, 20), np.nan, "f4")), "no finite number"),
        (lambda file: put(file, np.ones((4, 20)).astype(object), h5py.vlen_dtype("f4")), "is of object"),
        (lambda file: link(file, h5py.SoftLink("/layers/dense/vars/0")), "is a SoftLink"),
        (lambda file: link(file, h5py.ExternalLink("other.h5", "/x")), "is a ExternalLink"),
        (lambda file: outside(file), "lies in another file"),
        (lambda file: virtual(file), "lies in another file"),
        (lambda file: huge(file), "which a file of its size does not hold"),
        (lambda file: huge(file, chunks=(1 << 20, 512), compression="gzip"), "which a file of its size"),
        (lambda file: put(file, np.ones((4, 20), "f4"), scaleoffset=3), "compressed in a way"),
    ],
)
def test_arrays_that_are_not_those_of_the_model(
    made: Path, change: Callable[[Any], object], says: str
) -> None:
    found = members(made / "a.keras")
    file = io.BytesIO(found["model.weights.h5"])
    with h5py.File(file, "r+") as opened:
        change(opened)
    rewrite(made / "a.keras", found | {"model.weights.h5": file.getvalue()})
    expect_line(made / "a.keras", says)


def put(file: Any, array: Any, dtype: Any = None, **how: Any) -> None:
    del file[KERNEL]
    if dtype is None:
        file.create_dataset(KERNEL, data=array, **how)
    else:
        file.create_dataset(KERNEL, array.shape, dtype)


def link(file: Any, to: Any) -> None:
    del file[KERNEL]
    file[KERNEL] = to


def outside(file: Any) -> None:
    del file[KERNEL]
    file.create_dataset(KERNEL, (4, 20), "f4", external=[("/etc/hostname", 0, 320)])


def virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((4, 20), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (4, 20))
    del file[KERNEL]
    file.create_virtual_dataset(KERNEL, layout)


def huge(file: Any, **how: Any) -> None:
    """An array of which no byte is written takes no place in its file."""
    del file[KERNEL]
    file.create_dataset(KERNEL, (1 << 20, 1 << 10), "f4", **how)


def test_many_names_of_one_array_do_not_fill_the_memory(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bptt.exchange.keras_model.hdf5.MOST", 1000)
    monkeypatch.setattr("bptt.exchange.keras_model.hdf5.TIMES", 0)
    with made.joinpath("a.weights.h5").open("rb") as file, Tree(file, 1) as tree:
        tree.array(KERNEL), tree.array(KERNEL), tree.array(KERNEL)
        with pytest.raises(DataError, match="which a file of its size does not hold"):
            tree.array(KERNEL)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda found: found.pop("config.json"), "it has no config.json"),
        (lambda found: found.pop("model.weights.h5"), "it has no model.weights.h5"),
        (lambda found: found.update({"config.json": b"{"}), "its config.json is no JSON"),
        (lambda found: found.update({"config.json": b"[" * 200_000}), "its config.json is no JSON"),
        (lambda found: found.update({"config.json": b"[]"}), "its config.json is no JSON object"),
        (lambda found: found.update({"config.json": b" " * (17 << 20)}), "at most 16,777,216 are read"),
        (lambda found: found.update({"model.weights.h5": pickle.dumps(Code())}), "no whole file of HDF5"),
    ],
)
def test_members_that_are_not_keras_own(
    made: Path, change: Callable[[dict[str, bytes]], object], says: str
) -> None:
    found = members(made / "a.keras")
    change(found)
    rewrite(made / "a.keras", found)
    expect_line(made / "a.keras", says)


class Code:
    """What would say so if it were unpickled."""

    def __reduce__(self) -> Any:
        return pytest.fail, ("it was unpickled",)


def test_a_zip_that_becomes_large_is_not_unpacked(made: Path) -> None:
    found = members(made / "a.keras") | {"model.weights.h5": bytes(64 << 20)}
    rewrite(made / "a.keras", found, zipfile.ZIP_DEFLATED)
    expect_line(made / "a.keras", "its model.weights.h5 would have 67,108,864 bytes")


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.keras", pickle.dumps(Code()), "neither a .keras file nor HDF5"),
        ("a.keras", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("a.h5", b"", "neither a .keras file nor HDF5"),
        ("a.h5", None, "cannot read"),
    ],
)
def test_what_is_no_file_of_keras(tmp_path: Path, name: str, data: bytes | None, says: str) -> None:
    path = tmp_path / name
    path.mkdir() if data is None else path.write_bytes(data)
    expect_line(path, says)


def test_code_in_a_model_is_not_run(made: Path) -> None:
    def with_lambda(config: dict[str, Any]) -> None:
        code = {"class_name": "__lambda__", "config": {"value": "4wEAAAAA", "defaults": None}}
        made_of = {"name": "lambda", "function": code}
        config["config"]["layers"].insert(2, {"class_name": "Lambda", "config": made_of})

    change_config(made / "a.keras", with_lambda)
    expect_line(made / "a.keras", "a Lambda, has no place and is code, which is not run")


def test_layers_in_a_circle_are_seen(made: Path) -> None:
    def turn(config: dict[str, Any]) -> None:
        config["class_name"] = "Functional"
        names = [layer["config"]["name"] for layer in config["config"]["layers"]]
        config["config"] |= {"input_layers": [[names[0], 0, 0]], "output_layers": [[names[-1], 0, 0]]}
        for layer, below in zip(config["config"]["layers"], [names[-1], *names], strict=False):
            layer |= {"name": layer["config"]["name"], "inbound_nodes": [[[below, 0, 0, {}]]]}

    change_config(made / "a.keras", turn)
    expect_line(made / "a.keras", "its layers are in a circle")


def test_a_model_within_models_without_end_is_seen(made: Path) -> None:
    def nest(config: dict[str, Any]) -> None:
        for _ in range(40):
            inside = {"class_name": "Sequential", "config": dict(config["config"])}
            config["config"] = {"name": "deep", "layers": [inside]}

    change_config(made / "a.keras", nest)
    expect_line(made / "a.keras", "nested too deeply")


def test_h5py_is_asked_for(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(ConfigError, match=r"pip install 'bptt\[keras\]'"):
        read(made / "a.keras")


@pytest.mark.parametrize(
    "how",
    [
        {"compression": "gzip", "shuffle": True, "fletcher32": True, "chunks": (2, 5)},
        {"compression": "lzf"},
        {"dtype": "f8"},
        {"dtype": ">f4"},
    ],
)
def test_arrays_may_be_compressed_and_of_other_precision(made: Path, how: dict[str, Any]) -> None:
    wanted = read(made / "a.weights.h5").params
    with h5py.File(made / "a.weights.h5", "r+") as file:
        kernel = file[KERNEL][()]
        del file[KERNEL]
        file.create_dataset(KERNEL, data=kernel, **how)
    found = read(made / "a.weights.h5").params
    assert all((found[name] == array).all() for name, array in wanted.items())


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_halves_become_float32(made: Path, kind: str) -> None:
    with h5py.File(made / "a.weights.h5", "r+") as file:
        kernel = file[KERNEL][()]
        halves = kernel.astype(np.float16)
        if kind == "bfloat16":  # as Keras keeps what HDF5 has no type for
            halves = (kernel.view(np.uint32) >> 16).astype(np.uint16).view("V2")
        del file[KERNEL]
        file.create_dataset(KERNEL, data=halves).attrs["dtype"] = kind
    W = read(made / "a.weights.h5").params["layers.0.W"]
    np.testing.assert_allclose(W[:, :5], kernel[:, :5], rtol=2**-7)
    assert W.dtype == np.float32
