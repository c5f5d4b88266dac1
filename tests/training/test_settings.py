"""A setting is declared once: its check, its option, its line in a run and on the page come from there."""

import importlib.util
import math
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, cast

import click
import numpy as np
import pytest

from bptt import PRESETS, ConfigError, Model, RunError, Settings, Trainer
from bptt.cli import run as bptt
from bptt.cli.train import train
from bptt.training.presets import TASK_SETTINGS
from bptt.training.setting import declared_in, setting
from bptt.training.settings import SETTINGS

CONTEXT = click.Context(train, help_option_names=["-h", "--help"])  # train keeps what it makes of it
DOCS = Path(__file__).parents[2] / "docs"


@dataclass(frozen=True, kw_only=True)
class Two:
    """Two settings, as anybody may declare them."""

    width: int | None = setting(3, "How wide", "model", "W", least=1, most=9_000)
    mode: Literal["a", "b"] = setting("a", "Which way", "loop", keyword="way", needs=("width", ("1", "2")))


def test_what_is_declared_is_what_is_known() -> None:
    width, mode = declared_in(Two).values()
    assert Two().width == 3
    assert (width.option, width.wanted, width.says) == (
        "--width",
        "a whole number from 1 to 9,000",
        "How wide.",
    )
    assert (mode.option, mode.wanted, mode.choices) == ("--mode", "one of a, b", ("a", "b"))
    assert mode.says == "Which way, for 1 and 2."
    for good in (None, 1, 9_000):
        width.check(good)
    for bad in (0, 9_001, 2.0, True, "3", math.nan):
        with pytest.raises(ConfigError, match=r"^width must be a whole number from 1 to 9,000, got "):
            width.check(bad)
    for other in (None, "c", 1, ["a"]):
        with pytest.raises(ConfigError, match=r"^mode must be one of a, b, got "):
            mode.check(other)


BAD: dict[Any, list[object]] = {
    int: [0.5, "1", True, -1, None],
    float: [math.nan, math.inf, -math.inf, 10**400, "1", True, None],
    bool: [0, "yes", None],
    str: [1, True],
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_value_of_another_type_is_said_by_the_setting_s_name(name: str) -> None:
    declared = SETTINGS[name]
    bad: list[object] = ["frob", 1] if declared.choices else BAD[declared.types[0]]
    for value in bad:
        if (value is None and type(None) in declared.types) or (value == math.inf and declared.unlimited):
            continue
        words, asked = name.replace("_", "-"), cast(dict[str, Any], {name: value})
        with pytest.raises(ConfigError, match=rf"^{words} must be {re.escape(declared.wanted)}, got "):
            Settings(**asked)


SHOWN = {"layers": ".  [1]", "clip_norm": ".  [1]", "steps": ".  [3000]", "momentum": ", for sgd.  [0]"}
SHOWN |= {"init": ".  [orthogonal]", "dropout": ".  [0.1]", "lr": ".  [0.01]"}  # what is taken for text
SHOWN |= {
    "output_bias": "A bias of the output.  [yes]",
    "bidirectional": "directions.  [yes]",  # what is taken for labels
    "tied": "transposed.",
    "epochs": "instead of steps.",
}


@pytest.mark.parametrize("name", SETTINGS)
def test_each_setting_is_an_option_with_its_default(name: str) -> None:
    declared = SETTINGS[name]
    (option,) = [found for found in train.get_params(CONTEXT) if found.name == name]
    if isinstance(option, click.Option):
        assert declared.option in (*option.opts, *option.secondary_opts)
        assert str(option.help).startswith(declared.help)
        assert str(option.help).endswith(SHOWN.get(name, ""))
    else:
        assert name == "data"


def test_what_is_not_asked_for_is_left_and_a_flag_says_the_contrary_of_its_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[dict[str, Any]] = []

    def of(_: str | None, **asked: Any) -> None:
        given.append(asked)
        raise ConfigError("seen")

    monkeypatch.setattr(Settings, "of", of)
    for flags in ([], ["--no-output-bias", "--tied"]):
        assert bptt(["train", *flags]) == 2
    assert given == [{}, {"output_bias": False, "tied": True}]


def test_each_setting_is_in_a_run_and_in_the_docstring() -> None:
    assert Settings().to_json().keys() == SETTINGS.keys() == {f.name for f in fields(Settings)}
    for name, declared in SETTINGS.items():
        assert f"    {name} : {declared.wanted}" in str(Settings.__doc__)


def test_a_model_is_told_its_settings_by_its_own_names() -> None:
    told = Settings(init="normal", init_scale=0.5, embedding=0).of_model(token_inputs=True)
    assert told.keys() <= {f.name for f in fields(Model)}
    assert (told["init_name"], told["init_scale"], told["embedding"]) == ("normal", 0.5, None)
    assert Settings(embedding=7).of_model(token_inputs=False)["embedding"] is None
    assert Settings(embedding=7).of_model(token_inputs=True)["embedding"] == 7


def test_a_part_is_told_only_what_it_takes() -> None:
    asked: dict[str, Any] = {"momentum": 0.5, "beta2": 0.9, "weight_decay": 0.1, "keep": 2, "factor": 0.3}
    for optimizer, takes in {
        "sgd": {"momentum"},
        "adagrad": set(),
        "adam": {"beta2"},
        "adamw": {"beta2", "weight_decay"},
    }.items():
        told = Settings(optimizer=optimizer, **asked).of_part("optimizer")
        assert told == {"optimizer": optimizer, **{name: asked[name] for name in takes}}
    for schedule, held in {"cosine": set(), "step": {"keep", "factor"}}.items():
        told = Settings(schedule=schedule, **asked).of_part("schedule")
        assert told.keys() == {"schedule", "lr", "warmup"} | held


@pytest.mark.parametrize("name", [*PRESETS, *TASK_SETTINGS])
def test_what_presets_and_tasks_set_is_declared(name: str) -> None:
    overlay = PRESETS[name].settings if name in PRESETS else TASK_SETTINGS[name]
    made = Settings.of(name) if name in PRESETS else Settings.of(data=name)
    assert {key: getattr(made, key) for key in overlay} == overlay


def test_an_overlay_that_is_not_declared_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASK_SETTINGS, "reber", {"hiden": 3})
    with pytest.raises(ConfigError, match=r"called hiden: is hidden meant\?; there are .*backend, batch, "):
        Settings.of(data="reber")
    monkeypatch.setitem(TASK_SETTINGS, "reber", {"hidden": 0})
    with pytest.raises(ConfigError, match="hidden must be a whole number from 1"):
        Settings.of(data="reber")


