"""What is known of an example that was run, told: the verdict, the place, the mends, the trace."""

import ast
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from bptt.checking.adjoints.choice import Chosen
from bptt.checking.adjoints.rows import Row
from bptt.checking.adjoints.table import Adjoints
from bptt.checking.cells import Match, Recorded, recognise
from bptt.checking.example import Example
from bptt.checking.file import Source
from bptt.checking.locate.classes import Step, classify
from bptt.checking.locate.search import Hypothesis
from bptt.checking.mend.trials import Mended
from bptt.checking.report import Report, relation
from bptt.checking.taps.instrument import Statement
from bptt.checking.taps.values import shape
from bptt.checking.verdict.gradient import Judged
from bptt.types import Array


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
        verdict, right = self.judged.verdict, sum(g.verdict == "right" for g in self.judged.gradients)
        return verdict != "cannot tell", right, self.chosen.explained, verdict == "right"

    @cached_property
    def steps(self) -> list[Step]:
        """The backward's steps, each with what it gives."""
        return classify(self.found, self.chosen)

    @cached_property
    def cell(self) -> Match | None:
        """Which known cell the forward is."""
        nodes = self.found.point.case.program.table.nodes
        # of what matters at one step all steps are needed: at the first, a gate of a state of zeros does not
        matters = {node for node, _ in self.found.matters(self.chosen.candidate.terms)}
        recorded = []
        for seen in self.found.seen():
            if seen.node in matters or seen.execution in self.chosen.forward:
                tree = nodes[seen.node].tree
                value = seen.numbers.reshape(shape(seen.value, seen.numbers.size))
                recorded.append(Recorded(ast.unparse(tree), tree.lineno, value, seen.use))
        try:
            return recognise(recorded[:4000])
        except Exception:  # what a stranger's values do to the search costs the sentence and no verdict
            return None

    @property
    def handed_on(self) -> str:
        """What a loop that ran once hands on to a second time, if it is no gradient; else empty.

        Nothing shows whether it is wrong: nothing has read it.
        """
        times = Counter(one.statement for one in self.found.record.executions)
        for step in self.steps:
            tree, loops = step.statement.tree, step.statement.loops
            once = times[step.execution.statement] == 1 and step.suspect and not step.readers
            if once and loops and isinstance(tree, ast.Assign):
                kept = {ast.unparse(to) for to in names_in(tree.targets)}
                read = {ast.unparse(n) for n in ast.walk(tree.value) if isinstance(n, ast.expr)}
                before = {ast.unparse(n) for n in names_in([loops[-1]]) if n.lineno < tree.lineno}
                if kept & before - read:
                    where = self.place(step.statement.file, loops[-1].lineno)
                    name = ", ".join(sorted(kept & before - read))
                    return f"the loop of {where} runs once: {name}, which it hands on, is read by nothing"
        return ""

    @property
    def still(self) -> set[Any]:
        """What was given and may change while the loss stays, as what is normalised over two rows."""
        weights = [self.found.terms[n].weights for n in self.chosen.candidate.terms]
        handed = b"".join(w.tobytes() for w in weights if w is not None)
        names, without = self.found.record.names[-1], self.found.point.given.keys() - self.found.arrays.keys()
        return {path for path in without if path in names and names[path].tobytes() not in handed}

    def place(self, path: Any, line: int) -> str:
        """Return how a person finds a line of a file."""
        sources = self.found.point.case.program.sources
        return sources[path].place(line) if path in sources else f"{path}:{line}"

    def words(self, row: Row) -> str:
        """Return an adjoint in words; in a notebook a line is its cell's."""
        if row.node is None:
            return row.text()
        line = row.node.tree.lineno
        _, cell, place = self.place(row.node.file, line).partition(": cell ")
        return row.text().replace(f"of line {line}", f"of cell {place}" if cell else f"of line {line}")


def names_in(trees: Sequence[ast.AST]) -> list[ast.expr]:
    """Return the names, attributes and items that stand in trees."""
    kinds = ast.Name | ast.Attribute | ast.Subscript
    return [n for tree in trees for n in ast.walk(tree) if isinstance(n, kinds)]


