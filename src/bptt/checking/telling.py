"""What is known of an example that was run, told: the verdict, the place, the mends, the trace."""

import ast
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bptt.checking.adjoints.choice import Chosen
from bptt.checking.adjoints.table import Adjoints
from bptt.checking.cells import Match, Recorded, recognise
from bptt.checking.example import Example
from bptt.checking.file import Source
from bptt.checking.locate.classes import classify
from bptt.checking.locate.search import Located
from bptt.checking.mend.search import Mended
from bptt.checking.report.record import Report
from bptt.checking.taps.values import shape
from bptt.checking.verdict.gradient import Gradient, Judged


@dataclass(eq=False)
class Examined:
    """An example that was run, with all that its report is made of."""

    source: Source
    example: Example
    found: Adjoints
    chosen: Chosen
    judged: Judged

    @property
    def executed(self) -> set[tuple[str, int]]:
        """The lines that it ran, of each file."""
        statements = self.found.point.case.program.table.statements
        run = {one.statement for one in self.found.record.executions}
        return {(str(statements[k].file), statements[k].tree.lineno) for k in run}

    @property
    def weight(self) -> tuple[float, ...]:
        """How much of the backward the example explains: the larger the better it shows the code."""
        order = {"right": 2.0, "wrong": 1.0, "cannot tell": 0.0}
        right = sum(g.verdict == "right" for g in self.judged.gradients)
        return (
            float(self.judged.verdict != "cannot tell"),
            right,
            self.chosen.explained,
            order[self.judged.verdict],
        )


def reported(one: Examined) -> Report:
    """Return what is known of an example once it is judged."""
    judged, chosen, program = one.judged, one.chosen, one.found.point.case.program
    report = Report(
        judged.verdict,
        str(one.source.path),
        one.example.text,
        one.example.origin,
        one.example.piece,
        chosen.candidate.text,
        chosen.candidate.kind,
        chosen.factor,
        judged.reason,
        [_gradient(g, chosen.factor) for g in judged.gradients],
    )
    report.notes += [*one.source.notes, *program.notes]
    report.notes += [f"{place}: left out: {why}" for place, why in program.left_out.items()]
    if any(file.doubled for file in program.files.values()):
        report.notes.append("judged in double precision: float32 stands as float64")
    if chosen.factor != 1.0:
        report.notes.append(
            f"the gradients are {_factor(chosen.factor)} times those of {chosen.candidate.text}"
        )
    if not one.found.complete:
        report.notes.append("the example is large: not every value was followed")
    report.trace = _trace(one)
    return report


def _gradient(g: Gradient, factor: float) -> dict[str, Any]:
    out: dict[str, Any] = {
        "name": g.name,
        "verdict": g.verdict,
        "where": g.where,
        "error": g.error,
        "note": g.note,
    }
    if g.verdict == "wrong" and g.wanted is not None and g.got is not None:
        wanted = g.wanted * factor
        worst = int(np.abs(g.got - wanted).argmax())
        index = np.unravel_index(worst, g.shape) if g.shape else ()
        out |= {"at": [int(i) for i in index], "got": float(g.got[worst]), "wanted": float(wanted[worst])}
    return out


def _factor(factor: float) -> str:
    inverse = round(1 / factor)
    return f"1/{inverse}" if abs(factor) < 1 and abs(1 / factor - inverse) < 1e-9 else f"{factor:.6g}"


def known_cell(one: Examined) -> Match | None:
    """Return which known cell the forward is."""
    nodes = one.found.point.case.program.table.nodes
    # of what matters at one step all steps are needed: at the first, a gate of a state of zeros does not
    matters = {node for node, _ in one.found.matters(one.chosen.candidate.terms)}
    recorded = []
    for seen in one.found.seen():
        if seen.node in matters or seen.execution in one.chosen.forward:
            tree, value = nodes[seen.node].tree, seen.numbers.reshape(shape(seen.value))
            recorded.append(Recorded(ast.unparse(tree), tree.lineno, value, seen.use))
    try:
        return recognise(recorded[:4000])
    except Exception:  # what a stranger's values do to the search costs the sentence and no verdict
        return None


