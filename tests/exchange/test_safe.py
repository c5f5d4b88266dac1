"""Files that are damaged, hostile or of another kind: one line each, and nothing of them is run."""

import json
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save, save_file

import bptt
from bptt import BpttError, DataError, Model
from bptt.exchange import Content, read, write
from bptt.exchange.safe import read_tensors


@pytest.fixture
def file(tmp_path: Path) -> Path:
    model = Model(inputs=3, outputs=3, hidden=2, embedding=2)
    params = model.init(np.random.default_rng(0))
    run = bptt.save_run(tmp_path / "run", model, params, bptt.text.Vocabulary("char", ("a", "b", "c")))
    write(bptt.Trained.load(run), tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def metadata_of(path: Path) -> Any:
    with safe_open(path, "numpy") as file:
        return file.metadata()


def refused(path: Path, **how: Any) -> str:
    """Return the line with which a file is refused."""
    with pytest.raises(BpttError) as error:
        read(path, "torch", **how)
    line = str(error.value)
    assert "\n" not in line
    assert len(line) < 1000
    assert path.name in line
    return line


def test_a_file_that_is_cut_at_any_byte_is_refused(file: Path) -> None:
    data = file.read_bytes()
    for end in [*range(0, len(data), 7), *range(len(data) - 9, len(data))]:
        file.write_bytes(data[:end])
        assert "not a whole file of safetensors" in refused(file)
    file.write_bytes(data + b"x")
    assert "not a whole file of safetensors" in refused(file)


def test_any_byte_that_is_another_is_refused_or_gives_numbers(file: Path) -> None:
    data, rng = bytearray(file.read_bytes()), np.random.default_rng(0)
    read_anyway = 0
    for at in rng.integers(len(data), size=300):
        spoiled = data.copy()
        spoiled[at] ^= 1 << rng.integers(8)
        file.write_bytes(spoiled)
        try:
            assert all(np.isfinite(array).all() for array in read(file).params.values())
            read_anyway += 1
        except BpttError:
            refused(file)
    assert 0 < read_anyway < 300


@pytest.mark.parametrize(
    ("start", "says"),
    [
        (b"", "not a whole file"),
        (
            struct.pack("<Q", 1 << 62),
            "its header would be 4,611,686,018,427,387,904 bytes",
        ),
        (struct.pack("<Q", 40), "not a whole file"),
        (struct.pack("<Q", 4) + b"null", "not a whole file"),
        (b"\x89HDF\r\n\x1a\n" + bytes(90), "is HDF5, as Keras writes it: --from keras"),
        (b"\x08\x0a\x12\x07pytorch" + bytes(90), "is not a file of safetensors"),
        (b'{"weights": [1, 2]}', "is not a file of safetensors"),
        (struct.pack("<Q", 1 << 23) + b"[" * (1 << 23), "not a whole file"),
        (
            struct.pack("<Q", 75)
            + b'{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,16]}}  '
            + bytes(16),
            "not a whole file",
        ),
    ],
)
def test_what_is_no_file_of_safetensors(start: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(start)
    assert says in refused(path)


class Evil:
    def __reduce__(self) -> Any:
        return pytest.fail, ("it was unpickled",)


def test_a_pickle_is_refused_with_what_makes_it_safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for protocol in range(2, 6):
        path = tmp_path / f"old{protocol}.pt"
        path.write_bytes(pickle.dumps({"a": Evil()}, protocol))
        assert "is a pickle, which is code, and is not read: in PyTorch, sd = torch.load(" in refused(path)
    with zipfile.ZipFile(tmp_path / "new.pth", "w") as made:
        made.writestr("archive/data.pkl", pickle.dumps(Evil()))
    assert "is a pickle" in refused(tmp_path / "new.pth")
    for name, told in (("a.ckpt", '["state_dict"]; '), ("a.safetensors", "'a.weights.safetensors')")):
        (tmp_path / "new.pth").replace(tmp_path / name)
        assert told in refused(tmp_path / name)  # and nobody's own file is what is written
        (tmp_path / name).replace(tmp_path / "new.pth")


def test_what_counts_steps_is_no_weight(file: Path) -> None:
    arrays, metadata = load_file(file), metadata_of(file)
    counts = {"step": np.ones(1, np.int64), "norm.num_batches_tracked": np.array(3, np.int32)}
    save_file(arrays | counts, file, metadata)
    assert read_tensors(file)[0].keys() == arrays.keys()
    save_file(arrays | {"scale": np.ones(1, np.int8)}, file, metadata)
    assert "scale is of I8" in refused(file)


@pytest.mark.parametrize("by", ["folder", "part", "index"])
def test_the_parts_of_a_model_are_read_together(by: str, file: Path) -> None:
    arrays, metadata = read_tensors(file)
    names, folder = [*arrays], file.with_name("model")
    folder.mkdir()
    parts = [folder / f"model-{k:05}-of-00002.safetensors" for k in (1, 2)]
    for part, own in zip(parts, (names[:2], names[2:]), strict=True):
        save_file({name: arrays[name] for name in own}, part, metadata)
    given = {"folder": folder, "part": parts[1], "index": folder / "model.safetensors.index.json"}[by]
    if by == "index":
        of = {name: parts[name not in names[:2]].name for name in names}
        given.write_text(json.dumps({"weight_map": of}))
        assert read(folder).params.keys() == read(file).params.keys()
    found, wanted = read(given), read(file)
    assert found.vocabulary == wanted.vocabulary
    for name, array in wanted.params.items():
        np.testing.assert_array_equal(found.params[name], array)
    if by != "index":
        save_file({names[0]: arrays[names[0]]}, parts[1])
        assert f"{names[0]} is in {parts[1].name}, too" in refused(given)
    parts[1].unlink()
    assert f"cannot read {parts[1]}: No such file" in refused(given)


def test_a_folder_with_one_model_is_that_and_of_several_one_is_named(file: Path) -> None:
    assert read(file.parent).model.hidden == 2
    (file.parent / "other.safetensors").write_bytes(file.read_bytes())
    says = (
        "of files of safetensors it has those of 2 models: name one of model.safetensors, other.safetensors"
    )
    assert says in refused(file.parent)


def test_the_lines_that_make_a_pickle_safe_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    parts = {"e": torch.nn.Embedding(3, 2), "r": torch.nn.GRU(2, 2), "o": torch.nn.Linear(2, 3)}
    torch.save(torch.nn.ModuleDict(parts).state_dict(), "my model.pt")
    two = refused(Path("my model.pt")).partition("in PyTorch, ")[2].removesuffix(" writes what is read")
    exec(f"import safetensors.torch; {two}", {"torch": torch})
    found = read("my model.safetensors").params["embedding"]
    assert np.array_equal(found, parts["e"].weight.detach().numpy())


def test_numbers_that_are_not_finite_or_of_another_kind(file: Path) -> None:
    arrays, metadata = load_file(file), metadata_of(file)
    for value in (np.nan, np.inf, -np.inf):
        now = {name: array.copy() for name, array in arrays.items()}
        now["rnn.weight_hh_l0"][0, 1] = value
        save_file(now, file, metadata)
        assert "rnn.weight_hh_l0 holds what is no finite number" in refused(file)
    for kind in (np.int64, np.uint8, np.bool_):
        save_file(arrays | {"steps": np.ones(2, kind)}, file, metadata)
        assert "steps is of" in refused(file)
        assert "what is read is F64, F32, F16, BF16" in refused(file)
    header = b'{"a":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}'
    file.write_bytes(struct.pack("<Q", len(header)) + header + bytes(2))
    assert "F8_E4M3" in refused(file)


def test_bfloat16_is_read_from_where_it_lies(tmp_path: Path) -> None:
    a, b = np.array([[1, -2.5], [0.15625, 3e38]], np.float32), np.array([0.1, -7], np.float16)
    halves = (a.view(np.uint32) >> 16).astype("<u2").tobytes()
    told = {
        "b": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]},
        "a": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [4, 12]},
    }
    header = json.dumps(told).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + b.tobytes() + halves)
    found, _ = read_tensors(path)
    assert found["a"].dtype == found["b"].dtype == np.float32
    np.testing.assert_allclose(found["a"], a, rtol=1 / 128)
    assert np.array_equal(found["b"], b.astype(np.float32))


