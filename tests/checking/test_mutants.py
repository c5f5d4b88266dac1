"""A few of all the faults there are, one of each form of file: found, placed and mended.

``benchmarks/check_mutants.py`` judges as many as are asked for.
"""

from pathlib import Path

import pytest

from bptt.checking.examine import check_source
from bptt.checking.file import read
from judged.mutants import Mutant, every

WANTED = {  # a form and how its fault begins
    "written rnn": "da-plus",
    "written chunk": "rnn/dh-prev-u-untransposed",
    "people step rnn": "8: (1 + h ** 2)",
    "people class rnn": "12:",
}


def chosen() -> list[Mutant]:
    """Return the first mutant of each form with the fault that is wanted."""
    mutants = every()
    return [
        next(m for m in mutants if m.form == form and m.fault.startswith(fault))
        for form, fault in WANTED.items()
    ]


@pytest.mark.parametrize("mutant", [pytest.param(m, id=f"{m.form}, {m.fault}") for m in chosen()])
def test_a_fault_is_found_placed_and_mended(mutant: Mutant, tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text(mutant.text, encoding="utf-8")
    report = check_source(read(path), mutant.example)
    assert report.verdict == "wrong"
    assert report.located[0]["line"] in mutant.lines
    assert report.whole
    path.write_text(report.fixed[str(path)], encoding="utf-8")
    assert check_source(read(path), mutant.example).verdict == "right"


@pytest.mark.parametrize("mutant", [pytest.param(m, id=m.form) for m in chosen()])
def test_without_it_all_is_right(mutant: Mutant, tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text(mutant.right, encoding="utf-8")
    assert check_source(read(path), mutant.example).verdict == "right"
