"""Files whose entries have marks of their own are tables; two columns may be read as one text."""

from pathlib import Path

import pytest

from bptt.data.lists import Form
from bptt.data.tables import read_table
from bptt.errors import DataError


def of(folder: Path, text: str, name: str) -> dict[str, list[str]]:
    (folder / name).write_text(text)
    return read_table(folder / name).columns


def test_fasta_has_sequences_however_many_lines_they_have(tmp_path: Path) -> None:
    found = of(tmp_path, ">sp|P1|X some protein\nACD\nEF\n;no\n\n>P2\nGH\n>P3\n", "a.FASTA")
    assert found == {
        "id": ["sp|P1|X", "P2", "P3"],
        "description": ["some protein", "", ""],
        "sequence": ["ACDEF", "GH", ""],
    }
    assert of(tmp_path, ">x\ny\n", "a.csv") == {">x": ["y"]}  # no other file is taken for one


def test_fastq_has_a_quality_for_each_letter(tmp_path: Path) -> None:
    found = of(tmp_path, "@r1 x\nACG\n+\n@I>\n@r2\nA\n+r2\n+\n", "a.fq")
    assert found == {"id": ["r1 x", "r2"], "sequence": ["ACG", "A"], "quality": ["@I>", "+"]}
    for odd in ("@r\nAC\n+\nI\n", "@r\nAC\nII\n+\n", "@r1\nA\n+\nI\n@r2\n"):
        with pytest.raises(DataError, match="begins no read of four lines"):
            of(tmp_path, odd, "a.fq")


def test_lines_may_begin_with_their_labels(tmp_path: Path) -> None:
    found = of(tmp_path, "__label__a one two\n\n__label__b __label__c  three\nfour\n", "a.txt")
    assert found == {"label": ["a", "b c", ""], "text": ["one two", "three", "four"]}


def test_two_columns_may_be_one_text(tmp_path: Path) -> None:
    (path := tmp_path / "a.tsv").write_text("en\tfr\ngo\tva\nno\tnon\n")
    assert Form(text="en,fr").read(str(path), "char").texts == ["go ||| va", "no ||| non"]
    with pytest.raises(DataError, match="has no column 'en,de'"):
        Form(text="en,de").read(str(path), "char")
    path.write_text("en,fr\ngo,va\n,\nno,\n")
    assert read_table(path).column("en,fr") == ["go ||| va", "", "no ||| "]
