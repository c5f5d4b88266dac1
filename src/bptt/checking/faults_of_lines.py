"""Changes of several lines at once: what all gates have alike, exchanges, what all weights have alike."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from bptt.checking.fault import Fault, fault_id, in_words, scales, slug_of
from bptt.checking.reference import DERIVATIVE, ORDER, Line, Reference, Term, is_sum
from bptt.types import Params


def of_all_gates(cell: Reference, single: Sequence[Fault]) -> Iterator[Fault]:
    """Yield each change that all gates (or all of one activation) have alike, as one change."""
    groups: dict[str, list[Fault]] = {}
    for fault in single:
        (target,) = fault.version
        kind = (
            cell.activations.get(target.removeprefix("da_"), ("", ""))[0] if target.startswith("da_") else ""
        )
        gate = target.rpartition("_")[2]
        key = fault.id
        if gate in cell.gates and target != "da_m" and len(cell.gates) > 1:
            key = re.sub(rf"(?<=-){gate}(?=-|$)", "*", fault.id, count=1).replace("/da-*-", f"/da-{kind}-")
            groups.setdefault(key, []).append(fault)
            if kind:
                groups.setdefault(key.replace(f"/da-{kind}-", "/da-"), []).append(fault)
        if target.startswith("db_"):
            groups.setdefault(re.sub("/db(-h)?-", "/biases-", key), []).append(fault)
        if target in ("dh_prev", "dx"):
            key = re.sub(r"(?<=-)[WUwu]-.(?=-)|(?<=-)da-.$", "*", fault.id)
            groups.setdefault(key, []).append(fault)
    for key, members in groups.items():
        targets = [target for fault in members for target in fault.version]
        if len(members) < 2:
            continue
        first, last = members[0], members[-1]
        name = re.sub(r"-?\*", "", key) + ("-all" if targets[0] in ("dh_prev", "dx") else "")
        if len(set(targets)) == len(targets):
            version = {t: line for fault in members for t, line in fault.version.items()}
            fix = "; ".join([first.fix, *(["..."] if len(members) > 2 else []), last.fix])
            others = "for the other gates" if len(cell.gates) > 1 else "for the other one"
            says = f"{first.says}, and likewise {others}"
            yield Fault(name, max(0, first.rank - 1), says, fix, version)
        elif len(set(targets)) == 1:
            (line,) = {target: fault for fault in members for target in fault.version}
            yield from _merged(name, members, line)


def _merged(name: str, members: Sequence[Fault], target: str) -> Iterator[Fault]:
    """Yield the change of one line that makes the changes of its terms all at once."""
    lines = [fault.version[target] for fault in members]
    if "untransposed" in name:
        changed = {
            i: term
            for line in lines
            for i, term in enumerate(line.terms)
            if term.after and not term.after.endswith(".T")
        }
        terms = tuple(changed.get(i, term) for i, term in enumerate(lines[0].terms))
    elif "without" in name:
        terms = tuple(term for term in lines[0].terms if all(term in line.terms for line in lines))
    else:
        return
    says = (
        f"on the way to {target}, the matrices stand where their transposes belong"
        if "untr" in name
        else (f"{target} lacks what comes through the weights")
    )
    if terms:
        yield Fault(name, 0, says, members[0].fix, {target: replace(lines[0], terms=terms)})


def swaps(cell: Reference, lines: Sequence[Line], now: Params) -> Iterator[Fault]:
    """Yield exchanges of two gates' values or gradients, and of one quantity for another throughout."""
    by_name = {line.target: line for line in lines}
    for a, b in combinations(cell.gates, 2):
        for prefix, words in (("da_", "deltas"), ("d", "gradients")):
            one, two = by_name[f"{prefix}{a}"], by_name[f"{prefix}{b}"]
            version = {
                one.target: replace(two, target=one.target),
                two.target: replace(one, target=two.target),
            }
            says = f"the {words} {one.target} and {two.target} are swapped"
            yield Fault(
                fault_id(cell, one.target, f"swapped-with-{slug_of(two.target)}"),
                2,
                says,
                f"{one}; {two}",
                version,
            )
    kinds = {v: DERIVATIVE[kind](v) for v, (kind, _) in cell.activations.items()}
    exchanges = [
        ({a: b, b: a}, f"{a} and {b} are swapped") for a, b in combinations(cell.gates, 2) if a in kinds
    ]
    exchanges += [({"z": "1-z", "1-z": "z"}, "z and 1-z are swapped")] if "1-z" in now else []
    exchanges += [
        ({a: b}, f"{b} stands for {a}")
        for a, b in (("c_prev", "c"), ("h_prev", "h"), ("c", "c_prev"), ("tanh(c)", "c"))
        if a in now and b in now
    ]
    for exchange, says in exchanges:
        whole = dict(exchange)
        for a, b in exchange.items():
            if a in kinds and b in kinds:
                whole[kinds[a]] = kinds[b]
        version = {line.target: new for line in lines if (new := _renamed(line, whole)) != line}
        if len(version) > 1:
            fix = "; ".join(str(line) for line in lines if line.target in version)
            slug = re.sub(r"[^a-z0-9]+", "-", says.replace("(", "-").replace(")", "")).strip("-")
            yield Fault(f"{cell.name}/{slug}", 2, f"throughout the backward, {says}", fix, version)


def _renamed(line: Line, names: Mapping[str, str]) -> Line:
    terms = (
        replace(
            term,
            factors=tuple(names.get(f, f) for f in term.factors),
            before=names.get(term.before, term.before),
        )
        for term in line.terms
    )
    return replace(line, terms=tuple(terms))


