"""A judgement in words."""

from typing import Any

from bptt.check.judge import GradientJudgement, Judgement


def text(judgement: Judgement) -> str:
    """Return a judgement as a person likes to read it.

    Examples
    --------
    >>> from bptt.check.judge import GradientJudgement, Judgement
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
        lines.append(f"  forward: {judgement.cell['says']} (to {judgement.cell['match_error']:.0e})")
    if judgement.gradients:
        wide = max(11, *(len(j.name) for j in judgement.gradients))
        lines += ["", f"  {'gradient at':{wide}}  {'verdict':11} {'error':>9} {'may be off by':>15}"]
        for j in judgement.gradients:
            lines.append(f"  {j.name:{wide}}  {j.verdict:11} {j.error:9.0e} {j.estimate:15.0e}")
            lines += [f"  {'':{wide}}    {line}" for line in _where(j)]
    if judgement.lags:
        lines.append("")
    for name, lags in judgement.lags.items():
        lines.append(f"  of a loss at one step alone, the gradient at {name} is wrong {_lags(lags)}")
    if judgement.fault is not None:
        fault = judgement.fault
        lines += ["", f"  what is wrong: {fault['says']}"]
        if fault.get("equation"):
            lines += [f"  as it should be: {line}" for line in str(fault["equation"]).split("; ")]
        else:
            lines.append(f"  how to mend it: {fault['fix']}")
        lines += [line for spot in fault.get("lines", []) for line in _place(spot)]
        lines.append(
            f"  (this change gives exactly these numbers, to {fault['match_error']:.0e}: {fault['id']})"
        )
    elif judgement.verdict == "wrong":
        lines += ["", "  no single known fault, and no pair of them, gives these numbers"]
    if judgement.side_effects:
        lines.append("")
    lines += [f"  side effect: {effect}" for effect in judgement.side_effects]
    lines.append("")
    lines += [f"  note: {note}" for note in judgement.notes]
    if judgement.method != "none":
        lines.append(f"  compared with the {judgement.method}")
    return "\n".join(lines)


def _where(j: GradientJudgement) -> list[str]:
    if j.where is None:
        return []
    lines = []
    if j.where.index:
        lines = [f"worst at {list(j.where.index)}: {j.where.got:.6g}, and should be {j.where.wanted:.6g}"]
    if j.where.relation:
        lines.append(f"it is {j.where.relation}")
    elif j.where.blocks:
        lines.append(f"only {j.where.blocks} are wrong")
    if j.first_wrong_T is not None and j.first_wrong_T > 1:
        lines.append(f"right for T = {j.first_wrong_T - 1}, wrong from T = {j.first_wrong_T}")
    return lines


def _place(spot: dict[str, Any]) -> list[str]:
    first, *more = str(spot["text"]).splitlines()
    if not more:
        return [f"  line to look at: {spot['place']}: {first}"]
    return [f"  lines to look at: {spot['place']}:", *(f"      {line}" for line in (first, *more))]


def _lags(lags: list[int]) -> str:
    ahead = [lag for lag in lags if lag >= 0]
    if not ahead:
        return "at steps after it, where it must be zero"
    if ahead == list(range(ahead[0], ahead[-1] + 1)) and len(ahead) > 1:
        return f"from lag {ahead[0]} (steps before that one)"
    return f"at lag {', '.join(map(str, ahead))} (steps before that one)"
