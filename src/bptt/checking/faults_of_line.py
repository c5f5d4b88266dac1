"""Changes of one line: terms dropped, negated, scaled; factors and matrices left out or replaced."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from bptt.checking.fault import EDGES, Fault, fault_id, in_words, scales, slug_of
from bptt.checking.quantities import DERIVATIVES_OF_ERROR, wrong_derivatives
from bptt.checking.reference import DERIVATIVE, STEPS, Line, Reference, Term, is_sum
from bptt.types import Params


def of_line(
    cell: Reference, lines: Sequence[Line], line: Line, now: Params, T: int, N: int
) -> Iterator[Fault]:
    """Yield the changes of one line.

    Parameters
    ----------
    cell : Reference
    lines : sequence of Line
        All of its backward's.
    line : Line
    now : dict of arrays
        The quantities of a step, for their names and shapes.
    T, N : int
    """
    target = line.target

    def fault(slug: str, rank: int, says: str, new: Line) -> Fault:
        return Fault(fault_id(cell, target, slug), rank, says, str(line), {target: new})

    for at, term in enumerate(line.terms):

        def instead(*new: Term, at: int = at) -> Line:
            return replace(line, terms=(*line.terms[:at], *new, *line.terms[at + 1 :]))

        alike = [other for other in line.terms if other.factors[0] == term.factors[0]]
        own = slug_of(term if len(alike) == 1 else "-".join(term.factors))
        if len(line.terms) > 1:
            yield fault(f"without-{own}", 0, f"the term {term} is missing from {target}", instead())
            negated = replace(term, scale=-term.scale)
            yield fault(
                f"minus-{own}", 1, f"the term {term} has the wrong sign in {target}", instead(negated)
            )
            for c in (2.0, 0.5):
                scaled = replace(term, scale=c * term.scale)
                yield fault(
                    f"{c:g}-{own}", 4, f"the term {term} of {target} is taken {c:g} times", instead(scaled)
                )
            if len(line.terms) > 2:
                only = replace(line, terms=(term,))
                yield fault(f"only-{own}", 2, f"{target} has the term {term} alone", only)
        for place, factor in enumerate(term.factors):
            for new, slug, words, rank in _instead_of(cell, lines, line, factor, now):
                factors = (*term.factors[:place], *new, *term.factors[place + 1 :])
                if factors:
                    text = words or f"{target} has {' * '.join(new)} where {factor} belongs"
                    short = slug or f"{slug_of(new[0])}-for-{slug_of(factor)}"
                    short += (
                        f"-in-{own}" if len(line.terms) > 1 and not term.after and factor[0] != "d" else ""
                    )
                    yield fault(short, rank, text, instead(replace(term, factors=factors)))
        if len(line.terms) > 1:
            for extra in _extras(cell, lines, line, now, term):
                longer = replace(term, factors=(*term.factors, extra))
                says = f"the term {term} of {target} has an extra factor {extra}"
                yield fault(f"extra-{slug_of(extra)}-on-{own}", 3, says, instead(longer))
        for before in (
            ("h", "h_prev", "c", "c_prev", "q", "x") if term.before and term.before != "ones" else ()
        ):
            if before != term.before and before in now and now[before].shape == now[term.before].shape:
                says = f"{target} has {before} where {term.before} belongs"
                rank = 1 if before.strip("_prev") == term.before.strip("_prev") else 2
                yield fault(
                    f"{slug_of(before)}-for-{slug_of(term.before)}",
                    rank,
                    says,
                    instead(replace(term, before=before)),
                )
        if term.after:
            for after, slug, words, rank in _matrices(cell, term.after, now):
                says = f"on the way to {target}, {words}"
                short = f"{slug}-in-{own}" if len(line.terms) > 1 else slug
                yield fault(short, rank, says, instead(replace(term, after=after)))
    for extra in _extras(cell, lines, line, now, *line.terms):
        every = tuple(replace(term, factors=(*term.factors, extra)) for term in line.terms)
        says = f"{target} has an extra factor {extra}"
        yield fault(f"extra-{slug_of(extra)}", 3, says, replace(line, terms=every))
    yield from _of_whole_line(fault, line, T, N)
    if target == "dlogits":
        yield from _of_error(fault, line, now)


def _of_error(fault: Callable[[str, int, str, Line], Fault], line: Line, now: Params) -> Iterator[Fault]:
    """Yield a derivative too many at the logits: in the error's place, or as a factor of it."""
    error = line.terms[0]
    d = " - ".join(term.factors[0] for term in line.terms)
    for token, (slug, words, _) in DERIVATIVES_OF_ERROR.items():
        if token not in now:
            continue
        put = replace(line, terms=(replace(error, factors=(token,)),))
        says = (
            f"the gradient at the logits is {words} where d = {d} itself belongs: the loss's derivative is d"
        )
        yield fault(f"{slug}-of-error", 1, f"{says}, with no derivative of an activation", put)
        every = tuple(replace(term, factors=(*term.factors, token)) for term in line.terms)
        says = f"the gradient at the logits, d = {d}, has an extra factor, {words.rstrip(',')}"
        yield fault(f"extra-{slug}-of-error", 3, says, replace(line, terms=every))


