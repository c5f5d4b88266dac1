"""What a trained model makes of a sequence before its output: an embedding."""

from dataclasses import replace

import numpy as np

from bptt.data.sequences import Sequences
from bptt.errors import DataError
from bptt.nets.model import Model
from bptt.training.labelling import outputs_of
from bptt.types import Array, Params


def embedded(model: Model, params: Params, sequences: Sequences) -> Array:
    """Return what the output reads of each sequence, (M, H), or (M, 2H) where both directions are read.

    It is the model's output with the identity for a matrix. DataError where a model tells a label a step.
    """
    if model.pool is None:
        raise DataError("a model that tells a label of each step has no one embedding of a sequence")
    width = model.stack.width
    own = {name: array for name, array in params.items() if not name.startswith("output.")}
    own["output.W"] = np.eye(width, dtype=np.float32)
    bare = replace(
        model,
        outputs=width,
        output_bias=False,
        tied=False,
        projection=None,
        loss="squared_error",
        class_weights=None,
        label_smoothing=0.0,
        precision="float32",
    )
    return outputs_of(bare, own, sequences)
