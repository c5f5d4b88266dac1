"""A file, examined: its examples run, its gradients judged, what is wrong located and mended.

`work` is what the child process calls. It tells what it has found as it finds it: the verdict first, then the
places, then the mends, so that what is there when the time is up counts.
"""

import ast
import contextlib
import functools
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bptt.checking.adjoints.choice import best, followed
from bptt.checking.adjoints.point import point
from bptt.checking.adjoints.record import Record, named
from bptt.checking.besides import add_truncation, shortest, side_effects
from bptt.checking.example import (
    Example,
    backwards,
    candidates,
    equations,
    given,
    main_program,
    other_sizes,
    sibling,
)
from bptt.checking.file import Source, importers, read
from bptt.checking.mend.search import Search
from bptt.checking.report.record import Report
from bptt.checking.taps.example import ExampleError
from bptt.checking.taps.program import Program
from bptt.checking.taps.values import flat, written
from bptt.checking.telling import Examined, add_mends, begun, located_by_mend, reported
from bptt.checking.verdict.gradient import Judged
from bptt.checking.verdict.judgement import again, at_zero, held_back, is_right, judge, otherwise, wrong_at
from bptt.checking.written import FEW, ONE_SEQUENCE, ONE_STEP, against
from bptt.errors import BpttError

Send = Callable[[str, Any], None]
TRIED = 3  # examples of one piece of code that are looked at, of those that the tool writes
NO_LOSS = "nothing in the example is a loss: no number that the code returns or keeps, "
NO_LOSS += "no array that is handed to a backward in the shape of an output"
AT_ZERO = "{} begins at zero in the example, and its gradient is right there, but at no other numbers: "
AT_ZERO += "an example with random ones tells what is wrong"
WRITING = 0.6  # for how much of the time examples are written and judged; what is wrong is mended in the rest


def work(arguments: Mapping[str, Any], send: Send) -> None:
    """Examine a file; called in the child process, with the arguments of `check_file`.

    A report's number and fields are sent as ``"report"``, again each time more of it is known.
    """
    end = time.monotonic() + float(arguments["seconds"])
    found: list[tuple[Examined, Report, Callable[[], None]]] = []

    def sent(number: int, report: Report) -> None:
        send("report", {"number": number, **vars(report)})

    for number, one in enumerate(_examined(read(arguments["path"]), arguments)):
        report = one if isinstance(one, Report) else _told(one)
        sent(number, report)
        if isinstance(one, Examined):
            found.append((one, report, functools.partial(sent, number, report)))
    for one, report, told in found:  # every piece has its verdict before the first is mended
        _completed(one, report, end, told, mends=bool(arguments.get("mend", True)))