def test_what_is_asked_goes_before_the_preset_and_the_preset_before_the_task() -> None:
    assert Settings.of(data="ar2").hidden == TASK_SETTINGS["ar2"]["hidden"]
    assert Settings.of("minibatch", data="ar2").hidden == 128
    assert Settings.of("minibatch", data="ar2", hidden=7).hidden == 7
    assert Settings.of().dropout == 0.1  # text, and no preset is named
    assert Settings.of(data="reber").dropout == 0
    assert (Settings.of("ptb").steps, Settings.of("ptb", steps=9).steps) == (None, 9)
    assert (Settings.of(epochs=2.0).steps, Settings.of("forecast", epochs=2.0).epochs) == (None, 2)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"momentum": 0.9}, "--momentum goes with --optimizer sgd, not adamw"),
        ({"beta2": 0.9, "optimizer": "sgd"}, "--beta2 goes with --optimizer adam or adamw, not sgd"),
        ({"factor": 0.9}, "--factor goes with --schedule step or plateau, not cosine"),
        ({"data": "reber", "valid": "x"}, "reber is a generated task: --valid has no meaning for it"),
        ({"data": "reber", "tokens": "word"}, "reber is a generated task: --tokens has no meaning"),
        (
            {"data": "reber", "dropout_per": "sequence"},
            "--dropout-per goes with --dropout or --input-dropout",
        ),
        ({"steps": 3, "epochs": 2.0}, "--steps or --epochs, not both"),
        ({"hiden": 3}, "no setting is called hiden"),
        ({"preset": "frob"}, "no preset is called 'frob'; there are default"),
    ],
)
def test_what_would_have_no_effect_is_said(asked: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Settings.of(**asked)


def test_infinity_is_no_limit_of_clipping_alone() -> None:
    assert Settings(clip_norm=math.inf, clip_value=math.inf).to_json()["clip_norm"] is None
    with pytest.raises(ConfigError, match="init-scale must be a finite number"):
        Settings(init_scale=math.inf)
    with pytest.raises(ConfigError, match="say how long to train"):
        Settings(steps=None)


def test_only_what_may_change_is_given_anew(tmp_path: Path) -> None:
    settings = Settings(data="ar2", cell="rnn", hidden=3, batch=2, steps=1)
    assert settings.changed(epochs=0.5).steps is None
    assert settings.changed(data="moved", valid="too", steps=9).steps == 9
    Trainer.start(settings, tmp_path / "run").close()
    before = {path.name: path.read_bytes() for path in tmp_path.joinpath("run").iterdir()}
    with pytest.raises(
        ConfigError, match=r"only CORPUS or PATH, --valid, --steps, --epochs can be .*, not --lr, --tied"
    ):
        Trainer.resume(tmp_path / "run", lr=0.1, tied=True)
    with pytest.raises(ConfigError, match="no setting is called frob"):
        Trainer.resume(tmp_path / "run", frob=1)
    assert {path.name: path.read_bytes() for path in tmp_path.joinpath("run").iterdir()} == before
    with pytest.raises(RunError, match="is no such folder"):
        Trainer.resume(tmp_path / "other", lr=0.1)


def test_the_page_is_what_the_declarations_say() -> None:
    spec = importlib.util.spec_from_file_location("make_settings", DOCS / "make_settings.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    page = made.page()
    assert page == DOCS.joinpath("settings.md").read_text(encoding="utf-8"), (
        "run python docs/make_settings.py"
    )
    for declared in SETTINGS.values():
        assert page.count(f"| `{declared.option}` |") == 1


def test_numbers_may_be_those_of_numpy() -> None:
    assert Settings.of(hidden=np.int64(3), lr=np.float64(0.5), tied=np.False_) == Settings.of(
        hidden=3, lr=0.5
    )


def test_paths_may_be_as_python_has_them() -> None:
    assert Settings.of(data=Path("a.txt"), valid=Path("b.txt")) == Settings.of(data="a.txt", valid="b.txt")
    assert Settings.of(data=["a.txt", Path("b.txt")]).data == "a.txt\nb.txt"
    for wrong in (3, [], ["a.txt", 3]):
        with pytest.raises(ConfigError, match="data must be a path, or several; got"):
            Settings.of(data=wrong)
    with pytest.raises(ConfigError, match=r"data must be a path, or several, not a dict: .*df.to_csv"):
        Settings.of(data={"text": ["a"]})
