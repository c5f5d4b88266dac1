"""A run to a file, and a file to a run."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from bptt.cells import Cell
from bptt.errors import ConfigError, ShapeError
from bptt.exchange import torch_file
from bptt.exchange.content import Content, described
from bptt.exchange.formats import format_of
from bptt.exchange.state_dict import Told
from bptt.exchange.vocabularies import read_vocabulary
from bptt.nets.model import Model
from bptt.nets.pool import PoolName
from bptt.training.runs.format import note
from bptt.training.saving import keep
from bptt.training.trained import Trained


def write(content: Content | Trained, path: str | os.PathLike[str], to: str | None = None) -> None:
    """Write a model as another system's file, which is replaced in one piece.

    Parameters
    ----------
    content : Content or Trained
    path : path
    to : "torch", "onnx" or "keras", optional
        Otherwise what the name of the file ends in says it.

    Raises
    ------
    ConfigError
        If the system cannot hold the model, or the library that writes its files is not installed.
    RunError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile, numpy as np, bptt
    >>> model = bptt.Model(inputs=3, outputs=3, hidden=4)
    >>> content = Content(model, model.init(np.random.default_rng(0)), None, {})
    >>> write(content, file := tempfile.mkdtemp() + "/model.safetensors")
    >>> read(file).model.shapes == model.shapes
    True
    """
    known = format_of(to, path, "to")
    whole = Content.of(content) if isinstance(content, Trained) else content.whole()
    known.module.write(whole, Path(path))


def read(
    path: str | os.PathLike[str],
    origin: str | None = None,
    *,
    vocabulary: str | os.PathLike[str] | None = None,
    cell: str | Cell | None = None,
    pool: PoolName | None = None,
    numbers: bool = False,
) -> Content:
    """Read a model from another system's file; nothing in it is unpickled or run.

    Parameters
    ----------
    path : path
    origin : "torch", "onnx" or "keras", optional
        Whose file it is; otherwise what its name ends in says it.
    vocabulary : path, optional
        A file of tokens, where there are none in it: a list or an object in JSON, or a token a line.
    cell : str or Cell, optional
        What the state of a PyTorch module does not say: by default an LSTM, a GRU or an RNN of tanh, by the
        number of gates.
    pool : "last" or "mean", optional
        Nor does it say whether one thing is told of each sequence, and how.
    numbers : bool
        Nor whether a module without an embedding reads numbers: where it has as many inputs as outputs, they
        are taken for tokens.

    Returns
    -------
    Content
        ``model``, ``params``, ``vocabulary`` and ``notes``.

    Raises
    ------
    BpttError
        If it cannot be read, is damaged, or holds what no model of bptt is.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from safetensors.numpy import save_file
    >>> state = {"lstm.weight_ih_l0": np.ones((8, 5)), "lstm.weight_hh_l0": np.ones((8, 2))}
    >>> save_file(state | {"fc.weight": np.ones((5, 2))}, file := tempfile.mkdtemp() + "/a.safetensors")
    >>> model = read(file).model
    >>> model.stack.cell.name, model.hidden, model.token_inputs, model.bias
    ('lstm', 2, True, 'none')
    """
    known = format_of(origin, path, "--from")
    if cell is None and pool is None and not numbers:
        content = known.module.read(Path(path))
    elif known.name == "torch":
        content = torch_file.read(Path(path), Told(cell, pool, numbers))
    else:
        said = f"{known.title}'s files say it themselves"
        raise ConfigError(f"--cell, --pool and --numbers are for the state of a PyTorch module; {said}")
    if vocabulary is not None:
        content = replace(content, vocabulary=read_vocabulary(Path(vocabulary)))
    model, tokens = content.model, content.vocabulary
    if tokens is not None and (not model.token_inputs or len(tokens) != model.inputs):
        raise ShapeError(
            f"{path}: a vocabulary of {len(tokens):,} tokens, and the model reads {model.inputs:,} "
            f"{'tokens' if model.token_inputs else 'numbers'}"
        )
    return content


def export_run(
    folder: str | os.PathLike[str],
    to: str | None = None,
    out: str | os.PathLike[str] | None = None,
    *,
    last: bool = False,
) -> Path:
    """Write a run's model as another system's file, and return its path.

    Parameters
    ----------
    folder : path
        The run's.
    to : "torch", "onnx" or "keras", optional
        Otherwise what the name of `out` ends in says it.
    out : path, optional
        By default it has the run's name, lies in the current folder, and must not be there.
    last : bool
        Whether the last checkpoint is taken, and not the best.

    Raises
    ------
    RunError
        If there is no run, or the file cannot be written.
    ConfigError
        As `write`.

    Examples
    --------
    >>> import tempfile, numpy as np, bptt
    >>> folder = tempfile.mkdtemp()
    >>> model = bptt.Model(inputs=3, outputs=3, hidden=4, cell="lstm-coupled")
    >>> run = bptt.save_run(folder + "/run", model, model.init(np.random.default_rng(0)))
    >>> file = export_run(run, out=folder + "/model.safetensors")  # an LSTM, as PyTorch has it
    >>> again = bptt.Trained.load(import_run(file, folder=folder + "/again"))
    >>> again.model.stack.cell.name
    'lstm-coupled'
    """
    known = format_of(to, out, "--to")
    trained = Trained.load(folder, "last" if last else "best")
    content = Content.of(trained)
    if out is None:
        out = Path(content.notes["source"] + known.suffixes[0])
        if os.path.lexists(out):
            raise ConfigError(f"{out} is there already: --out FILE names another, or this one to replace it")
    known.module.write(content, Path(out))
    if beside := _beside(trained):
        note(f"{beside} in the notes of {out}, and not among its weights; bptt import reads them again")
    return Path(out)


def _beside(trained: Trained) -> str | None:
    """Return what stands between a run's data and the numbers of its model, None where there is nothing."""
    if trained.settings.job == "series":
        return "how series are scaled, and the linear forecast that the model's is added to, are"
    return (
        "how columns become numbers, and the names of classes, are" if trained.facts.get("columns") else None
    )