def reported(one: Examined) -> Report:
    """Return what is known of an example once it is judged."""
    judged, chosen, program = one.judged, one.chosen, one.found.point.case.program
    shown = (one.example.text, one.example.origin, one.example.piece)
    loss = (chosen.candidate.text, chosen.candidate.kind, chosen.factor)
    report = Report(judged.verdict, str(one.source.path), *shown, *loss, judged.reason)
    report.gradients = _gradients(judged, chosen.factor)
    report.notes += [*one.source.notes, *program.notes]
    report.notes += [f"{place}: left out: {why}" for place, why in program.left_out.items()]
    report.notes += [f"{g.name}: {g.note}" for g in judged.gradients if g.verdict == "not given" and g.note]
    if any(file.doubled for file in program.files.values()):
        report.notes.append("judged in double precision: float32 stands as float64")
    if not program.guarded:
        guards = "they guard a quotient or a log"
        report.notes.append(f"judged with its constants of 1e-05 and less at nothing: {guards}")
    if chosen.factor != 1.0:
        inverse = round(1 / chosen.factor)
        is_part = abs(chosen.factor) < 1 and abs(1 / chosen.factor - inverse) < 1e-9
        factor = f"1/{inverse}" if is_part else f"{chosen.factor:.6g}"
        report.notes.append(f"the gradients are {factor} times those of {chosen.candidate.text}")
    if not one.found.complete and report.verdict != "right":
        report.notes.append("the example is large: not every value was followed")
    report.trace = _trace(one)
    return report


def _gradients(judged: Judged, factor: float) -> list[dict[str, Any]]:
    wanted = {g.name: g.wanted.reshape(g.shape) * factor for g in judged.gradients if g.wanted is not None}
    out = []
    for g in judged.gradients:
        out.append({"name": g.name, "verdict": g.verdict, "where": g.where, "error": g.error, "note": g.note})
        right = wanted.get(g.name)
        if g.verdict == "wrong" and right is not None and g.got is not None and g.got.size == right.size:
            got = g.got.reshape(g.shape)
            at = np.unravel_index(int(np.abs(got - right).argmax()), g.shape)
            out[-1] |= {"at": [int(i) for i in at], "got": float(got[at]), "wanted": float(right[at])}
            out[-1]["note"] = g.note or relation(g.name, got, wanted, {}, 1e-6)
    return out


def located(one: Examined, place: Hypothesis) -> dict[str, Any]:
    """Return a place that was found, as it is told."""
    at = place.unit.times[place.first]
    wanted = (place.targets or {}).get(at.count, np.empty(0))
    return _told(one, place.unit.statement, place.row, at.within, at.numbers, wanted)


def begun(one: Examined, found: Mended) -> list[dict[str, Any]]:
    """Return where what is wrong begins, as it is told, where no one change makes all right."""
    if found.together:
        return [located(one, place) for place in found.places]
    if not (step := found.first):
        places = [located(one, place) for place in found.places]
        rest = dict.fromkeys(p["place"] for p in places if p["place"] != places[0]["place"])
        return [places[0] | {"or": [*rest]}] if places else kept_wrong(one)
    if found.places:
        told = located(one, found.places[0])
    else:
        told = _told(one, step.statement, None, step.number, step.numbers[0], np.empty(0))
    told |= {"sure": False, "hint": found.hint}
    return [told if step.suspect else told | {"takes": False}]


def kept_wrong(one: Examined) -> list[dict[str, Any]]:
    """Return the statement that makes the first gradient that is wrong, and when it first goes wrong."""
    wrong = {g.match.numbers.tobytes(): g.name for g in one.judged.wrong if g.match is not None}
    for step in one.steps:
        added = isinstance(step.statement.tree, ast.AugAssign)  # zeros are made elsewhere, too
        for name in (wrong[n.tobytes()] for n in step.numbers if n.tobytes() in wrong and (added or n.any())):
            times = (s for s in one.steps if s.statement is step.statement and s.kind == "unexplained")
            first = next(times, step)
            told = _told(one, step.statement, None, first.number, first.numbers[0], np.empty(0))
            return [told | {"sure": False, "gradient": name}]
    return []