def test_what_lies_elsewhere_is_said(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "none.safetensors")
    assert "is a folder, and of files of safetensors it has none" in refused(tmp_path)
    model = Model(inputs=2, outputs=2, hidden=2)
    run = bptt.save_run(tmp_path / "run", model, model.init(np.random.default_rng(0)))
    says = refused(run / "last.safetensors")
    assert "is a checkpoint of a run, which bptt reads by its folder" in says


def noted(file: Path, change: Any) -> Path:
    """Write the file again with other metadata."""
    told = json.loads(metadata_of(file)["bptt"])
    run = json.loads(told["run"])
    told = change(told, run) or told | {"run": json.dumps(run)}
    file.write_bytes(save(load_file(file), {"bptt": told if isinstance(told, str) else json.dumps(told)}))
    return file


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda told, run: '{"a', "truncated"),
        (lambda told, run: told | {"run": '{"a":' * 100_000}, "nested too deeply"),
        (lambda told, run: {"run": 3}, "Expected `str`"),
        (lambda told, run: told | {"run": "{}"}, "its notes of the run: cell"),
        (lambda told, run: told | {"vocabulary": "{}"}, "vocabulary: want"),
        (
            lambda told, run: told | {"vocabulary": '{"kind": "char", "tokens": ["a"]}'},
            "vocabulary of 1 tokens",
        ),
        (lambda told, run: run["model"].update(hidden=10**8), "must be (3, 2)|is not that of its settings"),
        (lambda told, run: run["model"].update(cell="gru"), "run's cell is 'lstm'"),
        (lambda told, run: run["cell"].update(equations="import os"), "does not describe a cell"),
        (lambda told, run: run.update(more=1), "parts that mean nothing: more"),
        (lambda told, run: run["settings"].update(lr=-1), "lr"),
    ],
)
def test_notes_are_read_with_the_care_of_a_run_s_files(file: Path, change: Any, says: str) -> None:
    line = refused(noted(file, change))
    assert any(each in line for each in says.split("|")), line


