"""A run's files: replaced in one piece or not at all, and never read as what they are not."""

import contextlib
import errno
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from bptt import Settings, Trained, Trainer
from bptt.errors import BpttError, BpttWarning, RunError
from bptt.files import claim_folder
from bptt.training.runs.folder import Checkpoint, Run
from bptt.training.runs.format import FORMAT
from bptt.types import Params
from resealing import read_config, write_config, write_vocabulary

TEXT = "the quick brown fox jumps over the lazy dog\n" * 12


def checkpoint(k: int = 0, size: int = 400) -> Checkpoint:
    arrays: dict[str, Params] = {
        "params": {"layers.0.U": np.full((20, size), k, np.float32), "output.b": np.arange(3.0)},
        "optimizer": {"t": np.array(k, np.int64)},
        "state": {},
    }
    return Checkpoint(arrays, {"step": k, "source": {"batches": k}, "best": None})


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run.create(tmp_path / "run", {"settings": {}})
    run.save("last", checkpoint(1))
    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    folder.joinpath("text.txt").write_text(TEXT)
    settings = Settings.of(data=str(folder / "text.txt"), hidden=4, embedding=2, batch=2, chunk=4, steps=2)
    for _ in Trainer.start(settings, folder / "run").reports():
        pass
    return folder / "run"


def copied(run: Path, to: Path) -> Path:
    to.mkdir()
    for file in run.iterdir():
        to.joinpath(file.name).write_bytes(file.read_bytes())
    return to


def assert_one_line(error: pytest.ExceptionInfo[RunError]) -> None:
    assert len(str(error.value)) < 1000
    assert len(str(error.value).splitlines()) == 1


def test_a_checkpoint_comes_back_as_it_was(run: Run) -> None:
    wanted, got = checkpoint(1), run.load("last")
    assert got.values == wanted.values
    for group in ("params", "optimizer"):
        assert got.arrays[group].keys() == wanted.arrays[group].keys()
        for name, array in wanted.arrays[group].items():
            back = got.arrays[group][name]
            assert back.dtype == array.dtype
            np.testing.assert_array_equal(back, array)
            back += 1  # training moves them in place


def test_arrays_that_are_not_contiguous_are_saved_by_their_values(run: Run) -> None:
    arrays = {"T": np.arange(6.0).reshape(2, 3).T, "every other": np.arange(8.0)[::2]}
    run.save("last", Checkpoint({"params": arrays}, {}))
    for name, back in run.load("last").arrays["params"].items():
        np.testing.assert_array_equal(back, arrays[name])


def test_the_same_content_gives_the_same_bytes(run: Run) -> None:
    first = run.path("last.safetensors").read_bytes()
    for _ in range(5):
        again = checkpoint(1)
        turned = {group: dict(reversed(part.items())) for group, part in reversed(again.arrays.items())}
        run.save("last", Checkpoint(turned, dict(reversed(again.values.items()))))
        assert run.path("last.safetensors").read_bytes() == first
    run.save("last", checkpoint(2))
    assert run.path("last.safetensors").read_bytes() != first


def full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


def interrupted(*_: Any, **__: Any) -> Any:
    raise KeyboardInterrupt


