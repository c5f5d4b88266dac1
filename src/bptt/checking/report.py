"""A judgement in words."""

from typing import Any

from bptt.checking.judge import GradientJudgement, Judgement


def text(judgement: Judgement) -> str:
    """Return a judgement as a person likes to read it.

    Examples
    --------
    >>> from bptt.checking.judge import GradientJudgement, Judgement
    >>> right = GradientJudgement("W", "right", 3e-16, 1e-15)
    >>> print(text(Judgement("step", "step", "right", (right,), "complex step")))
    step (a step): the gradients are right
    <BLANKLINE>
      gradient at  verdict         error   may be off by
      W            right           3e-16           1e-15
    <BLANKLINE>
      compared with the complex step
    """
    what = {
        "right": "the gradients are right",
        "wrong": "the backward pass is wrong",
        "cannot tell": "cannot tell whether the gradients are right",
    }
    lines = [f"{judgement.subject} (a {judgement.form}): {what[judgement.verdict]}"]
    if judgement.cell is not None:
        first, _, more = str(judgement.cell["says"]).partition("; ")
        lines.append(f"  forward: {first}")
        lines.append(f"           {more}{' ' if more else ''}(to {judgement.cell['match_error']:.0e})")
    if judgement.gradients:
        wide = max(11, *(len(j.name) for j in judgement.gradients))
        lines += ["", f"  {'gradient at':{wide}}  {'verdict':11} {'error':>9} {'may be off by':>15}"]
        for j in judgement.gradients:
            since = f" T≥{j.first_wrong_T}" if j.first_wrong_T is not None and j.first_wrong_T > 1 else ""
            lines.append(f"  {j.name:{wide}}  {j.verdict + since:11} {j.error:9.0e} {j.estimate:15.0e}")
            lines[-1] += _worst(j)
            if j.where is not None and (j.where.relation or j.where.blocks):
                says = f"it is {j.where.relation}" if j.where.relation else f"wrong only in {j.where.blocks}"
                lines.append(f"  {'':{wide}}  {says}")
        late = {j.first_wrong_T for j in judgement.gradients if j.first_wrong_T is not None} - {1}
        lines += [f"  (T≥{T}: right for fewer than {T} time steps)" for T in sorted(late)]
    if judgement.lags:
        lines.append("")
    for name, lags in judgement.lags.items():
        lines.append(f"  by lag (steps back from the loss): {name} is {_lags(lags)}")
    if judgement.fault is not None:
        fault = judgement.fault
        lines += ["", f"  what is wrong: {fault['says']}"]
        if fault.get("equation"):
            equations = [line for line in str(fault["equation"]).split("; ") if line != "..."]
            lines += [f"  as it should be: {line}" for line in equations]
        else:
            lines.append(f"  how to mend it: {fault['fix']}")
        lines += [line for spot in fault.get("lines", []) for line in _place(spot)]
        lines.append(
            f"  (this change gives exactly these numbers, to {fault['match_error']:.0e}: {fault['id']})"
        )
    elif any(note.startswith(("the diagnosis failed", "right for fewer")) for note in judgement.notes):
        pass  # it is said there
    elif judgement.verdict == "wrong" and judgement.cell is not None:
        lines += ["", "  no single known fault, and no pair of them, gives these numbers"]
    elif judgement.verdict == "wrong" and judgement.form != "function":
        lines += ["", "  the forward is none of the known cells, so that no term can be named"]
    if judgement.side_effects:
        lines.append("")
    lines += [f"  side effect: {effect}" for effect in judgement.side_effects]
    lines.append("")
    lines += [f"  note: {note}" for note in judgement.notes]
    if judgement.method != "none":
        lines.append(f"  compared with the {judgement.method}")
    return "\n".join(lines)


def _worst(j: GradientJudgement) -> str:
    if j.where is None or not j.where.index:
        return ""
    return f"   at {list(j.where.index)} {j.where.got:.6g}, should be {j.where.wanted:.6g}"


def _place(spot: dict[str, Any]) -> list[str]:
    first, *more = str(spot["text"]).splitlines()
    if not more:
        return [f"  line to look at: {spot['place']}: {first}"]
    return [f"  lines to look at: {spot['place']}:", *(f"      {line}" for line in (first, *more))]


def _lags(lags: list[int]) -> str:
    back = [lag for lag in lags if lag >= 0]
    if not back:
        return "wrong at steps after the loss, where it must be zero"
    if len(back) == 1 or back != list(range(back[0], back[-1] + 1)):
        return f"wrong at lag {', '.join(map(str, back))} alone"
    if back[0] == 0:
        return f"wrong at lag 0 to {back[-1]}"
    return f"right {'up to' if back[0] > 1 else 'at'} lag {back[0] - 1}, wrong from lag {back[0]}"
