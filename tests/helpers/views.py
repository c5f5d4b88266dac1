"""Views for the page's tests: a small LSTM of random weights on a text, every number of it made here."""

import numpy as np

from bptt.looking.view import Layer, Property, Seen, View
from bptt.types import Array

TEXT = (
    'MARIA:\n\t"The bell rang twice," she said, "and nobody came." The lamp burned low.\n\n'
    'TOMAS:\nThen <b>who</b> was at the door? "A fox & two crows"; I saw them.\n\n'
)
"""Written for these tests: quotation marks, a tab, names in capitals, what HTML would take for its own."""

EQUATIONS = {
    "i": "i = sigmoid(a_i)",
    "f": "f = sigmoid(a_f)",
    "o": "o = sigmoid(a_o)",
    "g": "g = tanh(a_g)",
    "c": "c = f c_prev + i g",
    "h": "h = o tanh(c)",
}
STATES, GATES = ("h", "c"), ("i", "f", "o", "g")


def _terms(text: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for piece in text.replace("(", "( ").replace(")", " )").split(" "):
        name = piece.removesuffix("_prev")
        value: dict[str, object] = {"value": name, "before": name != piece} if name in EQUATIONS else {}
        found += [{"t": piece} | value, {"t": " "}]
    return found[:-1]


def lstm(steps: int, units: int, seed: int) -> dict[str, Array]:
    """Return the values (T, H) of an LSTM that reads TEXT again and again; unit 0 is on inside quotes."""
    rng = np.random.default_rng(seed)
    W, U = rng.normal(0, 1.1, (128, 4 * units)), rng.normal(0, 0.9 / np.sqrt(units), (units, 4 * units))
    W[:, units : 2 * units] += np.linspace(-1, 4, units)  # some units keep for long
    h, c = np.zeros(units), np.zeros(units)
    values = {name: np.zeros((steps, units), np.float32) for name in EQUATIONS}
    for t in range(steps):
        a = W[ord(TEXT[t % len(TEXT)]) % 128] + h @ U
        i, f, o = (1 / (1 + np.exp(-part)) for part in np.split(a[: 3 * units], 3))
        g = np.tanh(a[3 * units :])
        c = f * c + i * g
        h = o * np.tanh(c)
        for name, value in zip("ifogch", (i, f, o, g, c, h), strict=True):
            values[name][t] = value
    values["c"][:, 0] = 0.8 * np.abs(values["c"]).max() * _quotes(steps)
    return values


def _quotes(steps: int) -> Array:
    text = (TEXT * (steps // len(TEXT) + 1))[:steps]
    return np.array([text[: t + 1].count('"') % 2 for t in range(steps)], np.float32)


def layer(steps: int, units: int, lags: int, seed: int) -> Layer:
    """Return a layer whose gradient falls by lag at a rate of each path's own."""
    rng = np.random.default_rng(seed)
    values = lstm(steps, units, seed)
    paths = ["everything", "direct", "every gate", *(f"gate {gate}" for gate in GATES)]
    rates = np.array([0.95, 0.94, 0.8, 0.7, 0.75, 0.65, 0.6])
    lag = np.arange(lags + 1)
    norm = (
        rng.uniform(0.5, 2, (steps, 1, 1)) * rates ** lag[:, None] * rng.uniform(0.6, 1, (steps, lags + 1, 7))
    )
    norm[lag[None, :] > np.arange(steps)[:, None]] = np.nan
    return Layer(
        name="layer 0",
        units=units,
        reverse=False,
        values=[
            {
                "name": name,
                "kind": "state" if name in STATES else "gate",
                "lo": 0.0 if name in "ifo" else -float(np.quantile(np.abs(array), 0.995)),
                "hi": 1.0 if name in "ifo" else float(np.quantile(np.abs(array), 0.995)),
                "array": array,
                "summary": None,
            }
            for name, array in values.items()
        ],
        states=list(STATES),
        equations=[
            {"name": name, "text": text, "mathml": "", "terms": _terms(text)}
            for name, text in EQUATIONS.items()
        ],
        constants={},
        remembers={state: rng.exponential(20, units).astype(np.float32) for state in STATES},
        remembers_by=dict.fromkeys(STATES, "direct"),
        remembers_most=200,
        follows=rng.uniform(-1, 1, (2, units)).astype(np.float32),
        follows_of="c",
        gradient={
            "paths": [{"name": name, "words": f"{name} alone"} for name in paths],
            "states": list(STATES),
            "lags": lags,
            "norm": norm.astype(np.float32),
            "inputs": norm[:, :, 0].astype(np.float32) / 3,
        },
        chunk=64,
    )


def seen(steps: int = 300, units: int = 12, lags: int = 40, seed: int = 3, name: str = "a run") -> Seen:
    """Return what is seen of one such network."""
    rng = np.random.default_rng(seed)
    text = (TEXT * (steps // len(TEXT) + 2))[: steps + 1]
    vocabulary = sorted(set(text))
    p = np.sort(rng.dirichlet(np.full(len(vocabulary), 0.1), steps), axis=1)[:, ::-1][:, :8]
    guessed = np.array([rng.permutation(len(vocabulary))[:8] for _ in range(steps)])
    newline = np.array([t - text.rfind("\n", 0, t + 1) for t in range(steps)], np.float32)
    return Seen(
        name=name,
        about={"cell": "lstm", "units": str(units), "corpus": "<a text>", "loss": "1.41 nats per character"},
        kind="text",
        tokens=list(text[:steps]),
        truth=list(text[1:]),
        loss=rng.exponential(1.2, steps).astype(np.float32),
        guesses={"tokens": guessed, "p": p.astype(np.float32)},
        vocabulary=vocabulary,
        layers=[layer(steps, units, lags, seed)],
        properties=[
            Property("inside quotes", "inside quotation marks", "yes/no", _quotes(steps)),
            Property("column", "characters since the newline", "number", newline),
        ],
        starts=np.array([0]),
    )


def view(*runs: Seen, title: str = "What an LSTM remembers") -> View:
    """Return a view of one or two of these."""
    return View(title, list(runs or (seen(),)))
