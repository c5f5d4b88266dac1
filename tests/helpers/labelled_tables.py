"""Small tables of labelled sequences, a kind each, and the settings that name their columns."""

from pathlib import Path
from typing import Any

import numpy as np

SMALL_LABELS: dict[str, Any] = {"hidden": 6, "batch": 7, "steps": 23, "report_every": 5, "eval_every": 7}


def texts(count: int = 60, seed: int = 0) -> str:
    """Return a table of words whose endings tell their language."""
    rng, ends = np.random.default_rng(seed), {"it": "ini", "jp": "shi", "ru": "ov"}
    rows = ["name,language,size"]
    for _ in range(count):
        language = str(rng.choice(list(ends)))
        name = "".join(rng.choice(list("abdeik"), rng.integers(1, 6))) + ends[language]
        rows.append(f"{name},{language},{2.5 * len(name) + 100}")
    return "\n".join(rows) + "\n"


def steps(count: int = 20, seed: int = 0) -> str:
    """Return a long table of walks, one after the other in time, whose mean tells which way they went."""
    rng, rows = np.random.default_rng(seed), ["walk;time;x;y;way;sign"]
    walks = [(k, rng.choice([-1, 1]), rng.integers(2, 9)) for k in range(count)]
    for t in range(9):
        for k, way, length in walks:
            if t < length:
                x = rng.normal(way, 1)
                rows.append(f"w{k};{t};{x:.4f};7;{'up' if way > 0 else 'down'};{'+' if x > 0 else '-'}")
    return "\n".join(rows) + "\n"


def sentences(count: int = 30, seed: int = 0) -> str:
    """Return sentences in CoNLL's form, whose words tell their labels."""
    rng, words = np.random.default_rng(seed), {"the": "D", "dog": "N", "runs": "V", "cat": "N", "sees": "V"}
    made = [[str(word) for word in rng.choice(list(words), rng.integers(1, 7))] for _ in range(count)]
    return "\n".join("".join(f"{word} {words[word]}\n" for word in sentence) for sentence in made)


def proteins(count: int = 30, seed: int = 0) -> str:
    """Return texts of which each character has a label."""
    rng, rows = np.random.default_rng(seed), ["sequence\tstructure"]
    for _ in range(count):
        text = "".join(rng.choice(list("ACDE"), rng.integers(2, 8)))
        rows.append(f"{text}\t{text.translate(str.maketrans('ACDE', 'HHEE'))}")
    return "\n".join(rows) + "\n"


NUMBERS = '{"x": [1, 2, 3], "y": [0, 0, 1], "kind": "a"}\n{"x": [-1, -2], "y": [1, 0], "kind": "b"}\n'

TABLES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "classify": ("names.csv", texts(), {"task": "classify", "text": "name", "label": "language"}),
    "regress": ("names.csv", texts(), {"task": "regress", "text": "name", "label": "size", "pool": "mean"}),
    "words": (
        "words.csv",
        texts().replace("i", " i"),
        {"task": "classify", "text": "name", "label": "language", "tokens": "word", "bidirectional": True},
    ),
    "sentences": ("tags.conll", sentences(), {"task": "tag"}),
    "characters": ("proteins.tsv", proteins(), {"task": "tag", "text": "sequence", "label": "structure"}),
    "walks": (
        "walks.csv",
        steps(),
        {"task": "classify", "series": "walk", "time": "time", "inputs": "x, y", "label": "way"},
    ),
    "steps of walks": (
        "walks.csv",
        steps(),
        {"task": "tag", "series": "walk", "inputs": "x", "label": "sign", "class_weights": "balanced"},
    ),
    "numbers of steps": (
        "walks.csv",
        steps(),
        {"task": "track", "series": "walk", "time": "time", "inputs": "y", "label": "x"},
    ),
    "numbers in rows": (
        "numbers.jsonl",
        NUMBERS * 20,
        {"task": "classify", "inputs": "x,y", "label": "kind", "pool": "mean", "dropout": 0.3},
    ),
}


def written(folder: Path, name: str) -> tuple[str, dict[str, Any]]:
    """Write a table of `TABLES`, and return its path and the settings that name its columns."""
    file, text, told = TABLES[name]
    folder.joinpath(file).write_text(text, encoding="utf-8")
    return str(folder / file), told
