"""A contender in a process of its own: ``python -m bptt.bench.worker``, asked line by line.

The first line on standard input is the job, as JSON; the answer is what the first step gave. Each line after
it is a number of seconds, a turn to take; the answer is the turn's times. Answers are lines of JSON.
"""

import json
import os
import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np

from bptt.bench import memory
from bptt.bench.contenders import CONTENDERS, LAYER_KINDS, PRODUCTS, Work
from bptt.bench.settings import Setting
from bptt.errors import BpttError
from bptt.types import Array


def main() -> None:
    """Answer until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    job = json.loads(sys.stdin.readline())
    contender = (CONTENDERS | PRODUCTS)[job["contender"]]
    setting, kind, cell = Setting(**job["setting"]), job["kind"], job["cell"]
    try:
        # what the libraries themselves hold, once they have done it, is not the step's
        contender.prepare(kind, replace(setting, V=5, E=4, H=4, N=2, T=3), cell)()
        before = memory.forget()
        work = contender.prepare(kind, setting, cell)
        first = work()
    except BpttError as error:
        _answer(answers, {"failed": str(error)})
        return
    memory.forget()  # what was held while weights were drawn and code was compiled
    _answer(answers, _figures(first) if kind in ("step", "lengths", "cell", *LAYER_KINDS) else {})
    for line in sys.stdin:
        turn = take(work, float(line))
        most = memory.peak()
        turn["memory"] = None if most is None or before is None else max(0, most - before)
        _answer(answers, turn)


def take(work: Work, seconds: float) -> dict[str, Any]:
    """Return the median time of the work, in seconds, and how often it was done."""
    work()  # the caches hold what was done in somebody else's turn
    times: list[float] = []
    while not times or sum(times) < seconds:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return {"median": float(np.median(times)), "count": len(times)}


def _figures(first: tuple[float | None, Array]) -> dict[str, float | None]:
    loss, gradient = first
    return {"loss": loss, "gradient": float(np.linalg.norm(gradient.astype(np.float64)))}


def _answer(answers: Any, what: dict[str, Any]) -> None:
    answers.write(json.dumps(what) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
