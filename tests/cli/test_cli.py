"""The command itself: its help, its lists, and that the module runs as it does."""

import re

import pytest

from bptt import PRESETS
from bptt.cli import run as bptt
from bptt.data.tasks import TASKS
from bptt.training.settings import SETTINGS
from command import Capture
from processes import python


def test_corpora_and_presets_list_what_there_is(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert bptt(["corpora"]) == 0
    output = capsys.readouterr().out
    assert all(name in output for name in ("pydoc", "tinyshakespeare", "ptb", *TASKS))
    assert bptt(["presets"]) == 0
    output = capsys.readouterr().out
    lines = {line.split()[0]: line for line in output.splitlines() if not line.startswith(" ")}
    assert lines.keys() == PRESETS.keys()
    assert len({lines[name].index(preset.about) for name, preset in PRESETS.items()}) == 1


@pytest.mark.parametrize("verb", [[], ["train"], ["sample"], ["eval"], ["corpora"], ["presets"]])
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_each_verb_has_help(verb: list[str], flag: str, capsys: Capture) -> None:
    assert bptt([*verb, flag]) == 0
    output, errors = capsys.readouterr()
    assert output.startswith(" ".join(["Usage: bptt", *verb]))
    assert errors == ""


def test_the_options_of_training_stand_with_their_jobs(capsys: Capture) -> None:
    assert bptt(["train", "--help"]) == 0
    groups = re.findall(r"^(\w.*):\n((?:  .*\n)+)", capsys.readouterr().out, re.MULTILINE)
    under = {option: title for title, text in groups for option in re.findall(r"^  (--[\w-]+)", text, re.M)}
    names = [name.replace("_", "-") for name in SETTINGS if name != "data"]
    assert {f"--{name}" for name in names} < under.keys()
    assert sum(len(re.findall(r"^  -", text, re.M)) for _, text in groups) == len(names) + 7  # of the run
    for option, title in (
        ("--lines", "Texts"),
        ("--task", "Tables"),
        ("--pool", "Labels"),
        ("--gaps", "Series"),
    ):
        assert under[option].startswith(title)
    assert re.search(r"--loss NAME .*\n? *\[absolute\]", dict(groups)["Series (--task forecast)"])


def test_the_command_alone_shows_its_help(capsys: Capture) -> None:
    assert bptt([]) == 0
    assert capsys.readouterr().out.startswith("Usage: bptt [OPTIONS]")


def test_the_module_runs_as_the_command() -> None:
    done = python("-m", "bptt", "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("bptt, version")
    done = python("-m", "bptt", "train", "nothing")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
