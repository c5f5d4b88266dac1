"""JSON with any value at any place, written as text: much of it is more than Python's writer would write."""

import json
import random
from collections.abc import Iterator
from typing import Any

MARK = "\x01here\x01"

CANARY = "\x01canary\x01"
"""Stands for the path of a Python file that must not be run."""

EXTREME = [
    *("null", "true", "false", "0", "-1", "1", "2.5", "0.0", "-0.0", "1e3", "1e400", "-1e400", "1e-400"),
    *("NaN", "Infinity", "-Infinity", "9" * 5000, "-" + "9" * 5000, "0." + "3" * 5000),
    *(str(sign * (2**k + d)) for k in (31, 53, 63, 64, 100) for d in (-1, 0) for sign in (1, -1)),
    *('""', '" "', '"\\u0000"', '"a\\u0000b"', '"\\ud800"', '"\\udc80\\ud800"', '"\\u001b[31mred\\u0007"'),
    *(
        '"a\\nb\\rc"',
        '"\\u202e\\u2028"',
        '"é"',
        '"0"',
        '"1e3"',
        '"lstm"',
        '"gru"',
        '"coupled"',
        '"cpu"',
        '"x"',
    ),
    *('"/dev/zero"', '"/"', '"."', '"../../../etc/passwd"', '"~"', f'"{CANARY}"', f'"{CANARY}:coupled"'),
    *("[]", "{}", "[[]]", '{"": null}', "[1, 2, 3]", '["a"]', '{"step": 1}', "[null, true]"),
    '"' + "x" * 300 + '"',
    '"' + "x" * 1_000_000 + '"',
    "[" * 100_000 + "]" * 100_000,
    '{"a":' * 100_000 + "1" + "}" * 100_000,
    "[" * 900 + "]" * 900,
    "[" + "0, " * 200_000 + "0]",
    "{" + ", ".join(f'"k{k}": {k}' for k in range(20_000)) + "}",
    *("", "nul", "{", "]", '"', "'a'", "0x10", "01", "+1", ".5", "1.", "// no", "\x00", "\ufeff1"),
]


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value within; of long lists and objects the first and the last."""
    yield at
    keys = (
        list(value) if isinstance(value, dict) else list(range(len(value)) if isinstance(value, list) else ())
    )
    for key in keys if len(keys) < 80 else keys[:3] + keys[-2:]:
        yield from places(value[key], (*at, key))


def changed(rng: random.Random, value: Any) -> tuple[str, str]:
    """Return JSON text of `value` with one change, and what was changed."""
    at = rng.choice(list(places(value)))
    raw = rng.choice(EXTREME)
    if not at:
        return raw, f"the whole is {raw[:30]!r}"
    copy = json.loads(json.dumps(value))
    within = copy
    for key in at[:-1]:
        within = within[key]
    key, old = at[-1], within[at[-1]]
    how = rng.choice(
        ["other", "other", "other", "near", "near", "swapped", "gone", "twice", "unknown", "renamed"]
    )
    if how == "near":
        raw = json.dumps(_near(rng, old))
    elif how == "swapped":  # another value of the same file
        place = rng.choice(list(places(value)))
        other = value
        for step in place:
            other = other[step]
        raw = json.dumps(other)
    within[key] = MARK
    if how == "gone" or (how == "renamed" and isinstance(within, list)):
        del within[key]
    elif how == "renamed":
        del within[key]
        within[f"{key}_"], raw = MARK, json.dumps(old)
    elif isinstance(within, dict) and how in ("twice", "unknown"):
        name = (
            key if how == "twice" else rng.choice(["", "x", "__class__", "sha256", "a" * 10_000, "\x1b[2J"])
        )
        raw = f"{json.dumps(old)}, {json.dumps(name)}: {raw}"
    where = ".".join(str(step)[:30] for step in at)
    return json.dumps(copy).replace(json.dumps(MARK), raw), f"{where} {how} {raw[:60]!r}"


def _near(rng: random.Random, old: Any) -> Any:
    if isinstance(old, bool) or old is None:
        return rng.choice([0, 1, "", not old])
    if isinstance(old, int | float):
        return rng.choice(
            [old + 1, old - 1, -old, float(old), str(old), [old], old * 1000, old * 10**6, old / 2]
        )
    if isinstance(old, str):
        return rng.choice([old + " ", old[:-1], old.upper(), [old], old * 2, old.replace("a", "b")])
    if isinstance(old, list):
        return rng.choice([old[:-1], old[::-1], old * 2, [old], dict(enumerate(old[:50])), old[:1]])
    return rng.choice([list(old), [old], {}, {**old, **{f"{key}2": value for key, value in old.items()}}])
