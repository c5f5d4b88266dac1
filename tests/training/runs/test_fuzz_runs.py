"""Run folders as no run leaves them: one line, nothing run, nothing destroyed; and no damage in silence."""

import sys
from pathlib import Path

import pytest

from hostile import judge, mutations
from sampling import count

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it forks a process that has threads")


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> judge.Fuzzer:
    return judge.Fuzzer(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("mutation", sorted({m.__name__ for m in mutations.MUTATIONS}))
def test_a_mutated_folder_gets_one_line_or_does_no_harm(fuzzer: judge.Fuzzer, mutation: str) -> None:
    shares = sum(m.__name__ == mutation for m in mutations.MUTATIONS)
    for k in range(count(2, 5) * shares):
        assert fuzzer.judge(1, k, only=getattr(mutations, mutation)) == []


def test_each_flipped_bit_is_told_or_harmless(tmp_path: Path) -> None:
    tally = judge.flips(tmp_path, count(30, 100), seed=1)
    assert tally.faults == []
    assert {end for _, end in tally.counts} == {"told", "harmless"}