def half_written(handle: int, data: bytes) -> int:
    if len(data) < 100:
        full()
    return REAL_WRITE(handle, data[: len(data) // 2 + 1])


REAL_WRITE = os.write


@pytest.mark.parametrize(
    ("place", "fault", "raised"),
    [
        ("os.open", full, RunError),
        ("os.write", half_written, RunError),
        ("os.fsync", full, RunError),
        ("os.fsync", interrupted, KeyboardInterrupt),
        ("os.replace", full, RunError),
        ("os.replace", interrupted, KeyboardInterrupt),
    ],
)
def test_a_write_that_fails_leaves_what_was_there(
    run: Run, monkeypatch: pytest.MonkeyPatch, place: str, fault: Callable[..., Any], raised: type[Exception]
) -> None:
    before = sorted(run.folder.iterdir())
    with monkeypatch.context() as patched:
        patched.setattr(place, fault)
        with pytest.raises(raised) as error:
            run.save("last", checkpoint(2))
        if raised is RunError:
            assert "No space left on device; what was there is as it was" in str(error.value)
    assert sorted(run.folder.iterdir()) == before
    assert run.load("last").values["step"] == 1
    run.save("last", checkpoint(2))
    assert run.load("last").values["step"] == 2


def test_a_disk_that_is_really_full_leaves_what_was_there(run: Run) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = sorted(run.folder.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))  # no file may grow beyond it
    try:
        with pytest.raises(RunError, match="cannot write"):
            run.save("last", checkpoint(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(run.folder.iterdir()) == before
    assert run.load("last").values["step"] == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_log_that_cannot_be_written_is_said(run: Run) -> None:
    run.path("log.jsonl").symlink_to("/dev/full")
    with pytest.raises(RunError, match=r"cannot write .*log\.jsonl: "):
        run.log.add({"step": 1})


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_files_have_the_mode_that_the_umask_gives(run: Run) -> None:
    for mask in (0o022, 0o077, 0o002):
        before = os.umask(mask)
        run.save("last", checkpoint())
        run.log.add({"step": 1})
        os.umask(before)
        assert run.path("last.safetensors").stat().st_mode & 0o777 == 0o666 & ~mask


def test_what_a_killed_process_left_is_swept_away(run: Run) -> None:
    run.path(".x.tmp").write_text("a user's own")
    run.path(".notes.json.0123456789ab.tmp").write_text("a user's own")
    mine = sorted(run.folder.iterdir())
    run.path(".last.safetensors.0123456789ab.tmp").write_text("half a checkpoint")
    run.path(".config.json.0123456789ab.tmp").write_text("half a configuration")
    run.sweep()
    assert sorted(run.folder.iterdir()) == mine


# what is not a checkpoint


def test_a_truncated_checkpoint_is_said_in_one_line(run: Run) -> None:
    path = run.path("last.safetensors")
    whole = path.read_bytes()
    for size in [*range(0, 400, 7), *range(400, len(whole), 1999), len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(RunError, match=r"is (not a whole|no) checkpoint") as error:
            run.load("last")
        assert_one_line(error)


def stamped(values: object) -> bytes:
    data: bytes = save({"params.w": np.ones(3)}, metadata={"bptt": json.dumps(values)})
    return data


BF16 = b'{"w":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage" * 100,
        b"\n\xff\0" * 999,
        TEXT.encode(),
        b"PK\x03\x04" + bytes(500),
        save({"w": np.ones(3)}),
        save({"w": np.ones(3)}, metadata={"format": "pt"}),
        save({"w": np.ones(3)}, metadata={"bptt": "{"}),
        len(BF16).to_bytes(8, "little") + BF16 + bytes(4),
        stamped([]),
        stamped(7),
        stamped(None),
        stamped("text"),
    ],
    ids=lambda data: repr(data[:24]),
)
def test_what_is_no_checkpoint_is_said_in_one_line(run: Run, data: bytes) -> None:
    run.path("last.safetensors").write_bytes(data)
    with pytest.raises(
        RunError,
        match=r"last\.safetensors.* (is (not a whole|no) checkpoint|has format|its header)",
    ) as error:
        run.load("last")
    assert_one_line(error)


@pytest.mark.parametrize(
    "values", [{}, {"format": FORMAT + 1}, {"format": "1"}, {"format": None}, {"format": True}]
)
def test_a_checkpoint_of_another_format_is_not_read(run: Run, values: dict[str, Any]) -> None:
    run.path("last.safetensors").write_bytes(stamped(values))
    with pytest.raises(RunError, match=rf"has format .*; this version of bptt reads formats 1 to {FORMAT}"):
        run.load("last")


def test_a_checkpoint_that_is_missing_or_a_folder_is_said(run: Run) -> None:
    with pytest.raises(RunError, match=r"has no best\.safetensors"):
        run.load("best")
    run.path("best.safetensors").mkdir()
    with pytest.raises(RunError, match=r"best\.safetensors: it is a folder, not a file"):
        run.load("best")


def test_a_checkpoint_of_another_model_or_optimiser_is_said(trained: Path, tmp_path: Path) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"hidden": 5}, "its parameters are not those of the model"),
        ({"optimizer": "sgd", "momentum": 0.9}, "does not hold the optimiser"),
        ({"batch": 3}, "does not hold the states"),
    ]
    for values, says in cases:
        folder = copied(trained, tmp_path / "-".join(values))
        config = read_config(folder)
        config["settings"] |= values
        config["model"] |= {key: value for key, value in values.items() if key in config["model"]}
        write_config(folder, config)
        with pytest.raises(RunError, match=says) as error:
            Trainer.resume(folder)
        assert_one_line(error)
    with pytest.raises(RunError, match="its parameters are not those of the model"):
        Trained.load(tmp_path / "hidden")


def test_a_checkpoint_that_lacks_a_value_is_said(trained: Path, tmp_path: Path) -> None:
    run = Run(copied(trained, tmp_path / "run"))
    whole = run.load("last")
    for key in whole.values:
        run.save("last", Checkpoint(whole.arrays, {k: v for k, v in whole.values.items() if k != key}))
        with pytest.raises(RunError, match=f"missing required field `{key}`") as error:
            Trainer.resume(run.folder)
        assert_one_line(error)


