"""A trained model, as its run's folder holds it."""

import math
import os
import warnings
from dataclasses import asdict, dataclass, replace
from typing import Any

from bptt.data.tasks import Verdict
from bptt.data.text import Corpus, Vocabulary, load
from bptt.data.text.files import LIMIT, TooLongError, read
from bptt.data.text.tokenizers import tokenizer
from bptt.errors import BpttWarning, DataError
from bptt.kernels.backends import has_bfloat16
from bptt.nets import evaluate
from bptt.nets.model import Model
from bptt.training.experiment import Experiment, digest
from bptt.training.runs import format as run_format
from bptt.training.runs.folder import Run
from bptt.training.settings import Settings
from bptt.types import Params


@dataclass(frozen=True)
class Score:
    """How well a text is predicted.

    Attributes
    ----------
    text : str
        Which text.
    tokens : int
        How many were predicted.
    start : str
        Where the state comes from.
    nats : float
        Per token.
    """

    text: str
    tokens: int
    start: str
    nats: float

    @property
    def bits(self) -> float:
        """Bits per token."""
        return self.nats / math.log(2)

    @property
    def perplexity(self) -> float:
        """exp(nats): as if so many tokens were equally likely."""
        return math.exp(min(self.nats, 700))

    def to_json(self) -> dict[str, Any]:
        """Return the score and its other units as JSON values."""
        return {**asdict(self), "bits": self.bits, "perplexity": self.perplexity}


@dataclass(frozen=True)
class Trained:
    """A model with its parameters and vocabulary.

    Attributes
    ----------
    model : Model
    params : dict of arrays
    vocabulary : Vocabulary or None
    settings : Settings
    step : int
        Training steps behind the parameters.
    sha256 : str or None
        Of the texts that it was trained and validated on.
    longest : int
        The most bytes that they can have had.
    """

    model: Model
    params: Params
    vocabulary: Vocabulary | None
    settings: Settings
    step: int
    sha256: str | None
    longest: int = LIMIT

    @classmethod
    def load(cls, folder: str | os.PathLike[str], name: str = "best") -> "Trained":
        """Read a run's model.

        Parameters
        ----------
        folder : path
        name : "best" or "last"
            Which checkpoint; where there is no best one yet, the last is taken.

        Raises
        ------
        RunError
            If there is no run, or a file of it cannot be read.
        """
        run = Run.open(folder)
        kept = run.describe()
        model = kept.model
        if model.precision == "bfloat16" and not has_bfloat16():
            model = replace(model, precision="float32")  # the parameters are: they can be read anywhere
        if name == "best" and not run.has("best.safetensors"):
            name = "last"
        checkpoint = run.load(name, model.shapes)
        vocabulary = run.vocabulary_of(kept)
        step = run_format.convert(checkpoint.values.get("step", 0), run_format.Count, "step")
        params = {key: checkpoint.arrays["params"][key] for key in model.shapes}
        count = sum(kept.facts.get(f"{part}_tokens", LIMIT) for part in ("train", "valid"))
        most = tokenizer(vocabulary.kind if vocabulary else "char").longest
        longest = min(LIMIT, count * most + (1 << 20))
        return cls(model, params, vocabulary, kept.settings, step, kept.facts.get("sha256"), longest)

    def scores(self, path: str | None = None) -> list[Score]:
        """Return how well the model predicts its validation (and test) text, or the text at `path`.

        Raises
        ------
        DataError
            If the text cannot be read, or holds a character that the model does not know.
        """
        if self.vocabulary is None:
            raise DataError(f"a model of the task {self.settings.data} reads no text")
        kind = self.vocabulary.kind
        if path is not None:
            texts = {path: read(path, kind).data}
        else:
            corpus = self.corpus()
            if digest(corpus) != self.sha256:
                raise self._changed()
            texts = {f"{self.settings.data}, validation": corpus.valid}
            if corpus.test is not None:
                texts[f"{self.settings.data}, test"] = corpus.test
        scores = []
        for name, text in texts.items():
            ids = self.vocabulary.encode(text, compact=True)
            if len(ids) < 2:
                raise DataError(
                    f"{name}: there is nothing to predict in {len(ids)} tokens; give a longer text"
                )
            window = f"cold, windows of {evaluate.WINDOW}"
            for start, measure in ((window, evaluate.cold), ("carried through", evaluate.carried)):
                scores.append(Score(name, len(ids) - 1, start, measure(self.model, self.params, ids)))
        return scores

    def corpus(self) -> Corpus:
        """Return what the text that it was trained on is now.

        A run may be anybody's: on its word nothing is fetched, no more is read than its text can have, and
        nothing is said of what lies in a folder.

        Raises
        ------
        DataError
            If it is not there, or cannot be that text.
        """
        s, kind = self.settings, self.vocabulary.kind if self.vocabulary else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BpttWarning)
            try:
                return load(s.data, valid=s.valid, kind=kind, fetch=False, limit=self.longest)
            except TooLongError:
                raise self._changed() from None

    def _changed(self) -> DataError:
        return DataError(
            f"{self.settings.data} is no longer the text that the model was trained on, so what it "
            "has to validate may have been trained on: give the PATH of a text to measure"
        )

    def verdict(self) -> Verdict:
        """Return whether the model solves the task it was trained on."""
        verdict = Experiment.of(self.settings).verdict(self.params)
        if verdict is None:
            raise DataError(f"{self.settings.data} is a text: it has scores and no verdict")
        return verdict