def _examined(source: Source, arguments: Mapping[str, Any]) -> Iterator[Examined | Report]:
    """Yield the best example of each piece, and a report on what goes through time and was not judged."""
    seed, path = int(arguments.get("seed", 0)), str(source.path)
    if arguments.get("example"):
        yield examine(source, given(arguments["example"]), seed)
        return
    seconds = WRITING * float(arguments["seconds"])
    end = time.monotonic() + seconds
    name, failed, shown, untold = arguments.get("name") or None, "", set[tuple[str, int]](), list[Examined]()
    settled, furthest, whole = set[str](), dict[str, tuple[Any, ...]](), set[tuple[str, int]]()
    every = [*backwards(source.tree)] if name is None else []
    lines = {(path, line) for _, those in every for line in those}

    def shows() -> Iterator[tuple[Source, Example]]:
        """Yield the file's examples, and those of files that import it where these show no backward of it."""
        for example in main_program(source) if name is None and arguments.get("run") else ():
            yield source, example
        for example in candidates(source, name, seconds, settled, furthest):
            yield source, example
        for other in importers(source.path) if lines and shown.isdisjoint(lines) else ():
            with contextlib.suppress(BpttError):  # it need not be Python
                for example in candidates(where := read(other), None, end - time.monotonic()):
                    yield where, example

    for (where, piece), examples in itertools.groupby(shows(), lambda pair: (pair[0], pair[1].piece)):
        tried, last = list[Examined](), time.monotonic()
        for _, alike in itertools.groupby(examples, lambda pair: pair[1].sizes.get("N")):
            for _, example in itertools.islice(alike, TRIED):
                begun = time.monotonic()
                try:
                    one = examine(where, example, seed, end - time.monotonic())
                except ExampleError as error:
                    failed = failed or str(error)
                    continue
                if isinstance(one, Report):
                    failed = failed or one.reason
                    continue
                still = one.still if one.judged.verdict == "right" else set()
                if any(before.judged.wrong and still & before.found.arrays.keys() for before in tried):
                    continue  # it shows less
                if still and (other := other_sizes(example)):
                    with contextlib.suppress(ExampleError):
                        there = examine(where, other, seed, end - time.monotonic())
                        one = there if isinstance(there, Examined) and there.judged.wrong else one
                if where is not source and (one.executed.isdisjoint(lines) or not shown.isdisjoint(lines)):
                    continue
                one.judged.verdict, one.judged.reason = against(one, tried, asked=bool(arguments.get("run")))
                tried.append(one)
                settled.update(piece[-1:] if _is_settled(one) else ())
                last = 2 * time.monotonic() - begun  # when another would be judged
                if _is_settled(one) or last > end:
                    break
            if any(map(_is_settled, tried)) or last > end:
                break
        told = [one for one in tried if one.judged.reason in (ONE_SEQUENCE, ONE_STEP)]
        best_one = max(told or tried, key=lambda one: one.weight, default=None)
        own = {(path, line) for back, those in every if back in piece[-1:] for line in those}
        if best_one and best_one.judged.verdict == "wrong" and own and own <= whole:
            continue  # a part of what is right, whose gradients are not yet all there are
        if best_one and best_one.judged.verdict != "cannot tell":
            whole |= best_one.executed if best_one.judged.verdict == "right" else set()
            shown |= best_one.executed
            settled.update(piece[-1:])
            yield best_one
        elif best_one:
            untold.append(best_one)
        if time.monotonic() > end:
            break
    defined = {n.name for n in ast.walk(source.tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    if name and name.split(".")[-1] not in defined:
        yield Report("cannot tell", path, reason=f"no function or class in it is called {name!r}")
        return
    reason = "no example of its use was found in it, and none that was written runs: give one with --example"
    reason += f" ({failed})" if failed else ""
    left = list[str]()
    for back, those in every:
        if shown.isdisjoint((path, line) for line in those):  # nor any that calls it
            tried = [one for one in untold if not one.executed.isdisjoint((path, line) for line in those)]
            if tried:
                shown |= tried[0].executed
                yield tried[0]
            else:
                left.append(back)
    if left:
        shown.add((path, 0))
        reason = f"{', '.join(left)} {'was' if len(left) == 1 else 'were'} not judged: {reason}"
        yield _begun(Report("cannot tell", path, piece=tuple(left), reason=reason), left, furthest)
    if not shown and untold:
        yield untold[0]
    elif not shown and name is None and (cells := equations(source.tree)):
        reason = f"there is no backward in it: {', '.join(cells)} are equations; bptt derive {{}} derives one"
        yield Report("cannot tell", path, reason=reason.format(path))
    elif not shown:
        yield _begun(Report("cannot tell", path, reason=reason), furthest, furthest)


def _begun(report: Report, names: Iterable[str], furthest: Mapping[str, tuple[Any, ...]]) -> Report:
    """Add to a report what may begin an example: the lines that came furthest, and what ended them."""
    _, report.example, why = max((furthest[n] for n in names if n in furthest), default=("", "", ""))
    report.origin = f"these lines came furthest: {why}" if why else ""
    return report


def _is_settled(one: Examined) -> bool:
    """Return whether no other example can tell more."""
    right = sum(g.verdict == "right" for g in one.judged.gradients)
    all_right = one.judged.verdict == "right" and 2 * right >= len(one.judged.gradients)
    return all_right or one.judged.reason in (ONE_SEQUENCE, ONE_STEP)


def examine(
    source: Source,
    example: Example,
    seed: int = 0,
    seconds: float = 80.0,
    *,
    sure: bool = False,
    guarded: bool = True,
    alone: bool = False,
) -> Examined | Report:
    """Run an example of a file's use, and judge the gradients that it keeps: what is right, at two points.

    Raises ExampleError if it cannot be run.
    """
    program = Program(source, example.text, guarded=guarded)
    some = min(max(seconds / 4, 1.0), 20.0)
    found, chosen = best(point(program, seed), seconds=some, quick=True)
    judged = judge(found, chosen[0]) if chosen else None
    if judged and judged.verdict != "right" and not found.complete:
        chosen = followed(found, some)
        judged = judge(found, chosen[0])
    if not judged:
        shown = (str(source.path), example.text, example.origin, example.piece)
        return Report("cannot tell", *shown, reason=_nothing(found.record) or NO_LOSS)
    if judged.verdict == "right" and not sure:
        with contextlib.suppress(LookupError, ExampleError):
            if wrong := wrong_at(found, chosen[0], seed + 1, seconds / 10):  # it was right by chance
                return examine(source, example, wrong[0][0], sure=True, guarded=guarded, alone=alone)
            if zeros := at_zero(found, judged):
                elsewhere = again(chosen[0], program, seed + 1, zeros).gradients
                off = [g.name for g in elsewhere if g.path in zeros and g.verdict != "right"]
                judged.verdict = "cannot tell" if off else "right"
                judged.reason = AT_ZERO.format(", ".join(off)) if off else ""
    for other, is_guarded in otherwise(source, program, judged) if not alone else ():
        meant = chosen[0].explained >= FEW  # or the loss may be another one then
        if meant and not is_right(chosen[0], Program(other, example.text, guarded=is_guarded), seed):
            continue
        one = examine(other, example, seed, seconds, guarded=is_guarded, alone=True)
        if isinstance(one, Examined) and one.judged.verdict == "right":
            return one
    if judged.verdict == "wrong" and not found.complete and chosen[0].candidate.whole < 2:
        judged.verdict = "cannot tell"
        judged.reason = "the example is large: not every value was followed; smaller sizes would do"
    if judged.verdict == "wrong" and (held := held_back(found)):
        judged.verdict, judged.reason = "cannot tell", f"{held}: smaller weights in the example would do"
    one = Examined(source, example, found, chosen[0], judged)
    if judged.verdict == "right" and (handed_on := one.handed_on):
        judged.verdict, judged.reason = "cannot tell", f"{handed_on}: an example with more steps shows it"
    return one


def _nothing(record: Record) -> str:
    """Return which array of an example has no entry, or one that is not finite: no loss is seen then."""
    for name, value in record.outcome.names.items():
        if isinstance(value, np.ndarray) and not value.size:
            return f"{name} has no entries in the example: one with some would tell"
    for path, value in named(record.outcome.names):
        if (numbers := flat(value)) is not None and not np.isfinite(numbers).all():
            return f"{written(path)} is not finite in the example: other numbers in it would do"
    return ""


def _told(one: Examined) -> Report:
    report = reported(one)
    report.cell = one.cell.sentence() if one.cell else ""
    if report.verdict == "wrong":
        _agree(one, report)
    with contextlib.suppress(Exception):  # what a stranger's values do to it costs a note
        report.notes += side_effects(one)
        if report.verdict == "wrong":
            add_truncation(one, report)
            note = next((note for note in report.notes if note.startswith("truncated:")), "")
            if note and one.example.marked and (other := sibling(one.source.tree, one.example.piece[-1])):
                report.verdict = "cannot tell"  # which of them is called is the tool's choice
                report.reason = f"{note}; it may be meant, as {other} takes the same arguments"
    return report


def _agree(one: Examined, report: Report) -> None:
    """Judge once more at other numbers, and a written example at other sizes: wrong needs both."""
    seed, names = one.found.point.case.seed + 1, {g.name for g in one.judged.wrong}
    try:
        wrong = wrong_at(one.found, one.chosen, seed, 5.0)
        verdicts = [wrong[0][1] if wrong else Judged(one.chosen, [], "right")]
    except (LookupError, ExampleError):  # the loss is not there, or the code does not take these numbers
        verdicts = []
    if other := other_sizes(one.example):
        try:
            sized = examine(one.source, other, seed, 20.0)
        except ExampleError as error:
            report.verdict = "cannot tell"
            report.reason = f"the example that was written runs at these sizes only ({error})"
            return
        verdicts += [sized.judged] if isinstance(sized, Examined) else []
    if len(verdicts) <= bool(other) or not all(judged.wrong for judged in verdicts):
        report.verdict, report.reason = "cannot tell", "a second run, with other numbers, does not agree"
    elif not all(names & {g.name for g in judged.wrong} for judged in verdicts):
        report.verdict, report.reason = "cannot tell", "other gradients are wrong in a second run"


def _completed(
    one: Examined, report: Report, end: float, told: Callable[[], None], *, mends: bool = True
) -> None:
    """Add the places and the mends to a report, and tell it each time that more of it is known."""
    if report.verdict != "wrong":
        return
    other = other_sizes(one.example)
    seconds = max((end - time.monotonic()) * 0.8, 1.0)
    search = Search(one.found, one.chosen, one.judged, seconds, (other.text,) if other else ())
    report.located = begun(one, search.told([]))  # which is known at once, and told if the time is up
    told()
    found = search.run() if mends else search.where()
    add_mends(one, report, found)
    report.located = [located_by_mend(one, found)] if found.whole else begun(one, found)
    told()
    if time.monotonic() < end and (note := shortest(one, functools.partial(_judged, one))):
        report.notes.append(note)
        told()


def _judged(one: Examined, text: str) -> Judged | None:
    """Judge another text of an example."""
    with contextlib.suppress(ExampleError):
        found = examine(one.source, replace(one.example, text=text), one.found.point.case.seed)
        return found.judged if isinstance(found, Examined) else None
    return None


def check_source(source: Source, example: str, *, seed: int = 0, seconds: float = 60.0) -> Report:
    """Examine code in this process: for code that one trusts, and for tests."""
    found = examine(source, given(example), seed)
    if isinstance(found, Report):
        return found
    report = _told(found)
    _completed(found, report, time.monotonic() + seconds, lambda: None)
    return report