# config.json and vocabulary.json


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"7", b"null", b"\xff\xfe", b'{"settings": {', b"{}\0"])
def test_a_broken_config_is_said_in_one_line(trained: Path, tmp_path: Path, data: bytes) -> None:
    folder = copied(trained, tmp_path / "run")
    folder.joinpath("config.json").write_bytes(data)
    for use in (Trainer.resume, Trained.load):
        with pytest.raises(RunError, match=r"config\.json") as error:
            use(folder)
        assert_one_line(error)


@pytest.mark.parametrize("part", ["settings", "model", "data", "cell"])
@pytest.mark.parametrize("value", [None, [], 7, "x"])
def test_a_config_that_lacks_a_part_is_said(trained: Path, tmp_path: Path, part: str, value: object) -> None:
    folder = copied(trained, tmp_path / "run")
    whole = read_config(folder)
    for config in ({**whole, part: value}, {k: v for k, v in whole.items() if k != part}):
        write_config(folder, config)
        for use in (Trained.load, Trainer.resume):
            with pytest.raises(RunError, match=rf"config\.json: {part}: ") as error:
                use(folder)
            assert_one_line(error)


def test_a_setting_of_another_type_is_said(trained: Path, tmp_path: Path) -> None:
    folder = copied(trained, tmp_path / "run")
    whole = read_config(folder)
    odd: list[object] = [{}, [7], -1, 2.5, "odd", True]
    for part in ("settings", "model"):
        for name in whole[part]:
            for value in odd:
                write_config(folder, {**whole, part: {**whole[part], name: value}})
                try:
                    Trained.load(folder)
                    Trainer.resume(folder).close()
                except BpttError as error:
                    assert len(str(error).splitlines()) == 1  # noqa: PT017  some of the values are good
        write_config(folder, {**whole, part: {**whole[part], "from-the-future": 1}})
        with pytest.raises(BpttError, match="unknown field `from-the-future`"):
            Trainer.resume(folder)


