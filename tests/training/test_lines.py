"""Lines, documents and rows as sequences: what is learnt, exact resumption, scores of each."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt import ConfigError, DataError, RunError, Settings, Trained, Trainer
from bptt.training.trainer import STOPPED
from processes import run as python
from small_runs import SMALL, WORDS, go, left_by
from small_runs import book as book

RNG = np.random.default_rng(0)
NAMES = [f"{a}{b}" for a in WORDS for b in ("", "ly", "ness", "er")]
TABLE = "name,language,year\n" + "".join(
    f"{name},{'fr' if k % 3 else 'it'},{1900 + k}\n" for k, name in enumerate(NAMES)
)
POEMS = "\n\n".join("\n".join(RNG.choice(WORDS, 3 + k % 4)) for k in range(30))

LISTS: dict[str, tuple[str, dict[str, Any]]] = {
    "lines": ("\n".join(NAMES), {"lines": True}),
    "short chunks": ("\n".join(NAMES), {"lines": True, "chunk": 3, "dropout": 0.3}),
    "words": (
        "\n".join(" ".join(RNG.choice(WORDS, 4)) for _ in range(40)),
        {"lines": True, "tokens": "word"},
    ),
    "few words": (
        "\n".join(" ".join(RNG.choice(WORDS, 4)) for _ in range(40)),
        {"lines": True, "tokens": "word", "vocabulary": 6},
    ),
    "bytes": ("\n".join(NAMES), {"lines": True, "tokens": "byte", "cell": "gru"}),
    "documents": (POEMS, {"documents": ""}),
    "rows": (TABLE, {"text": "name", "condition": "language,year"}),
    "rows in chunks": (TABLE, {"text": "name", "condition": "language", "chunk": 4}),
}


def settings(folder: Path, name: str) -> Settings:
    text, asked = LISTS[name]
    path = folder / ("list.csv" if "text" in asked else "list.txt")
    path.write_text(text)
    return Settings(data=str(path), **{**SMALL, "batch": 5, **asked})


@pytest.mark.parametrize("name", LISTS)
def test_a_run_stopped_and_resumed_ends_as_one_never_stopped(tmp_path: Path, name: str) -> None:
    asked = settings(tmp_path, name)
    assert asked.job == "lines"
    whole = go(Trainer.start(asked, tmp_path / "whole"))
    trainer = Trainer.start(asked, tmp_path / "parts")
    for stop in (0, 1, 2, 3, 4, 7, 9, 11, 14, 19, 22):
        assert go(trainer, stop).end == STOPPED
        trainer = Trainer.resume(tmp_path / "parts")
        assert trainer.step == stop
    assert go(trainer).end == whole.end
    assert left_by(tmp_path / "parts") == left_by(tmp_path / "whole")


def test_a_run_that_was_killed_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    asked = settings(tmp_path, "short chunks")
    go(Trainer.start(asked, tmp_path / "whole"))
    for at in (5, 6):  # amid a batch in parts
        folder = tmp_path / f"killed-{at}"
        go(Trainer.start(asked, folder), at)
        old = folder.joinpath("last.safetensors").read_bytes()
        go(Trainer.resume(folder), 18)
        folder.joinpath("last.safetensors").write_bytes(old)
        go(Trainer.resume(folder))
        assert left_by(folder) == left_by(tmp_path / "whole")


BITS = """
import hashlib, sys
from bptt import Settings, Trainer
asked = dict(hidden=16, embedding=8, batch=40, steps=20, eval_every=10)
trainer = Trainer.start(Settings(data={data!r}, lines=True, **asked), {folder!r})
list(trainer.reports())
for name in ("last", "best"):
    print(hashlib.sha256(trainer.run.path(f"{{name}}.safetensors").read_bytes()).hexdigest())