def _of_whole_line(
    fault: Callable[[str, int, str, Line], Fault], line: Line, T: int, N: int
) -> Iterator[Fault]:
    target = line.target
    where = {
        "dh_next": "the gradient at h is not handed back to the step before",
        "dc_next": "the gradient at c is not handed back to the step before",
        "dh_last": "the gradient at the final h is dropped",
        "dc_last": "the gradient at the final c is dropped",
    }
    rank = 0 if target in where or target in ("dh_prev", "dc_prev") else 2
    says = where.get(target, f"{target} is zero")
    if line.terms and target == "dc" and T > 1:
        says += " at every step: dc_next starts at zero, and is a factor of dc, or all of it"
        rank = -1
    yield fault("zero", rank, says, replace(line, terms=()))
    for c, slug in scales(T, N).items():
        scaled = replace(line, terms=tuple(replace(term, scale=c * term.scale) for term in line.terms))
        yield fault(slug, 2, f"{target} is {in_words(slug)}", scaled)
    if target in ("dh_prev", "dc_prev"):
        grown = replace(line, terms=(*line.terms, Term((target.replace("prev", "next"),))))
        says = f"{target} is added to what came from the later steps, not put in its place"
        yield fault("accumulated", 3, says, grown)
    if len(line.terms) > 1 and not any(term.after for term in line.terms):
        product = Term(tuple(f for term in line.terms for f in term.factors), scale=line.terms[-1].scale)
        yield fault(
            "product-for-sum",
            3,
            f"{target}'s terms are multiplied, not added",
            replace(line, terms=(product,)),
        )
    if is_sum(target):
        for steps in STEPS if T > 1 else ():
            says = f"the sum over time of {target} has " + {
                "first only": "the first time step alone, as when it is assigned in the loop and not added",
                "last only": "the last time step alone",
            }.get(steps, f"all time steps {steps}")
            yield fault(f"{steps.replace(' ', '-')}-step", 1, says, replace(line, steps=steps))
        seeded = replace(line, start=target[1:])
        yield fault("seeded-from-parameter", 2, f"{target} starts from {target[1:]}, not from zero", seeded)
    elif target == "dx" and T > 1:
        for steps in STEPS[2:]:
            says = f"dx is there for all time steps {steps}"
            yield fault(f"{steps.replace(' ', '-')}-step", 2, says, replace(line, steps=steps))