@pytest.mark.parametrize("spec", ["mine.py", "mine.py:own", "./mine.py", "mine:own", "lstm"])
def test_a_config_names_no_code(
    trained: Path, tmp_path: Path, spec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("mine.py").write_text("open('ran', 'w')\n")
    folder = copied(trained, tmp_path / "run")
    whole = read_config(folder)
    for config in (
        {**whole, "cell": {"name": spec}, "model": {**whole["model"], "cell": spec}},
        {**whole, "settings": {**whole["settings"], "cell": spec}},
        {**{k: v for k, v in whole.items() if k != "cell"}, "model": {**whole["model"], "cell": spec}},
    ):
        write_config(folder, config)
        for use in (Trained.load, Trainer.resume):
            with contextlib.suppress(BpttError):
                made = use(folder)
                assert spec == "lstm"
                if isinstance(made, Trainer):
                    made.close()
    assert not tmp_path.joinpath("ran").exists()


@pytest.mark.parametrize("found", [None, 0, FORMAT + 1, "1", True, 10**30])
def test_a_config_of_another_format_is_not_read(run: Run, found: object) -> None:
    run.path("config.json").write_text(json.dumps({"format": found, "settings": {}}))
    with pytest.raises(RunError, match=r"config\.json.* (has format|out of range)"):
        Run.open(run.folder).config()


def test_a_vocabulary_that_is_lost_or_anothers_is_said(trained: Path, tmp_path: Path) -> None:
    folder = copied(trained, tmp_path / "run")
    whole = json.loads(folder.joinpath("vocabulary.json").read_text())
    write_vocabulary(folder, {**whole, "tokens": whole["tokens"][1:]})
    with pytest.raises(RunError, match="holds 27 tokens, the model has 28"):
        Trained.load(folder)
    folder = copied(trained, tmp_path / "lost")
    folder.joinpath("vocabulary.json").unlink()
    with pytest.raises(RunError, match=r"vocabulary\.json is missing; bptt train --resume makes it anew"):
        Trained.load(folder)
    Trainer.resume(folder).close()  # knows it from the data, and writes it
    assert Trained.load(folder).vocabulary is not None


# the log


def test_the_logs_half_written_last_line_is_left_out(run: Run) -> None:
    for step in (1, 2, 3):
        run.log.add({"step": step, "seconds": step / 2})
    log = run.path("log.jsonl")
    whole = log.read_bytes()
    for torn in range(1, len(whole.splitlines()[2])):
        log.write_bytes(whole[:-torn])
        assert [line["step"] for line in run.log.lines()] == [1, 2] + [3] * (torn == 1)
    log.write_bytes(whole[:-10])
    assert run.log.rewind(3) == 1.0
    assert log.read_bytes() == b"".join(whole.splitlines(keepends=True)[:2])
    run.log.add({"step": 3})
    assert len(run.log.lines()) == 3


def test_a_log_is_rewound_to_a_step(run: Run) -> None:
    assert run.log.rewind(9) == 0.0
    for step in range(5):
        run.log.add({"step": step, "seconds": step * 10.0})
    assert run.log.rewind(2) == 20.0
    assert [line["step"] for line in run.log.lines()] == [0, 1, 2]


@pytest.mark.parametrize(
    "bad",
    [b"\xff\xfe", b"null", b"[1]", b'{"a": 1}', b'{"step": "x"}', b"\0\0", b'{"step": 1}', b"", b"[" * 9999],
)
def test_damaged_lines_of_a_log_are_kept_aside_and_told(run: Run, bad: bytes) -> None:
    for step in (1, 2, 3):
        run.log.add({"step": step, "seconds": step / 2})
    first, *others = run.path("log.jsonl").read_bytes().splitlines(keepends=True)
    damaged = b"".join([first, bad + b"\n", *others])
    run.path("log.jsonl").write_bytes(damaged)
    with pytest.warns(BpttWarning, match="line 2 is damaged, and left out"):
        assert [line["step"] for line in run.log.lines()] == [1, 2, 3]
    with pytest.warns(BpttWarning, match=r"line 2 is damaged.*it is kept in .*log\.jsonl\.damaged-1"):
        assert run.log.rewind(2) == 1.0
    assert run.path("log.jsonl.damaged-1").read_bytes() == damaged
    assert [line["step"] for line in run.log.lines()] == [1, 2]


def test_every_flipped_bit_of_a_log_is_seen(run: Run) -> None:
    for step in (1, 2):
        run.log.add({"step": step, "train_loss": 1.5})
    whole, lines = run.path("log.jsonl").read_bytes(), run.log.lines()
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        run.path("log.jsonl").write_bytes(flipped)
        torn = not flipped.endswith(b"\n")
        assert torn or run.log.read().damaged or run.log.lines() == lines  # a space became a tab


def test_a_log_that_cannot_be_read_is_said(run: Run) -> None:
    run.path("log.jsonl").mkdir()
    with pytest.raises(RunError, match="cannot read"):
        run.log.lines()


# folders


def test_a_folder_that_holds_a_run_is_not_taken(run: Run) -> None:
    before = {path: path.read_bytes() for path in run.folder.iterdir()}
    with pytest.raises(RunError, match=r"already holds a run; go on with --resume .*, or give another --out"):
        Run.create(run.folder, {"settings": {"other": 1}}, {"tokens": []})
    assert {path: path.read_bytes() for path in run.folder.iterdir()} == before


def test_of_many_that_make_a_run_at_once_one_has_it(tmp_path: Path) -> None:
    together = Barrier(8)

    def make(k: int) -> Run | None:
        together.wait()
        try:
            return Run.create(tmp_path / "run", {"k": k}, {"k": k})
        except RunError:
            return None

    with ThreadPoolExecutor(8) as pool:
        (made,) = [run for run in pool.map(make, range(8)) if run is not None]
    run = Run.open(tmp_path / "run")
    assert made.config()["k"] == run.config()["k"]
    assert run.vocabulary() == {"k": run.config()["k"]}
    assert {path.name for path in run.folder.iterdir()} == {".lock", "config.json", "vocabulary.json"}


def test_a_folder_that_cannot_be_made_or_read_is_said(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for folder in (file, file / "beneath", tmp_path / ("x" * 300), tmp_path / "y" / ("x" * 300)):
        with pytest.raises(RunError, match="cannot make the folder") as error:
            Run.create(folder, {})
        assert_one_line(error)
        with pytest.raises(RunError, match="is no such folder") as error:
            Run.open(folder)
        assert_one_line(error)
    with pytest.raises(RunError, match=r"holds no run: it has no config\.json"):
        Run.open(tmp_path)


@pytest.mark.skipif(
    os.name != "posix" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_a_folder_that_must_not_be_written_is_said(run: Run) -> None:
    run.folder.chmod(0o555)
    try:
        with pytest.raises(RunError, match=r"cannot write .*: Permission denied"):
            run.save("last", checkpoint(2))
        with pytest.raises(RunError, match="cannot make the folder"):
            Run.create(run.folder / "inner", {})
    finally:
        run.folder.chmod(0o755)
    assert run.load("last").values["step"] == 1


def test_a_claimed_folder_is_ones_own(tmp_path: Path) -> None:
    assert claim_folder(tmp_path, "a") == tmp_path / "a-1"
    tmp_path.joinpath("a-2").write_text("")
    assert claim_folder(tmp_path, "a") == tmp_path / "a-3"
    with pytest.raises(RunError, match="cannot make the folder"):
        claim_folder(tmp_path, "x" * 300)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: claim_folder(tmp_path, "b"), range(40)))
    assert len(set(made)) == 40
