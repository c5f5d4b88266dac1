"""Sequences longer than the one that was judged: gradients that are cut off after so many steps back.

Cut off by design (a name in the code says so), that is no fault: it is told, and the verdict stands. What the
adapters recognise as the number of such steps, they set to the length of the sequence.
"""

import linecache
import re
from dataclasses import replace
from typing import Any

import numpy as np

from bptt.checking.adapters.losses import slopes
from bptt.checking.judge import Judgement, compare, judge_gradients
from bptt.checking.subject import Subject, SubjectError

T_MOST = 8
"""The longest sequence that is tried; public code is cut off after four or five steps."""

CLOSE = 1e-6
"""Two slopes that differ by less, relatively, are the same; else all entries are looked at."""

_CUT = re.compile(r"\b(\w*trunc\w*|t?bptt_(?:steps?|len(?:gth)?|depth))\b(?:\s*:\s*int)?\s*=\s*(\d+)", re.I)


def with_longer(subject: Subject, judgement: Judgement) -> Judgement:
    """Return the judgement of what is right, with what longer sequences show.

    Parameters
    ----------
    subject : Subject
    judgement : Judgement
        Of this subject, with the verdict "right".
    """
    later = _wrong_later(subject) if subject.time_axis or subject.form in ("chunk", "model") else {}
    cut = _CUT.search(_text(subject))
    if not later and not (cut and subject.form != "step"):
        return judgement
    first = min(later.values(), default=0)
    if cut:
        how = f"right for fewer than {first} steps" if later else "they are judged as they are without that"
        note = f"{cut[1]} = {cut[2]}: the gradients of longer sequences are truncated by design; {how}"
        return replace(judgement, notes=(*judgement.notes, note))
    wrong = tuple(
        replace(j, verdict="wrong", first_wrong_T=later[j.name]) if j.name in later else j
        for j in judgement.gradients
    )
    note = f"right for fewer than {first} time steps: as if cut off there; truncation, if it is meant so"
    return replace(judgement, verdict="wrong", gradients=wrong, notes=(*judgement.notes, note))


def _wrong_later(subject: Subject) -> dict[str, int]:
    """Return the names of the gradients that are wrong for a longer sequence, with the least such T."""
    found: dict[str, int] = {}
    for T in (T_MOST, *range(subject.sizes.T + 1, T_MOST)):
        rng = np.random.default_rng(T)
        try:
            longer = subject.resized(replace(subject.sizes, T=T), rng)
            names = list(longer.gradients(longer.at, longer.cotangents))
            given, wanted = slopes(longer, [name for name in names if name in longer.at], T)
            if abs(given - wanted) > CLOSE * max(abs(given), abs(wanted)):
                judged = judge_gradients(*compare(longer, rng), longer.at)
                found |= {j.name: min(T, found.get(j.name, T)) for j in judged if j.verdict == "wrong"}
        except (SubjectError, KeyError, ValueError):
            continue  # code that cannot run at this length says nothing about it
        if not found:
            break
    return found


def _text(subject: Any) -> str:
    """Return the text of the files that a subject's functions stand in."""
    home = getattr(getattr(subject, "plan", None), "home", None)
    places = getattr(home, "places", None) or getattr(subject, "places", [])
    files = dict.fromkeys(str(place.get("__file__", "")) for place in places)
    return "".join("".join(linecache.getlines(file)) for file in files)
