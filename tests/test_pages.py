"""What README and docs show is so: their code runs, their commands run, and what is exact is what is printed.

Each page is run from its top in an empty folder, its Python in one module, its commands in the order in which
they stand. `page_desk` says what files there are and how trainings are cut short.
"""

import re
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import bptt
from bptt.derive import EquationCell
from page_blocks import Block, blocks, in_tables
from page_desk import Desk

ROOT = Path(__file__).parent.parent
PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "SECURITY", "CONTRIBUTING")),
    *(ROOT / "docs").glob("*.md"),
]

FILE = re.compile(r"# (\S+\.py)\n")
"""How a block of Python begins that is a file."""
NEEDED = ("torch", "onnxruntime")
"""What a block is left out for where it is not installed."""

EXACT = {"check", "derive", "export"}
"""Commands whose output is what the page shows, but for what is each machine's own."""

NOT_RUN = {
    "README.md": {
        "bptt check FILE.py": "the page's own file is checked below",
        "pip install . && bptt train": "CI installs, and trains in the tests",
        "self.lstm = bptt.torch.LSTM": "a line of a reader's model; docs/torch.md runs one",
        "affine      a_t": "equations",
    },
    "CONTRIBUTING.md": {
        "pip install -e": "CI installs",
        "pytest -n auto": "CI does",
        "python -m sphinx": "CI builds the site",
        "python tests/helpers/fuzz_runs.py": "it takes hours; tests take some of each",
        "python tests/helpers/fuzz_cells.py": "it takes hours; tests take some of each",
        "python tests/helpers/fuzz_corpora.py": "it takes hours; tests take some of each",
        "python tests/helpers/judge_cells.py": "it takes hours; tests take some of each",
    },
    "docs/cells.md": {
        "z = surrogate": "lines of a cell's body; tests/derive has such cells",
        'maps={"a_h"': "an argument; tests/maps has it",
    },
    "docs/check.md": {"bptt check FILE.py[:NAME]": "a synopsis"},
    "docs/derivations.md": {"dc = dc_next + dy o": "equations"},
    "docs/flow.md": {"∂s_t/∂s'_{t-1}": "equations", "gain_k": "equations"},
    "docs/look.md": {"norm[t, k, path]": "equations", "unseen(C)": "equations", "n(t) =": "equations"},
    "docs/judged.md": {
        "dh   = dy": "equations",
        "dc = dc_next + dy": "equations",
        "derivation.py: the backward": "of somebody's text, which is not ours to keep",
        "  example (how.py)": "likewise",
        "  gradient at  verdict": "likewise",
        "  The first wrong statement": "likewise",
        "  With these changes": "likewise",
        "--- a/derivation.py": "likewise",
        "da_g = dh * o": "equations",
        "dh      = dlogits": "equations",
    },
    "docs/notebooks.md": {"def of_parameters": "a notebook's; tests/test_notebooks.py runs it"},
    "docs/report.md": {"import json": "for a tracker of the reader's"},
    "docs/processes.md": {
        "pip install '.[torch]'": "CI installs",
        "torchrun --standalone": "tests/training/test_workers.py starts processes",
        "1.33 F / (B N T)": "arithmetic",
        "bptt bench --workers": "it measures for minutes",
        "python benchmarks/workers.py": "it measures for minutes",
        "mpirun": "it wants MPI",
        "torchrun --nnodes": "it wants several machines",
        "#!/bin/bash": "it wants a cluster",
    },
    "docs/results.md": {
        'python -c "': "it cuts a public list of 32,033 names",
        "step  2,000": "a log of what took minutes",
        "step 250": "a log of what took minutes",
        "step 2,000": "a log of what took minutes",
        "step  1,328": "a log of what took minutes",
        "slstm     step": "a log of what took minutes",
        "python benchmarks/series_tables.py": "it wants packages with public series",
        "BPTT_THREADS=1": "it measures for minutes",
        "python benchmarks/criteria.py": "it trains for minutes",
    },
    "docs/torch.md": {
        "bptt bench --layers": "it measures for minutes; tests/bench runs it small",
        "python examples/recurrent_policy.py": "tests/test_examples.py runs it",
        "BPTT_THREADS=4": "a line for a reader's program",
    },
}
"""What is not run, by how it begins, and why."""

TRAINED = {
    "docs/training.md": (
        "bptt train names.txt --lines",
        "bptt train names.csv --task classify --text name --label language",
    ),
}
"""What is trained before a page is read, since other pages show how."""

MEANT = {
    "bptt train surnames.txt --from": "names.txt",
    "bptt train more.csv --from": "names.csv",
    "bptt train sonnets.txt --from": "a.txt shakespeare.txt",
    "bptt eval DIR --dynamic": "a.txt",
    "bptt eval DIR PATH --dynamic": "a.txt",
    "bptt sample DIR --count 20": "names.txt",
    "bptt sample DIR --new": "names.txt",
    "bptt eval DIR FILE --each-line": "names.txt shakespeare.txt",
    "bptt eval DIR FILE.csv": "names.txt",
}
"""Whose run is meant by DIR, where it is not the last one that the page has trained."""