def located(one: Examined, place: Located, match: Match | None) -> dict[str, Any]:
    """Return a place that was found, as it is told."""
    statement = place.caller or (place.cause.statement if place.cause else place.statement)
    source = one.found.point.case.program.sources.get(statement.file, one.source)
    row, wanted = place.row, place.targets.get(place.step.number)
    out: dict[str, Any] = {
        "place": source.place(statement.tree.lineno),
        "line": statement.tree.lineno,
        "text": " ".join(ast.unparse(statement.tree).split()),
        "must": row.text(),
        "step": place.step.number,
        "got": [float(v) for v in place.got[:8]],
        "wanted": [float(v) for v in wanted[:8]] if wanted is not None else [],
    }
    if match is not None and row.node is not None:
        text, line = ast.unparse(row.node.tree), row.node.tree.lineno
        equation = match.here(text, line) or match.equation(text, line)
        if equation:
            out["equation"] = equation
    return out


def add_mends(one: Examined, report: Report, mended: Mended) -> None:
    """Add a correction to a report, or say what was corrected in part."""
    sources = one.found.point.case.program.sources
    report.whole = mended.whole
    if not mended.whole:
        before = sum(g.verdict == "right" for g in one.judged.gradients)
        if mended.mends and mended.right > before:
            text = "; ".join(f"line {m.line}: {m.after.strip()}" for m in mended.mends)
            report.notes.append(
                f"a correction in part, after which {mended.right} of {mended.of} gradients are right: {text}"
            )
        return
    report.mends = [
        {
            "place": sources[m.path].place(m.line) if m.path in sources else str(m.path),
            "path": str(m.path),
            "line": m.line,
            "before": m.before,
            "after": m.after,
            "reason": m.reason,
        }
        for m in mended.mends
    ]
    report.diff = "".join(sources[path].diff(new) for path, new in mended.sources.items())
    report.fixed = {str(path): new.text for path, new in mended.sources.items()}


def located_by_mend(one: Examined, mended: Mended, match: Match | None) -> dict[str, Any]:
    """Return the first statement that a correction changes, with what it gives and, corrected, must give."""
    lines = {(m.path, n): m for m in mended.mends for n in range(m.line, m.line + len(m.before.splitlines()))}
    steps = classify(one.found, one.chosen)
    case = one.found.point.case
    record = replace(case, program=case.program.replaced(mended.sources)).record()
    after = classify(replace(one.found, record=record), one.chosen)
    first = mended.mends[0]
    out: dict[str, Any] = {"must": first.reason, "step": 0, "got": [], "wanted": []}
    for step in steps:
        at = step.statement.file, step.statement.tree.lineno
        if at not in lines:
            continue
        first = lines[at]
        text = ast.unparse(step.statement.tree)
        new = [
            s
            for s in after
            if s.statement.file == at[0] and s.statement.tree.lineno == at[1] and s.number == step.number
        ]
        pairs = [
            (a, b) for s in new for a, b in zip(step.numbers, s.numbers, strict=False) if a.size == b.size
        ]
        wrong = next(((a, b) for a, b in pairs if not np.allclose(a, b, rtol=1e-6, atol=1e-12)), None)
        rows = [row for s in new for row in s.rows]
        if wrong is None or not rows:
            continue
        out |= {"must": rows[0].text(), "step": step.number, "text": " ".join(text.split())}
        out |= {"got": wrong[0][:8].tolist(), "wanted": wrong[1][:8].tolist()}
        if match is not None and rows[0].node is not None:
            tree = rows[0].node.tree
            equation = match.here(ast.unparse(tree), tree.lineno) or match.equation(
                ast.unparse(tree), tree.lineno
            )
            out |= {"equation": equation} if equation else {}
        break
    sources = case.program.sources
    place = sources[first.path].place(first.line) if first.path in sources else str(first.path)
    return {"text": first.before.strip()} | out | {"place": place, "line": first.line}


def _trace(one: Examined) -> list[dict[str, Any]]:
    sources = one.found.point.case.program.sources
    out = []
    for step in classify(one.found, one.chosen):
        tree = step.statement.tree
        if step.kind in ("zero", "value") or step.statement.file not in sources:
            continue
        out.append(
            {
                "place": sources[step.statement.file].place(tree.lineno),
                "line": tree.lineno,
                "time": step.number,
                "text": " ".join(ast.unparse(tree).split()),
                "kind": "gradient" if step.kind != "unexplained" or step.cleared else "not explained",
                "is": step.rows[0].text() if step.rows else "",
            }
        )
    return out