def partial_ways(cell: Reference, lines: Sequence[Line]) -> Iterator[Fault]:
    """Yield a dh_prev that takes one term of the gradient at c too few, while all else has it whole."""
    by_name = {line.target: line for line in lines}
    whole = by_name.get("dc", Line("dc", ()))

    def spelled_out(term: Term, kept: tuple[Term, ...]) -> list[Term]:
        """Return a term with the gradients in it replaced by their lines, down to that at c."""
        line = by_name.get(term.factors[0])
        if line is None or (line.target != "dc" and len(line.terms) > 1):
            return [term]
        parts = [
            replace(term, factors=(*part.factors, *term.factors[1:]), scale=term.scale * part.scale)
            for part in (kept if line.target == "dc" else line.terms)
        ]
        return parts if line.target == "dc" else [own for part in parts for own in spelled_out(part, kept)]

    for dropped in whole.terms if len(whole.terms) > 1 else ():
        kept = tuple(term for term in whole.terms if term != dropped)
        line = by_name["dh_prev"]
        new = replace(line, terms=tuple(own for term in line.terms for own in spelled_out(term, kept)))
        says = f"dh_prev takes the gradient at c without its term {dropped}"
        if dropped.factors == ("dc_next",):
            says += ": of the ways back to h, that over the c of two steps is missing"
        name = f"dc-without-{slug_of(dropped)}"
        yield Fault(fault_id(cell, "dh_prev", name), 2, says, f"{whole}; {line}", {"dh_prev": new})


def of_all_weights(cell: Reference, lines: Sequence[Line], T: int, N: int) -> Iterator[Fault]:
    """Yield what happens to the gradients at all weights and biases alike."""
    sums = [line for line in lines if is_sum(line.target)]
    for c, slug in scales(T, N).items():
        version = {
            line.target: replace(line, terms=tuple(replace(t, scale=c * t.scale) for t in line.terms))
            for line in sums
        }
        says = f"the gradients at all weights and biases (not at x and the states) are {in_words(slug)}"
        yield Fault(f"{cell.name}/weights-{slug}", 2, says, "; ".join(map(str, sums[:2])), version)
    inner = [line for line in sums if line.target not in ("dV", "dk")]  # the output's may lie behind the loop
    for steps in ("first only", "last only") if T > 1 else ():
        for some, slug, which in ((sums, "weights", "all"), (inner, "cell-weights", "the cell's")):
            version = {line.target: replace(line, steps=steps) for line in some}
            says = f"the gradients at {which} weights and biases have the {steps.split()[0]} time step alone"
            slug = f"{cell.name}/{slug}-{steps.replace(' ', '-')}-step"
            yield Fault(slug, 1, says, "; ".join(map(str, some[:2])), version)
    version = {line.target: replace(line, start=line.target[1:]) for line in sums}
    says = "the gradients at all weights and biases start from the parameters, not from zero"
    yield Fault(f"{cell.name}/weights-seeded-from-parameters", 1, says, "start each sum at zero", version)


def of_everything(cell: Reference, lines: Sequence[Line], T: int, N: int) -> Iterator[Fault]:
    """Yield what happens to all gradients handed out: zero, a multiple, the time loop the wrong way round."""
    out = [line for line in lines if is_sum(line.target) or line.target in ("dx", "dh0", "dc0")]
    fix = "; ".join(map(str, out[:2]))
    nothing = {line.target: replace(line, terms=()) for line in out}
    yield Fault(f"{cell.name}/all-zero", 0, "all gradients are zero", fix, nothing)
    for c, slug in scales(T, N).items():
        version = {
            line.target: replace(line, terms=tuple(replace(t, scale=c * t.scale) for t in line.terms))
            for line in out
        }
        yield Fault(f"{cell.name}/all-{slug}", 3, f"all gradients are {in_words(slug)}", fix, version)
    if T > 1:
        says = "the time loop of the backward goes from the first step to the last: what comes back from"
        says += " the later steps is carried the wrong way"
        ahead = {ORDER: Line(ORDER, ())}
        yield Fault(f"{cell.name}/time-forward", 0, says, "for t in reversed(range(T))", ahead)


def of_units(cell: Reference, lines: Sequence[Line]) -> Iterator[Fault]:
    """Yield a reset gate that is taken by the unit of the wrong side of its matrix."""
    by_name = {line.target: line for line in lines}
    if "dq" not in by_name:
        return
    (inner,) = by_name["dq"].terms

    def changed(line: Line, old: Term, new: Term, slug: str, what: str) -> Fault:
        terms = tuple(new if term == old else term for term in line.terms)
        says = f"{line.target} has {new} where {old} belongs: {what} of the wrong side of U_n"
        name = fault_id(cell, line.target, slug)
        return Fault(name, 2, says, f"{by_name['dq']}; {line}", {line.target: replace(line, terms=terms)})

    for target in ("dh_prev", "dr"):
        for term in by_name[target].terms:
            if term.factors[0] == "dq":
                other = term.factors[1]
                new = replace(inner, factors=(*inner.factors, other))
                slug = f"{slug_of(other)}-of-wrong-side"
                yield changed(by_name[target], term, new, slug, f"{other} has the unit")
    if "dU_n" in by_name:
        (term,) = by_name["dU_n"].terms
        new = Term((*term.factors, "r"), before="h_prev")
        yield changed(by_name["dU_n"], term, new, "r-of-wrong-side", "r has the unit")