FIRST = {
    "README.md": "i = f = o = g = dh = dc = c_prev = tanh_c = 0.5",
    "docs/exchange.md": """
from bptt.cli import run
assert run("train pydoc --hidden 16 --embedding 8 --steps 1 --batch 2 --chunk 8 --out run".split()) == 0
import shutil
shutil.copytree("run", "DIR")
shutil.copy("run/vocabulary.json", "v.json")
""",
    "docs/onnx.md": """
from bptt.cli import run
with open("abc.txt", "w") as file:
    file.write("a b c" * 99)
assert run("train abc.txt --hidden 4 --steps 1 --batch 2 --chunk 8 --out run".split()) == 0
for name in ("lm", "encoder"):
    assert run(["export", "run", "--out", f"{name}.onnx"]) == 0
""",
}
"""What is done before a page is read: what it speaks of as something that is there."""

LAST = {
    "README.md": "assert loss > 0 and grads.inputs.shape == x.shape",
    "docs/exchange.md": """
assert content.model.stack.cell.name == "gru" and outputs.shape == (3, 1, 5)
assert run.y.shape == (7, 2, 4) and set(one) == {"weight_ih", "weight_hh"}
assert bptt.Trained.load(folder).vocabulary is None
""",
    "docs/torch.md": "assert all('compiled for ' in its.runs_on for its in (model.lstm, layer))",
    "docs/optimiser.md": "assert loss < 1",
    "docs/series.md": "assert forecaster.backtest().windows == 3",
}
"""What is so after a page is read."""


def begins(block: Block, among: Any) -> str | None:
    return next((start for start in among if block.text.startswith(start)), None)


@pytest.mark.parametrize("page", sorted(PAGES), ids=lambda path: path.name)
def test_what_a_page_shows_is_so(
    page: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    read(page.relative_to(ROOT).as_posix(), page.read_text(encoding="utf-8"), capsys)


@pytest.mark.parametrize(
    ("page", "error"),
    [
        ("```python\nassert 1 > 2\n```", AssertionError),
        ("Text:\n\n    bptt train book.txt --no-such-option\n", AssertionError),
        ("Text:\n\n    $ bptt derive rnn\n    rnn: something else\n    ...\n", AssertionError),
        ("Text:\n\n    c = f * c\n", pytest.fail.Exception),
        ("    @bptt.cell(state='h')\n    def mine(a_h):\n        return what(a_h)\n", bptt.BpttError),
    ],
)
def test_what_is_not_so_is_told(
    page: str,
    error: type[BaseException],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error):
        read("page.md", page, capsys)


def read(name: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Run all that a page shows."""
    left, desk = dict(NOT_RUN.get(name, {})), Desk()
    names: dict[str, Any] = {"__name__": "page", "bptt": bptt}
    exec(FIRST.get(name, ""), names)
    assert not any(desk.call(Block(0, "command", train)) for train in TRAINED.get(name, ()))
    shown = sorted([*blocks(text), *(in_tables(text) if name == "README.md" else [])], key=lambda b: b.line)
    for block in shown:
        if file := FILE.match(block.text):
            lines = block.text + "\n"  # of an example, which only calls, each line is printed
            Path(file[1]).write_text(lines if "def " in lines else lines[file.end() :], encoding="utf-8")
    for block in shown:
        if start := begins(block, NOT_RUN.get(name, {})):
            left.pop(start, None)
        elif block.kind == "python":
            execute(block, names)
        elif block.text.startswith("bptt "):
            capsys.readouterr()
            command(block, desk, capsys)
        else:
            pytest.fail(f"{name}:{block.line}: no test runs it, and NOT_RUN has no reason: {block.text[:60]}")
    with suppress(NameError):  # where what it needs is not installed
        exec(LAST.get(name, ""), names)
    assert not left, "no longer stands on the page"
    for cell in [value for value in names.values() if isinstance(value, EquationCell)]:
        bptt.derive.page(cell)  # and proven


def execute(block: Block, names: dict[str, Any]) -> None:
    """Run a block of Python, unless it is a file or wants what is not installed."""
    if FILE.match(block.text):
        return
    if any(find_spec(its) is None for its in NEEDED if re.search(rf"\b{its}\b", block.text)):
        return
    file = Path(f"line_{block.line}.py")  # a cell's source is read from its file
    file.write_text(block.text + "\n", encoding="utf-8")
    exec(compile(block.text + "\n", str(file.resolve()), "exec"), names)


def command(block: Block, desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """Run a command, and compare what it prints with what the page shows where that is exact."""
    verb = block.text.split()[1]
    meant = begins(block, MEANT)
    code = desk.call(block, MEANT[meant].split() if meant else [])
    printed = capsys.readouterr()
    unsolved = verb in ("train", "eval") and next(reversed(desk.runs), "") == "adding"
    wanted = int(verb == "check" or unsolved)  # both say no, and rightly
    assert code == wanted, f"{block.text}: {printed.err}"
    if block.output and verb in EXACT:
        parts, found = re.split(r"^ *\.\.\.$", steady(block.output), flags=re.MULTILINE), steady(printed.out)
        assert len(parts) > 1 or found.strip("\n") == parts[0].strip("\n")
        assert not [part for part in parts if part.strip("\n") not in found]


def steady(text: str) -> str:
    """Return a text without what is each machine's own: rounding errors, sizes of files and of pydoc."""
    text = re.sub(r"\d+e[-+]\d\d", "tiny", text).replace("\\", "/")
    text = re.sub(r"[\d,]+ bytes|\b103\b|\b\d{3}(?=[,)])", "", text)
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)