def _instead_of(
    cell: Reference, lines: Sequence[Line], line: Line, factor: str, now: Params
) -> Iterator[tuple[tuple[str, ...], str, str, int]]:
    """Yield for a factor: what may stand there, a slug, words and the rank."""
    activation = {DERIVATIVE[kind](v): (kind, v, a) for v, (kind, a) in cell.activations.items()}.get(factor)
    if factor == "ones" or line.target in EDGES:
        return
    if factor in now:
        yield (
            (),
            f"without-{'derivative' if activation else slug_of(factor)}",
            f"{line.target} lacks the factor {factor}",
            1,
        )
    if activation:
        kind, v, a = activation
        for wrong in wrong_derivatives(kind, v, a):
            yield (
                (wrong.token,),
                wrong.slug,
                f"{line.target} has {wrong.words} where the derivative {factor} belongs",
                1,
            )
        for when in ("[t+1]", "[t-1]"):
            late = {"[t+1]": "later", "[t-1]": "earlier"}[when]
            yield (
                (factor + when,),
                f"derivative-step-{late}",
                f"{line.target} takes the derivative {factor} one step {late}",
                2,
            )
        yield ("1-h²",), "derivative-of-h", f"{line.target} has 1-h² where {factor} belongs", 2
        yield ("1-h_prev²",), "derivative-of-h-prev", f"{line.target} has 1-h_prev² where {factor} belongs", 2
    if factor in cell.gates and f"{factor}[t+1]" in now:
        yield (f"{factor}[t+1]",), f"{factor}-step-later", f"{line.target} has {factor} of step t+1", 2
        yield (f"{factor}[t-1]",), f"{factor}-step-earlier", f"{line.target} has {factor} of step t-1", 2
    for unit in ("r[j+1]", "r[j-1]") if factor == "r" and "r[j+1]" in now else ():
        side = "next" if "+" in unit else "previous"
        yield (unit,), f"r-of-{side}-unit", f"{line.target} has r of the {side} unit, {unit}", 3
    for other in _quantities(cell, lines, line, now, factor):
        near = {factor, other} in (
            {"c", "c_prev"},
            {"h", "h_prev"},
            {"c", "tanh(c)"},
            {"z", "1-z"},
            {"dh", "dy"},
        )
        local = {factor, other} == {"dh", "dy"} and factor == "dh"
        says = (
            f"{line.target} takes only the local part dy of the gradient at h, not the whole dh"
            if local
            else ""
        )
        far = other.endswith("_next")  # a gradient that may be zero, and then says nothing
        yield (other,), "uses-local-dh" if local else "", says, 0 if local else 1 if near else 3 if far else 2


def _extras(cell: Reference, lines: Sequence[Line], line: Line, now: Params, *terms: Term) -> list[str]:
    """Return the names of quantities that the terms may be multiplied by."""
    if is_sum(line.target) or line.target in EDGES or any(term.after for term in terms):
        return []
    found = _quantities(cell, lines, line, now, "dlogits" if line.target == "dlogits" else "ones")
    # gradients are multiplied by gradients where terms should have been added: met at c alone
    return [*found, "dh"] if line.target == "dc" else found


def _quantities(cell: Reference, lines: Sequence[Line], line: Line, now: Params, like: str) -> list[str]:
    """Return the names of quantities that may stand where `like` stands."""
    if like in ("p", "onehot", "logits", "wanted", "dlogits"):
        return [
            name
            for name in ("p", "p(1-p)", "σ'(logits)", "1-p", "σ'(p)", "onehot", "logits")
            if name in now and name != like
        ]
    activations = {DERIVATIVE[kind](v): v for v, (kind, _) in cell.activations.items()}
    plain = [*cell.gates, *cell.activations, "1-z", "c", "c_prev", "h", "h_prev", "q", "a_m"]
    forward = [name for name in dict.fromkeys([*plain, *activations]) if name in now]
    names = [other.target for other in lines if not is_sum(other.target) and other.target not in EDGES]
    earlier = names[: names.index(line.target)] if line.target in names else names
    skip = ("dx", "dlogits")
    outside = {
        f for other in lines for term in other.terms for f in term.factors if re.fullmatch("dy|d._next", f)
    }
    if any(other.target == "dh" and len(other.terms) == 1 for other in lines):
        outside.discard("dy")  # it is dh itself
    gradients = [*sorted(outside), *(n for n in earlier if n not in skip)]
    if like in now or like == "ones":
        return [name for name in forward if name != like]
    return [name for name in dict.fromkeys(gradients) if name != like]


def _matrices(cell: Reference, after: str, now: Params) -> Iterator[tuple[str, str, str, int]]:
    name = after.removesuffix(".T")
    if name.startswith("U"):
        yield name, f"{slug_of(name)}-untransposed", f"{name} stands where its transpose belongs", 1
    for gate in cell.gates if "_" in name else ():
        other = f"{name[0]}_{gate}"
        if other != name:
            yield (
                f"{other}.T",
                f"{slug_of(other)}-for-{slug_of(name)}",
                f"{other} stands where {name} belongs",
                2,
            )
