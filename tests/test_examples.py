"""The examples run, and learn what they say they learn."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_forecast_comes_close_to_the_best_possible(capsys: pytest.CaptureFixture[str]) -> None:
    example = load("forecast")
    optimum = example.SIGMA**2 / 2
    assert optimum * 0.97 < example.main() < optimum * 1.05
    assert "the best possible" in capsys.readouterr().out


def test_captions_come_from_the_features(capsys: pytest.CaptureFixture[str]) -> None:
    assert load("caption").main() > 0.95
    assert "described rightly" in capsys.readouterr().out


def test_a_policy_learns_to_remember_the_cue(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    assert load("recurrent_policy").main(updates=20)[1] > 0.9
    assert "right turns" in capsys.readouterr().out


@pytest.mark.parametrize("how", ["loop", "packed"])
def test_resets_are_what_a_loop_and_packed_episodes_are(how: str) -> None:
    pytest.importorskip("torch")
    main = load("recurrent_policy").main
    losses, theirs = (main(each, updates=3, N=8, T=40, hidden=16)[0] for each in ("resets", how))
    assert losses == pytest.approx(theirs, abs=1e-5)