def test_notes_of_a_model_that_is_far_too_large_take_no_memory(file: Path) -> None:
    def larger(told: Any, run: Any) -> None:
        run["model"].update(hidden=10**8, layers=1000)
        run["settings"].update(hidden=10**8, layers=1000)

    assert "the arrays must be weight_ih" in refused(noted(file, larger))


def test_a_step_that_is_no_number_is_none() -> None:
    for text, step in [("12", 12), ("-1", 0), ("9" * 99, 0), ("x", 0), ("", 0)]:
        assert Content(Model(inputs=1, outputs=1, hidden=1), {}, None, {"step": text}).step == step


def test_a_header_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", (16 << 20) + 1) + b" " * 100)
    with pytest.raises(DataError, match="its header would be 16,777,217 bytes"):
        read(path)


def test_the_files_of_an_index_are_one_model_and_none_lies_elsewhere(file: Path) -> None:
    arrays, kept = load_file(file), metadata_of(file)
    names = sorted(arrays)
    of = {name: f"model-{k % 2}.safetensors" for k, name in enumerate(names)}
    for part in {*of.values()}:
        save_file({name: arrays[name] for name in names if of[name] == part}, file.with_name(part), kept)
    index = file.with_name("model.safetensors.index.json")
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": of}))
    found = read(index)
    for name, array in read(file).params.items():
        np.testing.assert_array_equal(found.params[name], array)
    for odd, says in (
        ("../model-0.safetensors", "no file beside it"),
        ("..", "no file beside it"),
        ("", "no file beside it"),
        ("model\0", "no file beside it"),
        ("none.safetensors", "none.safetensors"),
    ):
        index.write_text(json.dumps({"weight_map": of | {names[0]: odd}}))
        with pytest.raises(DataError, match=says):
            read(index)
    index.write_text(json.dumps({"weight_map": of | {"more": of[names[0]]}}))
    with pytest.raises(DataError, match="does not hold more"):
        read(index)
    index.write_text("[]")
    assert "no index" in refused(index)
