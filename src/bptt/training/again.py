"""Weights used again: a new run that begins with another's.

A new run has the sizes, the cell, the biases and the tokens of the run whose weights it begins with; its
data, optimiser, rate and schedule are its own. Tokens that are new to the weights follow those that they
know, and their rows of the embedding (of the first W, where input is one-hot) and of the output are drawn by
the new run's seed.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bptt.data.text.files import shown
from bptt.data.text.tokenizers import END
from bptt.errors import ConfigError
from bptt.nets.model import Model
from bptt.training import setting
from bptt.training.experiment import Experiment
from bptt.training.presets import PRESETS
from bptt.training.runs.folder import Run
from bptt.training.runs.format import PYTHON, note
from bptt.training.settings import SETTINGS, Settings
from bptt.training.trained import Trained
from bptt.types import Params
from bptt.zoo import get, record

SIZES = ("cell", "hidden", "layers", "embedding", "tied", "projection", "bias", "output_bias", "learn_start")
"""The settings that decide which arrays a model has."""

KEPT = ("zoneout", "zoneout_cell")
"""Those by which the same arrays mean another function; they can be given anew."""

DECIDE = ("lines", "documents", "text", "task")
"""Those that decide the job."""

READS = tuple(
    name
    for name, declared in SETTINGS.items()
    if declared.part == "data" and name not in ("data", "valid", "tokens", "vocabulary")
)
"""Those that say how the data lie in their files, and what is learnt of them."""


def settings_from(weights: Trained, preset: str | None = None, **asked: Any) -> Settings:
    """Return the settings of a new run that begins with trained weights.

    Parameters
    ----------
    weights : Trained
    preset : str, optional
    **asked
        As :meth:`bptt.Settings.of` takes them. Without ``data``, and a preset that has them, they are those
        of the weights.

    Raises
    ------
    ConfigError
        For what `Settings.of` refuses, and for a size, a cell or a kind of token that is not the weights'.

    Examples
    --------
    >>> import tempfile, numpy as np, bptt
    >>> model = bptt.Model(inputs=4, outputs=4, hidden=8)
    >>> vocabulary = bptt.text.Vocabulary.build("hello", "char")
    >>> folder = tempfile.mkdtemp()
    >>> bptt.save_run(folder, model, model.init(np.random.default_rng(0)), vocabulary).name != ""
    True
    >>> weights = bptt.Trained.load(folder)
    >>> settings = bptt.settings_from(weights, data="pydoc", lr=1e-3, steps=100)
    >>> settings.hidden, settings.embedding, settings.lr  # and bptt.Trainer.start(settings, DIR, weights)
    (8, 0, 0.001)
    """
    own = weights.settings
    kept = {name: getattr(own, name) for name in SIZES}
    if weights.vocabulary is not None:
        kept["tokens"] = weights.vocabulary.kind
    for name, has in kept.items():
        given = asked.pop(name, None)
        if given is None or given == has or (name == "cell" and record.same(get(has), get(given))):
            continue
        gave, had = (get(x).name if name == "cell" else setting.shown(x) for x in (given, has))
        raise ConfigError(
            f"{SETTINGS[name].option} {gave} does not fit the weights of {weights.source}, which have {had}: "
            "leave it out"
        )
    is_labels = own.job == "labels"  # for which --text is a column of another name
    if not {*DECIDE} - ({"text"} if is_labels else set()) & asked.keys():  # the data lie as the weights' do
        defaults = {name: SETTINGS[name].default for name in READS}
        theirs = {name: getattr(own, name) for name in READS if own.means(name)}
        asked = {name: value for name, value in theirs.items() if value != defaults[name]} | asked
    asked = {name: p for name in KEPT if (p := getattr(own, name))} | asked
    if "data" not in asked and "data" not in (PRESETS[preset].settings if preset in PRESETS else {}):
        if own.data == PYTHON:
            raise ConfigError(f"{weights.source} was saved from Python and names no data: give a PATH")
        data = Run(weights.source).place_of(own.data)
        asked = {"data": data, "valid": own.valid, "vocabulary": own.vocabulary} | asked
    return replace(Settings.of(preset, **asked, cell=own.cell), **kept)


def begun_with(weights: Trained, experiment: Experiment, drawn: Params) -> Params:
    """Return a new run's first parameters: those of `weights`, and drawn ones where tokens are new.

    ConfigError if the data ask for another model than the weights are of.
    """
    model, grows = experiment.model, _grows(experiment.model)
    kinds = (weights.model.loss, weights.model.token_inputs, weights.vocabulary is None)
    fits = kinds == (model.loss, model.token_inputs, experiment.vocabulary is None)
    for name, array in drawn.items():
        own = weights.params[name].shape if fits and name in weights.params else ()
        same = len(own) == array.ndim and all(
            had == has or (axis == grows.get(name) and experiment.vocabulary is not None and had < has)
            for axis, (had, has) in enumerate(zip(own, array.shape, strict=True))
        )
        if not same:
            raise ConfigError(
                f"{experiment.settings.data} asks for another model than that of {weights.source}: "
                f"{name} would not fit"
            )
        array[tuple(map(slice, own))] = weights.params[name]
    theirs, own_names = (_names(facts) for facts in (weights.facts, experiment.facts))
    known = [*theirs.values()]  # in the order in which they are read, whatever columns are called
    if odd := [name for k, (name, values) in enumerate(own_names.items()) if known[k : k + 1] != [values]]:
        raise ConfigError(
            f"{experiment.settings.data}: column {odd[0]} has other names than {weights.source} was trained "
            "on, and its weights belong to these: take the same names, or a new run"
        )
    if experiment.vocabulary is not None and weights.vocabulary is not None:
        _tell_new(experiment.vocabulary.tokens[len(weights.vocabulary) :], experiment.vocabulary.unit)
    return drawn


def _names(facts: dict[str, Any]) -> dict[str, list[str]]:
    """Return the names in each column that has names."""
    columns = facts.get("columns") or {}
    return {name: coded["values"] for name, coded in columns.items() if "values" in coded}


def _grows(model: Model) -> dict[str, int]:
    """Return the axis of each parameter that is as long as the vocabulary."""
    first = {} if model.embedding else dict.fromkeys(model.input.folds, 0)
    return {"embedding": 0, "output.W": 1, "output.b": 0} | first


def _tell_new(tokens: Sequence[str], unit: str) -> None:
    if tokens:
        some = ", ".join(
            shown(token) if token.strip() else ascii(token) if token != END else "what ends a sequence"
            for token in tokens[:10]
        )
        more = " and others" if len(tokens) > 10 else ""
        count = f"{len(tokens):,} {unit}{'s are' if len(tokens) > 1 else ' is'}"
        note(f"{count} new to the weights, and begin with numbers drawn by the seed: {some}{more}")
