"""A text that a file writes by itself, as the page on ONNX has it, is the text of the run."""

import re
from pathlib import Path
from typing import Any

import pytest

from bptt import Settings, Trained, Trainer
from bptt.cli import run
from bptt.exchange import onnx_file
from bptt.exchange.content import Content
from onnx_graphs import same

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

PAGE = (Path(__file__).parents[2] / "docs" / "onnx.md").read_text(encoding="utf-8")
KINDS: dict[str, dict[str, Any]] = {
    "chars": {"tokens": "char"},
    "bytes": {"tokens": "byte", "cell": "gru", "layers": 2},
    "words": {"tokens": "word", "cell": "slstm"},
    "subwords": {"tokens": "bpe", "vocabulary": 300, "cell": "lstm-coupled"},
    "one-hot": {"cell": "mgu", "embedding": 0},
    "lines": {"lines": True},
}


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_the_file_alone_writes_what_the_run_writes(
    tmp_path: Path, options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    if options.get("tokens") == "bpe":
        pytest.importorskip("tokenizers")
    text = "".join(f"the quick brown fox {k % 7} jumps\nover é lazy dog\n\n" for k in range(60))
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    asked: dict[str, Any] = {"hidden": 12, "steps": 100, "batch": 4, "lr": 0.02, "warmup": 0} | options
    settings = Settings.of(data=str(tmp_path / "text.txt"), **asked)
    _ = list(Trainer.start(settings, tmp_path / "run").reports())
    content, path = Content.of(Trained.load(tmp_path / "run")), tmp_path / "a.onnx"
    onnx_file.write(content, path)

    names: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)[0], names)
    count = ["--count=1"] if options.get("lines") else []
    assert run(["sample", str(tmp_path / "run"), "--temperature=0", "--length=200", *count]) == 0
    written = capsys.readouterr().out
    assert names["write"](str(path), length=200) + "\n" == written
    assert len(set(written)) > 3

    back = onnx_file.read(path)
    assert back.vocabulary == content.vocabulary
    assert back.notes == content.notes
    assert same(back.params, content.params)