def located_by_mend(one: Examined, mended: Mended) -> dict[str, Any]:
    """Return the first statement that a correction changes, with what it gives and, corrected, must give."""
    case, first = one.found.point.case, mended.mends[0]
    lines = {(m.path, n): m for m in mended.mends for n in range(m.line, m.line + len(m.before.splitlines()))}
    record = replace(case, program=case.program.replaced(mended.sources)).record()
    after = {_at(step): step for step in classify(replace(one.found, record=record), one.chosen)}
    for step in one.steps:
        mend, new = lines.get(_at(step)[:2]), after.get(_at(step))
        if mend and new and new.rows:
            for got, wanted in zip(step.numbers, new.numbers, strict=False):
                if got.size == wanted.size and not np.allclose(got, wanted, rtol=1e-6, atol=1e-12):
                    told = _told(one, step.statement, new.rows[0], step.number, got, wanted)
                    return told | {"place": one.place(mend.path, mend.line), "line": mend.line}
    at = {"place": one.place(first.path, first.line), "path": str(first.path), "line": first.line}
    return at | {"text": first.before.strip(), "must": first.reason, "step": 0, "got": [], "wanted": []}


def _at(step: Step) -> tuple[Any, int, int]:
    return step.statement.file, step.statement.tree.lineno, step.number


def _told(
    one: Examined, statement: Statement, row: Row | None, time: int, got: Array, wanted: Array
) -> dict[str, Any]:
    line, node = statement.tree.lineno, row and row.node
    first = 0  # entries before it are as they must be
    if wanted.size == got.size > 0:
        first = int(np.argmax(np.abs(got - wanted) > 1e-6 * np.abs(wanted).max()))
        first *= first > 3
    out = {
        "place": one.place(statement.file, line),
        "path": str(statement.file),
        "line": line,
        "text": " ".join(ast.unparse(statement.tree).split()),
        "must": one.words(row) if row else "",
        "step": time,
        "from": first,
        "got": got[first : first + 8].tolist(),
        "wanted": wanted[first : first + 8].tolist(),
    }
    at = (ast.unparse(node.tree), node.tree.lineno) if node else ("", 0)
    equation = one.cell and one.cell.equation(*at)
    return out | {"equation": equation} if equation else out


def add_mends(one: Examined, report: Report, mended: Mended) -> None:
    """Add a correction to a report."""
    report.whole = mended.whole
    for m in () if mended.whole else mended.mends:
        place = one.place(m.path, m.line)
        report.notes.append(f"{place}: {m.reason}: a part of the correction; more is wrong")
    if mended.whole:
        sources = one.found.point.case.program.sources
        ordered = sorted(mended.mends, key=lambda m: (str(m.path), m.line))  # as they stand, however found
        places = [{"path": str(m.path), "place": one.place(m.path, m.line)} for m in ordered]
        report.mends = [vars(m) | place for m, place in zip(ordered, places, strict=True)]
        report.diff = "".join(sources[path].diff(new) for path, new in mended.sources.items())
        report.fixed = {str(path): new.text for path, new in mended.sources.items()}


def _trace(one: Examined) -> list[dict[str, Any]]:
    """Return the statements of the backward: what each is the gradient at, and at which of its times."""
    sources, out = one.found.point.case.program.sources, dict[tuple[Any, int, str], dict[str, Any]]()
    for step in one.steps:
        file, tree = step.statement.file, step.statement.tree
        if step.kind in ("zero", "value") or file not in sources:
            continue
        text, line = " ".join(ast.unparse(tree).split()), tree.lineno
        new = {"place": one.place(file, line), "line": line, "text": text, "is": "", "times": []}
        told = out.setdefault((file, line, text), new)
        told["times"].append(step.kind != "unexplained" or step.cleared)
        if told["times"][-1] and step.rows and not told["is"]:
            told["is"] = one.words(step.rows[0]).removeprefix("the gradient at ").partition(" (time ")[0]
    return [one | {"is": one["is"] or "a part of one"} for one in out.values()]
