"""A file, examined: its examples run, its gradients judged, what is wrong located and mended.

`work` is what the child process calls. It tells what it has found as it finds it: the verdict first, then the
places, then the mends, so that what is there when the time is up counts.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bptt.checking.adjoints.choice import best
from bptt.checking.adjoints.point import point
from bptt.checking.example import Example, candidates, given, other_sizes, through_time
from bptt.checking.file import Source, read
from bptt.checking.locate.search import locate
from bptt.checking.mend.search import mend
from bptt.checking.report.record import Report
from bptt.checking.taps.example import ExampleError
from bptt.checking.taps.program import Program
from bptt.checking.telling import Examined, add_mends, known_cell, located, located_by_mend, reported
from bptt.checking.verdict.judgement import judge

Send = Callable[[str, Any], None]


TRIED = 4
"""Examples of one piece of code that are looked at, of those that the tool writes."""


WRITING = 0.6
"""For how much of the time examples are written and judged; what is wrong is mended in the rest."""


def work(arguments: Mapping[str, Any], send: Send) -> None:
    """Examine a file; called in the child process.

    Parameters
    ----------
    arguments : mapping
        ``path``, ``name``, ``example``, ``run``, ``seed``, ``mend``, ``trace``, ``seconds``.
    send : callable
        Called with ``"report"`` and a report's number and fields, again each time more of it is known.
    """
    end = time.monotonic() + float(arguments["seconds"])
    source = read(arguments["path"])
    found: list[tuple[int, Examined, Report]] = []
    for number, one in enumerate(_examined(source, arguments)):
        report = one if isinstance(one, Report) else _told(one)
        send("report", {"number": number, **vars(report)})
        if isinstance(one, Examined):
            found.append((number, one, report))
    for number, one, report in found:  # every piece has its verdict before the first is mended
        for _ in _completed(one, report, arguments, end):
            send("report", {"number": number, **vars(report)})


def _examined(source: Source, arguments: Mapping[str, Any]) -> Iterator[Examined | Report]:
    """Yield the best example of each piece, and a report on what goes through time and was not judged."""
    seed, path = int(arguments.get("seed", 0)), str(source.path)
    if arguments.get("example"):
        yield examine(source, given(arguments["example"]), seed)
        return
    seconds = WRITING * float(arguments["seconds"])
    end = time.monotonic() + seconds
    name, failed, shown, untold = arguments.get("name") or None, "", set[tuple[str, int]](), list[Examined]()
    found = candidates(source, name, bool(arguments.get("run")), seconds)
    for _, examples in itertools.groupby(found, lambda example: example.piece):
        tried: list[Examined] = []
        for example in itertools.islice(examples, TRIED):
            if tried and time.monotonic() > end:
                break
            try:
                one = examine(source, example, seed)
            except ExampleError as error:
                failed = failed or str(error)
                continue
            if isinstance(one, Report):
                failed = failed or one.reason
                continue
            if example.marked and {g.verdict for g in one.judged.gradients} <= {"wrong", "not given"}:
                one.judged.verdict = "cannot tell"
                one.judged.reason = "no gradient is right: the example that was written may call it wrongly"
            tried.append(one)
            if {g.verdict for g in one.judged.gradients} == {one.judged.verdict} == {"right"}:
                break
        best_one = max(tried, key=lambda one: one.weight, default=None)
        if best_one and best_one.judged.verdict != "cannot tell":
            shown |= best_one.executed
            yield best_one
        elif best_one:
            untold.append(best_one)
        if time.monotonic() > end:
            break
    reason = "no example of its use was found in it, and none that was written runs: give one with --example"
    reason += f" ({failed})" if failed else ""
    for piece, lines in through_time(source.tree) if name is None else ():
        if shown.isdisjoint((path, line) for line in lines):  # nor any that calls it
            tried = [one for one in untold if not one.executed.isdisjoint((path, line) for line in lines)]
            if tried:
                shown |= tried[0].executed
                yield tried[0]
            else:
                shown.add((path, lines[0]))
                yield Report("cannot tell", path, piece=(piece,), reason=f"{piece} was not judged: {reason}")
    if not shown:
        yield untold[0] if untold else Report("cannot tell", path, reason=reason)


def examine(source: Source, example: Example, seed: int = 0) -> Examined | Report:
    """Run an example of a file's use, and judge the gradients that it keeps.

    Raises
    ------
    ExampleError
        If it cannot be run.
    """
    program = Program(source, example.text)
    found, chosen = best(point(program, seed))
    if not chosen:
        return Report(
            "cannot tell",
            str(source.path),
            example.text,
            example.origin,
            example.piece,
            reason="nothing in the example is a loss: no number that the code returns or keeps, no array "
            "that is handed to a backward in the shape of an output",
        )
    judged = [judge(found, one) for one in chosen[:1]]
    return Examined(source, example, found, chosen[0], judged[0])


def _told(one: Examined) -> Report:
    report = reported(one)
    if report.verdict == "wrong":
        _agree(one, report)
    return report


def _agree(one: Examined, report: Report) -> None:
    """Judge once more at other numbers, and a written example at other sizes: wrong needs both."""
    seed = one.found.point.case.seed + 1
    examples = [one.example, *([other] if (other := other_sizes(one.example)) else [])]
    names = {g.name for g in one.judged.wrong}
    for example in examples:
        try:
            again = examine(one.source, example, seed)
        except ExampleError as error:
            if example is not one.example:
                report.verdict = "cannot tell"
                report.reason = f"the example that was written runs at these sizes only ({error})"
                return
            raise
        if not isinstance(again, Examined) or not again.judged.wrong:
            report.verdict = "cannot tell"
            report.reason = "a second run, with other numbers, does not agree"
        elif not names & {g.name for g in again.judged.wrong}:
            report.verdict, report.reason = "cannot tell", "other gradients are wrong in a second run"


def _completed(one: Examined, report: Report, arguments: Mapping[str, Any], end: float) -> Iterator[None]:
    """Add the cell, the places and the mends to a report, each as it is found."""
    match = known_cell(one)
    if match is not None:
        report.cell = match.sentence()
        yield
    if report.verdict != "wrong":
        return
    if arguments.get("mend", True):
        other = other_sizes(one.example)
        seconds = max((end - time.monotonic()) * 0.6, 1.0)
        mended = mend(one.found, one.chosen, seconds=seconds, examples=[other.text] if other else [])
        add_mends(one, report, mended)
        if mended.whole:
            report.located = [located_by_mend(one, mended, match)]
            yield
            return
    places = locate(one.found, one.chosen, one.judged, seconds=max((end - time.monotonic()) * 0.8, 1.0))
    report.located = [located(one, place, match) for place in places[:1]]
    yield


def check_source(source: Source, example: str, *, seed: int = 0, seconds: float = 60.0) -> Report:
    """Examine code in this process: for code that one trusts, and for tests."""
    found = examine(source, given(example), seed)
    if isinstance(found, Report):
        return found
    report = _told(found)
    for _ in _completed(found, report, {}, time.monotonic() + seconds):
        pass
    return report
