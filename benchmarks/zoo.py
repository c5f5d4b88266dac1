"""Train each cell of the zoo a little on the start of Tiny Shakespeare, and compare it with a bigram.

    BPTT_DATA=FOLDER python benchmarks/zoo.py [CELL ...]

A cell that has learnt more than which character follows which is below the bigram's loss: counts of pairs in
what is trained on, one added to each. Both are measured on the text that comes next. Exit code 1: one is not.
"""

import os
import sys
import time
from pathlib import Path

import numpy as np

import bptt
from bptt.errors import BpttError
from bptt.types import Array
from bptt.zoo.papers import EVERY

STEPS, ROWS, CHUNK, HIDDEN, RATE = 400, 32, 64, 64, 5e-3
TRAIN, VALIDATE = 200_000, 20_000

RATES = dict.fromkeys(("ltc", "fastrnn", "linear-attention", "rg-lru", "rg-lru-heads", "lipschitz-rnn"), 2e-2)
RATES |= {"fast-weights": 2e-2, "lsnn": 8e-2, "fru": 8e-2}
"""Of cells that move slowly."""

SLOW = dict.fromkeys(("cornn", "unicornn"), "its output moves by dt² times a force in a step: for signals")
SLOW |= dict.fromkeys(
    ("antisymmetric-rnn", "antisymmetric-gated"),
    "a step moves its state by a tenth at most, and nothing is forgotten: for what is read slowly",
)
SLOW["lstm-phased"] = "a unit opens for a twentieth of its period, up to 400 steps: for long sequences"
SLOW["hippo"] = "the first steps of each sequence move its memory by far the most: for long series"
SLOW["fru"] = "a step moves its memory by a hundredth: for long series"
"""Why a cell is not for this."""


def text() -> tuple[Array, Array, int]:
    """Return what is trained on, what is measured on, and how many characters there are."""
    whole = Path(os.environ["BPTT_DATA"], "tinyshakespeare", "input.txt").read_text("utf-8")
    known, numbers = np.unique([*whole[: TRAIN + VALIDATE]], return_inverse=True)
    return numbers[:TRAIN], numbers[TRAIN:], len(known)


def bigram(train: Array, validate: Array, V: int) -> float:
    """Return the loss of counted pairs, in nats per character."""
    counts = np.ones((V, V))
    np.add.at(counts, (train[:-1], train[1:]), 1)
    p = counts / counts.sum(1, keepdims=True)
    return float(-np.log(p[validate[:-1], validate[1:]]).mean())


def batch(cell: str, chunk: Array) -> bptt.Batch:
    """Return a chunk as a batch; a cell that reads times, t, is told one character a step."""
    t = np.ones((len(chunk) - 1, chunk.shape[1]), np.float32)
    t = np.cumsum(t, axis=0) if cell == "lstm-phased" else t  # it reads the time itself
    return bptt.Batch(chunk[:-1], chunk[1:], given={"t": t} if "t" in bptt.zoo.get(cell).inputs else None)


def learnt(cell: str, train: Array, validate: Array, V: int) -> float:
    """Return a cell's loss after `STEPS` steps, over chunks that each begin without a past."""
    rng = np.random.default_rng(0)
    model = bptt.Model(inputs=V, outputs=V, hidden=HIDDEN, embedding=HIDDEN, cell=cell)
    params = model.init(rng)
    step = bptt.Step(model, params, bptt.optim.Adam(), clip_norm=1.0)
    for k in range(STEPS):
        starts = rng.integers(len(train) - CHUNK, size=ROWS)
        chunk = train[starts + np.arange(CHUNK + 1)[:, None]]
        step(batch(cell, chunk), lr=RATES.get(cell, RATE) * min(1.0, 2 * (1 - k / STEPS)))
    count = (len(validate) - 1) // CHUNK
    chunk = validate[CHUNK * np.arange(count) + np.arange(CHUNK + 1)[:, None]]
    return model.loss_and_grads(params, batch(cell, chunk))[0]


def main() -> int:
    """Print a line for each cell."""
    train, validate, V = text()
    limit, failed = bigram(train, validate, V), 0
    print(f"bigram {limit:.3f} nats per character")
    for cell in sys.argv[1:] or EVERY:
        start = time.perf_counter()
        try:
            loss = learnt(cell, train, validate, V)
        except BpttError as error:
            print(f"{cell:24} {error}")
            continue
        failed += not loss < limit and cell not in SLOW
        verdict = "" if loss < limit else f"  not below the bigram {SLOW.get(cell, '')}"
        print(f"{cell:24}{loss:7.3f}{time.perf_counter() - start:7.1f} s{verdict}", flush=True)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
