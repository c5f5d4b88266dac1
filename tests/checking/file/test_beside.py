"""What lies beside a file, and what stands for libraries that are not there."""

import os
from pathlib import Path

import numpy as np
import pytest

from bptt.checking.example.names import namespace
from bptt.checking.file import importers, read
from bptt.checking.file.imports import missing


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no FIFOs")
def test_of_what_lies_beside_a_file_those_that_import_it_are_found(tmp_path: Path) -> None:
    path = tmp_path / "cell.py"
    for name, text in {"cell": "", "use": "import numpy, cell\n", "more": "from cell import f\n"}.items():
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "other.py").write_text("import cells\n")
    (tmp_path / "bytes.py").write_bytes(b"\xff\xfe\0")
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "dangling.py").symlink_to("nowhere.py")
    os.mkfifo(tmp_path / "pipe.py")
    assert [one.name for one in importers(path)] == ["more.py", "use.py"]


def test_the_softmax_that_stands_for_scipys_does_not_overflow() -> None:
    p = missing("scipy.special.softmax")(np.array([[800.0, 799.0], [1.0, 1.0]]), axis=1)
    np.testing.assert_allclose(p, [[1 / (1 + np.exp(-1)), 1 / (1 + np.e)], [0.5, 0.5]])


def test_what_is_run_from_a_folder_above_finds_its_modules_there(tmp_path: Path) -> None:
    for name, text in {"parts/ends.py": "def end(x):\n    return x + 1\n", "nets/deep/one.py": ""}.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    path = tmp_path / "nets/deep/one.py"
    path.write_text("from parts.ends import end\n\ndef twice(x):\n    return 2 * end(x)\n")
    assert namespace(read(path), {})["twice"](1) == 4
