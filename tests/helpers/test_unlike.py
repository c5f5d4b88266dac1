"""Whether the code to be judged is right, and the faults planted in it are faults: by differences alone."""

import numpy as np
import pytest

from judged.composed import composed
from judged.faults import plant, plant_in
from judged.generated import styles
from judged.truth import Run, Truth, apart, exact, unlike
from judged.unlike_truths import TRUTHS


def assert_right(text: str, truth: Truth) -> None:
    """Assert that a file's gradients are those of its loss, and that none of them is nothing."""
    written, (text, truth) = Run(text, truth, 1).gradients(), exact(text, truth)
    got, wanted = Run(text, truth, 1).gradients(), Run(text, truth, 1).differences()
    assert apart(got, wanted) < 1e-6
    assert apart(written, got) < 1e-3  # some are written in single precision
    assert all(np.abs(right).max() > 1e-5 for right in wanted.values())
    assert truth.example.count("\n") < 6


@pytest.mark.parametrize("name", TRUTHS)
def test_every_gradient_is_that_of_the_loss(name: str) -> None:
    if name == "torchy":
        pytest.importorskip("torch")
    assert_right(unlike(name), TRUTHS[name])


@pytest.mark.parametrize("seed", range(12))
def test_a_generated_implementation_is_right(seed: int) -> None:
    assert_right(*styles(seed))


@pytest.mark.parametrize("seed", range(10))
def test_a_composed_model_is_right(seed: int) -> None:
    assert_right(*composed(seed))


@pytest.mark.parametrize("generate", [styles, composed])
def test_generated_implementations_are_unlike(generate) -> None:  # type: ignore[no-untyped-def]
    assert len({generate(seed)[0] for seed in range(200)}) == 200


@pytest.mark.parametrize(("name", "count"), [("weather", 1), ("bare", 2), ("tape", 3), ("phrases", 5)])
def test_planted_faults_are_faults_and_stand_where_they_are_said_to(name: str, count: int) -> None:
    planted, truth = plant(name, 5, count), TRUTHS[name]
    wrong, right = planted.text.splitlines(), unlike(name).splitlines()
    assert len(planted.faults) == count
    for fault in planted.faults:
        assert "\n".join(right[n - 1] for n in fault.right_lines) == fault.before
        assert fault.after in ("", "\n".join(wrong[n - 1] for n in fault.lines))
    wanted = Run(unlike(name), truth, 1).differences()
    assert apart(Run(planted.text, truth, 1).differences(), wanted) == 0  # the forward is as it was
    assert apart(Run(planted.text, truth, 1).gradients(), wanted) > 1e-3


def test_a_seed_plants_the_same_faults_in_generated_code() -> None:
    assert plant_in(*styles(4), seed=1, count=3) == plant_in(*styles(4), seed=1, count=3)