def import_run(
    file: str | os.PathLike[str],
    origin: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    **told: Any,
) -> Path:
    """Keep the model in another system's file as a run, and return its folder.

    Parameters
    ----------
    file : path
    origin : "torch", "onnx" or "keras", optional
        Whose file it is; otherwise what its name ends in says it.
    folder : path, optional
        A new one, or one without a run; by default the first of ``bptt-runs/NAME-1``, ... that is not there.
    **told
        ``vocabulary``, ``cell``, ``pool``, ``numbers``, as `read` takes them.

    Raises
    ------
    BpttError
        As `read`; or if the folder cannot be written.

    Examples
    --------
    See `export_run`.
    """
    return keep_content(read(file, origin, **told), file, folder)


def keep_content(
    content: Content, file: str | os.PathLike[str], folder: str | os.PathLike[str] | None = None
) -> Path:
    """Keep what a file holds as a run, with the settings that the file notes where they are the model's."""
    found = described(content.notes)
    if found is not None and not _same(found.model, content.model):
        found = None
    vocabulary = content.vocabulary
    if found is None and vocabulary is not None and not writes(content.model):
        note(f"{file}: its vocabulary is left out: the model tells something of texts, and writes none")
        vocabulary = None
    return keep(
        folder,
        content.model,
        content.params,
        vocabulary,
        step=content.step,
        settings=found.settings if found else None,
        facts=found.facts if found else None,
        name=Path(file).name.partition(".")[0] or "run",
    )


def writes(model: Model) -> bool:
    """Return whether a model gives the next of the tokens that it reads."""
    one_way = model.pool is None and not model.bidirectional
    return model.token_inputs and model.inputs == model.outputs and one_way


def _same(noted: Model, model: Model) -> bool:
    """Return whether two models are one, but for a cell and its biases that another system has otherwise."""
    return replace(noted, cell=model.cell, bias=model.bias, tied=model.tied) == model
