"""Words that a vocabulary does not hold: trained, counted where a loss stands, not written if so asked."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bptt import ConfigError, Settings, Trained, Trainer, sample
from bptt.cli import run as bptt
from bptt.data.text import Vocabulary, load
from bptt.data.text.tokenizers import EOS, UNK
from small_runs import SMALL, go, left_by

TRAIN = "a rose is a rose is once a rose\n" * 9 + "seldom is a rose\n"
VALID = "a rose never is a lily\n" * 5


@pytest.fixture
def texts(tmp_path: Path) -> tuple[str, str]:
    for name, words in (("train", TRAIN), ("valid", VALID)):
        tmp_path.joinpath(name).write_text(words)
    return str(tmp_path / "train"), str(tmp_path / "valid")


def settings(texts: tuple[str, str]) -> Settings:
    return Settings(**SMALL | {"data": texts[0], "valid": texts[1], "tokens": "word", "steps": 8})


def test_what_a_text_has_once_is_unknown_unless_it_says_otherwise(
    texts: tuple[str, str], tmp_path: Path
) -> None:
    corpus = load(texts[0], valid=texts[1], kind="word")
    assert corpus.vocabulary().tokens == (EOS, UNK, "a", "rose", "is", "once")
    assert (corpus.vocabulary().encode(corpus.train) == 1).sum() == 1
    assert corpus.vocabulary(max_size=99).tokens[-1] == "seldom"
    assert Vocabulary.build("all words once", "word", least=2).tokens[2:] == ("all", "once", "words")
    tmp_path.joinpath("has").write_text(TRAIN + "<unk>\n")
    assert "seldom" in load(tmp_path / "has", valid=texts[1], kind="word").vocabulary().tokens
    known = Vocabulary.build("is a lily", "word")
    assert corpus.vocabulary(known=known).tokens == (*known.tokens, "rose", "once")
    with pytest.raises(ConfigError, match="--vocabulary 4 is less than the 5 words known already"):
        corpus.vocabulary(max_size=4, known=known)
    assert corpus.vocabulary(max_size=6, known=known).tokens == (*known.tokens, "rose")


def test_the_part_of_unknown_words_stands_beside_every_loss(
    texts: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fast = ["--hidden=4", "--batch=2", "--chunk=4", "--steps=4", "--eval-every=2", "--no-samples"]
    run = str(tmp_path / "run")
    assert bptt(["train", texts[0], "--valid", texts[1], "--tokens=word", *fast, "--out", run]) == 0
    said = capsys.readouterr().out
    part = 10 / 35  # never and lily, of six words and the line's end
    assert f"<unk>, for all other words, is {1 / 95:.1%} to train on and {part:.1%} to validate" in said
    assert f"(cold windows of 256; {part:.1%} <unk>)" in said
    facts = Trainer.resume(run).run.config()["data"]
    assert (facts["train_unknown"], facts["valid_unknown"]) == (1, 10)
    assert bptt(["eval", run]) == 0
    assert f"34 words predicted, {10 / 34:.1%} of them <unk>" in capsys.readouterr().out
    assert bptt(["eval", run, texts[0], "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert [score["unknown"] for score in scores] == [pytest.approx(1 / 94)] * 2


def test_a_run_of_before_goes_on_with_all_its_words(texts: tuple[str, str], tmp_path: Path) -> None:
    """It kept every word, and no count of the unknown ones."""
    trainer = Trainer.start(settings(texts), tmp_path / "run")
    go(trainer, 3)
    facts = trainer.run.config()["data"]
    old = {key: value for key, value in facts.items() if not key.endswith("_unknown")}
    trainer.run.write_config(trainer.run.config() | {"data": old})
    assert go(Trainer.resume(tmp_path / "run")).step == 8
    go(Trainer.start(settings(texts), tmp_path / "whole"))
    assert left_by(tmp_path / "whole")[2] == left_by(tmp_path / "run")[2]


def test_unknown_words_are_not_written_where_that_is_asked_for(
    texts: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    go(Trainer.start(settings(texts), tmp_path / "run"))
    trained = Trained.load(tmp_path / "run")
    assert trained.vocabulary is not None
    trained.params["output.b"][1] = 20  # nothing else would be written
    options: dict[str, Any] = {"length": 40, "rng": np.random.default_rng(0)}
    model, params, vocabulary = trained.model, trained.params, trained.vocabulary
    assert set("".join(sample(model, params, vocabulary, **options)).split()) == {UNK}
    more: dict[str, Any]
    for more in ({}, {"temperature": 0.0}, {"top_k": 3}, {"top_p": 0.5}):
        written = "".join(sample(model, params, vocabulary, unk=False, **options, **more))
        assert written.strip()
        assert UNK not in written
    assert bptt(["sample", str(tmp_path / "run"), "--no-unk", "--length=50", "--temperature=3"]) == 0
    assert UNK not in capsys.readouterr().out
    letters = Vocabulary.build("ab", "char")
    with pytest.raises(ConfigError, match="--no-unk goes with words: a model of chars"):
        sample(model, params, letters, rng=np.random.default_rng(0), unk=False)