"""


def test_the_bits_do_not_depend_on_the_number_of_threads(tmp_path: Path) -> None:
    tmp_path.joinpath("list.txt").write_text("\n".join(NAMES * 9))
    found = set()
    for threads in "12":
        code = BITS.format(data=str(tmp_path / "list.txt"), folder=str(tmp_path / threads))
        done = python(code, BPTT_THREADS=threads, OPENBLAS_NUM_THREADS=threads)
        assert done.stderr == ""
        found.add(done.stdout)
    assert len(found) == 1


def test_the_validation_loss_is_that_of_each_line_by_itself(tmp_path: Path) -> None:
    """By hand: from zeros, the end counted, whatever stands before it."""
    trainer = go(Trainer.start(settings(tmp_path, "lines"), tmp_path / "run"))
    vocabulary, total, count = trainer.experiment.vocabulary, 0.0, 0
    assert vocabulary is not None
    for text in trainer.experiment.parts.valid.texts:  # type: ignore[attr-defined]
        ids = np.array([vocabulary.end, *vocabulary.encode(text), vocabulary.end])
        each, _ = trainer.model.losses(trainer.params, ids[:-1, None], ids[1:, None])
        total, count = total + float(each.sum(dtype=np.float64)), count + each.size
    valid = trainer.experiment.validate(trainer.params).loss
    assert valid == pytest.approx(total / count, rel=1e-6)
    trained = Trained.load(tmp_path / "run", "last")
    (score,) = trained.scores()
    assert score.tokens == count
    assert score.nats == pytest.approx(valid, rel=1e-9)
    facts = trainer.experiment.facts
    assert (facts["train_sequences"], facts["valid_sequences"]) == (43, 5)
    assert facts["train_tokens"] + facts["valid_tokens"] == sum(len(name) + 1 for name in NAMES)


def test_what_a_list_has_is_said(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("\n".join([*NAMES, "", *NAMES, ""]))
    with_both = Trainer.start(Settings(data=str(path), lines=True, **SMALL), tmp_path / "run").experiment
    assert "86 lines to train on" in with_both.summary
    assert "10 to validate" in with_both.summary
    empty, repeated = with_both.notes
    assert empty == "1 empty line is left out"
    assert repeated.startswith("48 lines repeat an earlier one, so that ")
    assert repeated.endswith("of the 10 to validate on are trained on, too, which flatters")
    assert with_both.measured == "each line from a zero state, its end counted"


def test_a_list_is_learnt_whatever_its_order(tmp_path: Path) -> None:
    """A stream learns that b follows a; of lines each is as likely after any."""
    path = tmp_path / "list.txt"
    path.write_text("a\nb\n" * 200)
    asked: dict[str, Any] = {
        "data": str(path),
        "steps": 150,
        "batch": 32,
        "hidden": 8,
        "lr": 0.03,
        "chunk": 4,
    }
    best = go(Trainer.start(Settings(lines=True, **asked), tmp_path / "lines")).best
    assert best == pytest.approx(math.log(2) / 2, abs=0.03)
    assert go(Trainer.start(Settings(**asked), tmp_path / "stream")).best < 0.1


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"lines": True, "documents": "-"}, "--lines and --documents are two ways to cut a text"),
        ({"lines": True, "text": "name"}, "--lines and --text are two ways"),
        ({"lines": True, "condition": "year"}, "--condition goes with --text"),
        ({"text": "name", "condition": "name"}, "name a column twice"),
        ({"text": "name", "condition": "year,year"}, "name a column twice"),
        ({"lines": True, "vocabulary": 9}, "--vocabulary limits the words to know; the tokens are chars"),
    ],
)
def test_what_does_not_go_together_is_told(tmp_path: Path, asked: dict[str, Any], message: str) -> None:
    tmp_path.joinpath("t.csv").write_text(TABLE)
    with pytest.raises(ConfigError, match=message):
        Trainer.start(Settings(data=str(tmp_path / "t.csv"), **asked), tmp_path / "run")
    assert not tmp_path.joinpath("run").exists()


@pytest.mark.parametrize("name", ["lines", "rows", "documents"])
def test_other_lists_than_the_runs_own_are_refused(tmp_path: Path, name: str) -> None:
    asked = settings(tmp_path, name)
    go(Trainer.start(asked, tmp_path / "run"), 3)
    path = Path(asked.data)
    content = path.read_text()
    path.write_text(content.replace("fox", "oxf") if name != "rows" else content.replace("1901", "1902"))
    with pytest.raises(RunError, match=r"no longer what the run was trained on"):
        Trainer.resume(tmp_path / "run")
    trained = Trained.load(tmp_path / "run")
    with pytest.raises(DataError, match="no longer the text that the model"):
        trained.scores()
    path.write_text(content)
    assert go(Trainer.resume(tmp_path / "run")).step == SMALL["steps"]


# scores of each


@pytest.mark.parametrize("kind", ["char", "byte", "word"])
def test_a_model_of_one_text_scores_lines_from_a_cold_start_with_their_newlines(
    tmp_path: Path, book: str, kind: Any
) -> None:
    trainer = go(Trainer.start(Settings(data=book, tokens=kind, **SMALL), tmp_path / "run"))
    trained = Trained.load(tmp_path / "run", "last")
    vocabulary = trained.vocabulary
    assert vocabulary is not None
    newline = vocabulary.encode("\n")[0]
    lines = ["the fox", "a lazy dog", "", "dog dog dog fox"]
    for number, (score, line) in enumerate(
        zip(trained.score_lines(lines, tokens=True), lines, strict=True), 1
    ):
        ids = np.array([newline, *vocabulary.encode(line), newline])
        each, _ = trainer.model.losses(trainer.params, ids[:-1, None], ids[1:, None])
        assert (score.line, score.text, score.tokens, score.unknown) == (number, line, len(ids) - 1, 0)
        assert score.total == pytest.approx(float(each.sum()), rel=1e-5)
        assert score.mean == pytest.approx(float(each.mean()), rel=1e-5)
        assert score.each is not None
        assert [token for token, _ in score.each][-1] == "\n"
        np.testing.assert_allclose([loss for _, loss in score.each], each[:, 0], rtol=1e-4)
    assert next(trained.score_lines(["fox"])).each is None


@pytest.mark.parametrize("kind", ["char", "byte", "word"])
def test_each_word_has_the_loss_of_its_tokens_and_of_the_space_before_it(
    tmp_path: Path, book: str, kind: Any
) -> None:
    go(Trainer.start(Settings(data=book, tokens=kind, **SMALL), tmp_path / "run"))
    trained = Trained.load(tmp_path / "run", "last")
    lines = ["the fox  over dog ", " a", ""] if kind != "word" else ["the fox over dog", "a", ""]
    for by_word, by_token in zip(
        trained.score_lines(lines, words=True), trained.score_lines(lines, tokens=True), strict=True
    ):
        assert by_word.each is not None
        assert by_token.each is not None
        assert [word for word, _ in by_word.each[:-1]] == by_word.text.split()
        assert sum(loss for _, loss in by_word.each) == pytest.approx(by_word.total, rel=1e-5)
        if kind == "char" and len(by_word.each) == 5:
            own = [loss for _, loss in by_token.each]
            wanted = [sum(own[:3]), sum(own[3:7]), sum(own[7:13]), sum(own[13:17]), sum(own[17:])]
            np.testing.assert_allclose([loss for _, loss in by_word.each], wanted, rtol=1e-5)


def test_what_are_no_texts_or_numbers_is_said(tmp_path: Path, book: str) -> None:
    go(Trainer.start(Settings(data=book, **SMALL), tmp_path / "run"))
    trained = Trained.load(tmp_path / "run", "last")
    for wrong in ("the fox", b"the", ["the", None], [3]):
        with pytest.raises(DataError, match="texts are a list of several, each a str or bytes"):
            trained.score_lines(wrong)  # type: ignore[arg-type]
    odd: list[dict[str, Any]] = [{"count": -1}, {"count": 2.5}, {"seed": -1}, {"seed": "a"}, {"prime": None}]
    for how in odd:
        with pytest.raises(ConfigError, match=f"{next(iter(how))} must be a"):
            trained.write(**how)


def test_a_score_does_not_depend_on_what_else_is_scored(tmp_path: Path) -> None:
    go(Trainer.start(settings(tmp_path, "lines"), tmp_path / "run"))
    trained = Trained.load(tmp_path / "run")
    together = list(trained.score_lines([*NAMES, "", *NAMES]))
    for score, name in zip(together, [*NAMES, "", *NAMES], strict=True):
        assert score.text == name
        assert score.tokens == len(name) + 1
        assert score.total == pytest.approx(next(trained.score_lines([name])).total, rel=1e-5)


def test_unknown_characters_are_told_or_skipped_and_counted(tmp_path: Path) -> None:
    go(Trainer.start(settings(tmp_path, "lines"), tmp_path / "run"))
    trained = Trained.load(tmp_path / "run")
    with pytest.raises(DataError, match=r"line 2, column 4: 'É' \(U\+00C9\) is not among .* --skip-unknown"):
        list(trained.score_lines(["fox", "theÉÉ9r", "dog"]))
    scores = list(trained.score_lines(["fox", "theÉÉ9r", "É"], skip_unknown=True))
    assert [score.unknown for score in scores] == [0, 3, 1]
    clean = list(trained.score_lines(["fox", "ther", ""]))
    assert [s.total for s in scores] == [s.total for s in clean]
    assert [s.text for s in scores] == ["fox", "theÉÉ9r", "É"]


def test_unknown_words_count_unless_they_are_skipped(tmp_path: Path) -> None:
    go(Trainer.start(settings(tmp_path, "words"), tmp_path / "run"))
    trained = Trained.load(tmp_path / "run")
    line = ["the yeti fox yak"]
    (score,), (skipped,) = (
        trained.score_lines(line, tokens=True),
        trained.score_lines(line, tokens=True, skip_unknown=True),
    )
    assert score.each is not None
    assert [token for token, _ in score.each] == ["the", "<unk>", "fox", "<unk>", ""]
    assert (score.tokens, score.unknown, skipped.tokens, skipped.unknown) == (5, 2, 3, 2)
    assert skipped.each == [pair for pair in score.each if pair[0] != "<unk>"]


def test_what_was_trained_on_is_left_out_where_new_texts_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("ab\nba\nb\na\n" * 9)
    asked: dict[str, Any] = {**SMALL, "data": str(path), "lines": True, "steps": 100, "lr": 0.03}
    for kind in ("char", "byte"):
        go(Trainer.start(Settings(**asked, tokens=kind), tmp_path / kind))
        trained = Trained.load(tmp_path / kind)
        every, new = ([text for text, _ in trained.write(60, new=new)] for new in (False, True))
        known = {"a", "b", "ab", "ba"}
        assert known & {*every}
        assert not known & {*new}
        assert [text for text in every if text not in known] == new[: sum(t not in known for t in every)]
        assert not any("b" + text in known for text, _ in trained.write(5, new=True, prime="b"))
    path.write_text("ab\n" * 30)
    with pytest.raises(DataError, match="no longer the text"):
        trained.write(new=True)


def test_a_conditional_model_scores_and_writes_by_its_conditions(tmp_path: Path) -> None:
    asked = settings(tmp_path, "rows")
    go(Trainer.start(asked, tmp_path / "run"))
    trained = Trained.load(tmp_path / "run")
    italian = {"language": ["it"], "year": ["1920"]}
    (it,) = trained.score_lines(["fox"], conditions=italian)
    (fr,) = trained.score_lines(["fox"], conditions={**italian, "language": ["fr"]})
    assert it.total != fr.total
    with pytest.raises(DataError, match="starts from language, which is missing"):
        list(trained.score_lines(["fox"]))
    texts = trained.texts_of(asked.data)
    assert len(list(trained.score_lines(texts))) == len(NAMES)
    assert [s.line for s in trained.score_lines(texts)][:2] == [2, 3]
    (score,) = trained.scores(asked.data)
    assert score.tokens == sum(len(name) + 1 for name in NAMES)
    written = [text for text, _ in trained.write(3, conditions={"language": "it", "year": "1920"}, length=9)]
    assert len(written) == 3
    with pytest.raises(DataError, match="'de' is none of the 2"):
        trained.write(conditions={"language": "de", "year": "1920"})


def test_a_conditional_model_learns_its_conditions(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text,kind\n" + "aaa,x\nbbb,y\n" * 100)
    asked: dict[str, Any] = {"data": str(path), "text": "text", "condition": "kind", "lr": 0.03}
    go(Trainer.start(Settings(hidden=16, embedding=4, batch=8, steps=200, **asked), tmp_path / "run"))
    trained = Trained.load(tmp_path / "run")
    for kind, wanted in (("x", "aaa"), ("y", "bbb")):
        assert [t for t, _ in trained.write(5, conditions={"kind": kind})] == [wanted] * 5
    assert trained.scores()[0].nats < 0.05
