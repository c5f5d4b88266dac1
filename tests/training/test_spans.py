"""Spans of labels are counted as seqeval counts them."""

import numpy as np
import pytest

from bptt.training.spans import SpanScore, are_spans, counted, spans

CLASSES = ["O", *(f"{place}-{kind}" for place in "BIES" for kind in ("LOC", "PER"))]


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [
        ("B-PER I-PER O B-LOC", [(0, 2, "PER"), (3, 4, "LOC")]),
        ("I-PER I-PER B-PER I-PER", [(0, 2, "PER"), (2, 4, "PER")]),
        ("B-PER I-LOC I-LOC", [(0, 1, "PER"), (1, 3, "LOC")]),
        ("S-PER B-PER E-PER E-PER", [(0, 1, "PER"), (1, 3, "PER"), (3, 4, "PER")]),
        ("U-PER B-LOC I-LOC L-LOC O", [(0, 1, "PER"), (1, 4, "LOC")]),
        ("O O", []),
    ],
)
def test_spans_begin_and_end(labels: str, wanted: list[tuple[int, int, str]]) -> None:
    assert list(spans(labels.split())) == wanted


def test_a_span_is_right_only_whole_and_within_its_sequence() -> None:
    classes = ["O", "B-PER", "I-PER", "B-LOC"]
    are = np.array([1, 2, 0, 3, 1, 2])
    told = np.array([1, 2, 0, 1, 1, 0])
    score = counted(classes, np.array([4, 2]), are, told)
    assert (score.are, score.told, score.right) == ({"PER": 2, "LOC": 1}, {"PER": 3}, {"PER": 1})
    assert score.of() == (1 / 3, 1 / 3, 1 / 3)
    assert score.of("LOC") == (0, 0, 0)
    assert score.to_json()["types"]["PER"] == {"precision": 1 / 3, "recall": 0.5, "f1": 0.4, "count": 2}
    one = counted(classes, np.array([2]), np.array([2, 2]), np.array([2, 2]))
    two = counted(classes, np.array([1, 1]), np.array([2, 2]), np.array([2, 2]))
    assert (one.are.total(), two.are.total()) == (1, 2)  # no span goes on into the next sequence


def test_as_seqeval_counts() -> None:
    seqeval = pytest.importorskip("seqeval.metrics")
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 9, 60)
    are, told = rng.integers(len(CLASSES), size=(2, int(lengths.sum())))
    ends = np.cumsum(lengths)[:-1]
    named = [[[CLASSES[k] for k in part] for part in np.split(ids, ends)] for ids in (are, told)]
    score: SpanScore = counted(CLASSES, lengths, are, told)
    by_type = seqeval.classification_report(*named, output_dict=True, zero_division=0)
    for kind, name in ((None, "micro avg"), ("LOC", "LOC"), ("PER", "PER")):
        wanted = [by_type[name][key] for key in ("precision", "recall", "f1-score")]
        np.testing.assert_allclose(score.of(kind), wanted, rtol=1e-12)


def test_which_labels_are_those_of_spans() -> None:
    assert are_spans(CLASSES)
    assert not are_spans(["NOUN", "VERB"])
    assert not are_spans(["O", "X"])  # as in noughts and crosses
    assert not are_spans(["B-PER", "I-PER"])
