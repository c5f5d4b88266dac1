"""A trained model, as its run's folder holds it."""

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bptt.data.conditions import Conditions
from bptt.data.lists import Form, Texts
from bptt.data.tables import Given, table_of
from bptt.data.tasks import Verdict
from bptt.data.text import Corpus, Vocabulary, load
from bptt.data.text.files import LIMIT, named, read
from bptt.data.text.packed import TooLongError
from bptt.data.text.tokenizers import tokenizer
from bptt.errors import BpttWarning, DataError
from bptt.kernels.backends import has_bfloat16
from bptt.nets import evaluate
from bptt.nets.model import Model
from bptt.nets.writing import Written
from bptt.shown import Shown
from bptt.training import listed
from bptt.training.embedding import embedded
from bptt.training.jobs import experiment
from bptt.training.jobs.labels import held_out_score, labeller_of
from bptt.training.jobs.lines import form_of
from bptt.training.jobs.stream import digest
from bptt.training.labelling import LabelScore, Predictions
from bptt.training.runs import format as run_format
from bptt.training.runs.folder import Run
from bptt.training.runs.format import PYTHON
from bptt.training.scoring import LineScore, Score
from bptt.training.settings import WORDS, Settings
from bptt.types import Array, Params


@dataclass(frozen=True, repr=False)
class Trained(Shown, html="bptt.training.shown:trained_html", text="bptt.training.shown:trained_text"):
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
    facts : dict
        What is known of the data, as the run's configuration has it.
    source : str
        Where it comes from: its run's folder.
    """

    model: Model
    params: Params
    vocabulary: Vocabulary | None
    settings: Settings
    step: int
    sha256: str | None
    longest: int = LIMIT
    facts: dict[str, Any] = field(default_factory=dict)
    source: str = "the model"

    @classmethod
    def load(
        cls, folder: str | os.PathLike[str], name: str = "best", *, encoding: str | None = None
    ) -> "Trained":
        """Read a run's model.

        Parameters
        ----------
        folder : path
        name : "best" or "last"
            Which checkpoint; where there is no best one yet, the last is taken.
        encoding : str, optional
            Of files to come that are not UTF-8; by default that of the run's data.

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
        params = {key: checkpoint.weights[key] for key in model.shapes}
        count = sum(kept.facts.get(f"{part}_tokens", LIMIT) for part in ("train", "valid"))
        most = tokenizer(vocabulary.kind if vocabulary else "char").longest
        longest = min(LIMIT, count * most + (1 << 20))
        if kept.settings.text is not None or kept.settings.documents is not None:
            longest = LIMIT  # other columns, and what stands between documents, may take more than the texts
        facts, own = kept.facts, replace(kept.settings, encoding=encoding or kept.settings.encoding)
        return cls(model, params, vocabulary, own, step, facts.get("sha256"), longest, facts, str(folder))

    def expect_text(self, does: str) -> Vocabulary:
        """Return the vocabulary; DataError unless the model is one of texts."""
        job = self.settings.job
        if self.vocabulary is not None and job in ("stream", "lines"):
            return self.vocabulary
        unlike = {"generated": f"of the task {self.settings.data}", "stream": "without a vocabulary"}
        raise DataError(f"a model {unlike.get(job, f'of {WORDS[job]}')} {does} no text")

    def expect_data(self, kind: str) -> None:
        """Raise a DataError where the run was made of weights alone, and so names no data of this kind."""
        if self.settings.data == PYTHON:
            raise DataError(f"{self.source} was saved from Python and names no {kind}: give the PATH of one")

    def scores(self, path: str | None = None) -> list[Score]:
        """Return how well the model predicts its validation (and test) text, or the text at `path`.

        Raises
        ------
        DataError
            If the text cannot be read, or holds a character that the model does not know.
        """
        vocabulary = self.expect_text("reads")
        if self.settings.job == "lines":
            return listed.scores(self, path)
        scores, window = [], f"cold, windows of {evaluate.WINDOW}"
        for name, ids in self.ids_of(path).items():
            for start, measure in ((window, evaluate.cold), ("carried through", evaluate.carried)):
                nats = measure(self.model, self.params, ids)
                scores.append(Score.of(name, start, nats, ids, vocabulary))
        return scores

    def ids_of(self, path: str | None = None) -> dict[str, Array]:
        """Return the tokens of its validation (and test) text, or of the text at `path`, by name.

        DataError as of `scores`.
        """
        vocabulary = self.expect_text("reads")
        if path is not None:
            texts = {path: read(path, vocabulary.kind, encoding=self.settings.encoding).data}
        else:
            corpus = self.corpus()
            if digest(corpus) != self.sha256:
                raise self.changed()
            texts = {f"{named(self.settings.data)}, validation": corpus.valid}
            if corpus.test is not None:
                texts[f"{named(self.settings.data)}, test"] = corpus.test
        found = {name: vocabulary.encode(text, compact=True) for name, text in texts.items()}
        for name, ids in found.items():
            if len(ids) < 2:
                raise DataError(
                    f"{name}: there is nothing to predict in {len(ids)} tokens; give a longer text"
                )
        return found

    @property
    def form(self) -> Form:
        """How the texts that it was trained on lie in their file."""
        return form_of(self.settings)

    @property
    def conditions(self) -> Conditions:
        """What its sequences start from."""
        return Conditions.from_json(self.facts.get("columns") if self.settings.job == "lines" else None)

    def texts_of(self, path: str, column: str | None = None) -> Texts:
        """Return what `score_lines` takes: a file's sequences as the model has them, or a table's column.

        DataError if it cannot be read, or the model reads no text.
        """
        vocabulary = self.expect_text("reads")
        form = self.form if column is None else replace(self.form, documents=None, text=column)
        return form.read(path, vocabulary.kind)

    def score_lines(
        self,
        texts: Sequence[str | bytes] | Texts,
        *,
        conditions: Mapping[str, Sequence[str]] | None = None,
        skip_unknown: bool = False,
        tokens: bool = False,
        words: bool = False,
    ) -> Iterator[LineScore]:
        """Yield how likely the model finds each of some texts, in their order.

        Each is read by itself, from a cold state, after the token that sampling starts with. Its end counts:
        the token that ends sequences, or the newline of a model of one long text.

        Parameters
        ----------
        texts : M str, or bytes
        conditions : dict of M str, optional
            The columns that each starts from, for a model that was trained with them.
        skip_unknown : bool
            Leave out characters that the model does not know, and count them; of words, do not count those
            that are `<unk>`.
        tokens, words : bool
            Give each token's loss, too, or each word's: that of its tokens, and of the white space before it.

        Yields
        ------
        LineScore
            ``line``, ``text``, ``tokens`` (how many count), ``total`` and ``mean`` (nats), ``unknown``, and
            ``each``: (token, loss), or (word, loss), where they are asked for; the end is "", or the newline.

        Raises
        ------
        DataError
            A character or a condition is not known, or the model reads no text.

        Examples
        --------
        >>> import tempfile, bptt
        >>> folder = tempfile.mkdtemp()
        >>> settings = bptt.Settings.of(hidden=8, steps=2, batch=4, chunk=8)
        >>> _ = list(bptt.Trainer.start(settings, folder + "/run").reports())
        >>> [score.tokens for score in bptt.Trained.load(folder + "/run").score_lines(["one", "two words"])]
        [4, 10]
        """
        self.expect_text("reads")
        if not isinstance(texts, Texts):
            texts = listed.together(texts, conditions or {})
        return listed.score(self, texts, skip_unknown=skip_unknown, tokens=tokens, words=words)

    def write(
        self,
        count: int = 1,
        *,
        seed: int = 0,
        conditions: Mapping[str, str] | None = None,
        new: bool = False,
        **how: Any,
    ) -> Iterator[Written]:
        """Yield texts that the model writes: each until its end, where it has learnt ends.

        Parameters
        ----------
        count : int
            How many; the k-th one is the same however many there are.
        seed : int
        conditions : dict of str, optional
            What each starts from, for a model that was trained with conditions.
        new : bool
            Leave out what was trained on, which is read again; and come to an end where hardly any is left.
        **how
            ``prime``, ``length`` (the most tokens of each), ``temperature``, ``top_k``, ``top_p``, and
            ``stop``, a text, or several, before which each ends.

        Yields
        ------
        Written
            ``text``, what follows the prime, and ``ended``, whether it came to its end.

        Raises
        ------
        BpttError
            A condition is missing or not known, an option means nothing, the model writes no text, or what it
            was trained on has changed.
        """
        self.expect_text("writes")
        return listed.write(self, count, seed, conditions or {}, new, **how)

    def predict(self, table: Given, *, skip_unknown: bool = False, states: bool = False) -> Predictions:
        r"""Tell the labels of a table's sequences.

        Parameters
        ----------
        table : path, dict of columns, or a data frame
            With the columns that the model reads; that of the labels is not needed.
        skip_unknown : bool
            Leave out characters that the model does not know, and count them.
        states : bool
            Give what the output reads of each sequence, too: an embedding.

        Raises
        ------
        DataError
            If the table cannot be read, or holds what the model does not know.

        Examples
        --------
        >>> import tempfile, bptt
        >>> folder = tempfile.mkdtemp()
        >>> with open(folder + "/a.csv", "w") as file:
        ...     _ = file.write("word,long\n" + "a,no\nbbb,yes\nb,no\naaa,yes\n" * 5)
        >>> columns = {"task": "classify", "text": "word", "label": "long"}
        >>> settings = bptt.Settings.of(data=folder + "/a.csv", steps=40, hidden=8, **columns)
        >>> _ = list(bptt.Trainer.start(settings, folder + "/run").reports())
        >>> told = bptt.Trained.load(folder + "/run").predict({"word": ["b", "bba"]})
        >>> told.labels, told.classes, told.probabilities.shape
        (['no', 'yes'], ['no', 'yes'], (2, 2))
        """
        labeller = labeller_of(self)
        told = labeller.predict(table_of(table), skip_unknown=skip_unknown)
        if states:
            sequences = labeller.coding.sequences(told.labelled, skip_unknown=skip_unknown)
            told = replace(told, states=embedded(self.model, self.params, sequences))
        return told

    def label_score(self, path: Given | None = None, *, skip_unknown: bool = False) -> LabelScore:
        """Return how well labels are told, of the sequences to validate on, or of a table as in `predict`.

        DataError if the table cannot be read, or is no longer what was trained on.
        """
        if path is not None:
            return labeller_of(self).score(table_of(path), skip_unknown=skip_unknown)
        self.expect_data("table")
        return held_out_score(self)

    def corpus(self) -> Corpus:
        """Return what the text that it was trained on is now.

        A run may be anybody's: on its word nothing is fetched, no more read than it can have, no folder told.

        Raises
        ------
        DataError
            If it is not there, or cannot be that text.
        """
        self.expect_data("text")
        s, kind = self.settings, self.vocabulary.kind if self.vocabulary else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BpttWarning)
            try:
                place, limit = Run(self.source).place_of(s.data), self.longest
                return load(place, valid=s.valid, kind=kind, fetch=False, limit=limit, encoding=s.encoding)
            except TooLongError:
                raise self.changed() from None

    def changed(self) -> DataError:
        """Return the error that its text is another now."""
        return DataError(
            f"{named(self.settings.data)} is no longer the text that the model was trained on, so what it "
            "has to validate may have been trained on: give the PATH of a text to measure"
        )

    def verdict(self) -> Verdict:
        """Return whether the model solves the task it was trained on."""
        if self.settings.data == PYTHON:
            raise DataError(f"{self.source} was saved from Python and names no task to be solved")
        verdict = experiment(self.settings).verdict(self.params)
        if verdict is None:
            raise DataError(f"{self.settings.data} is a text: it has scores and no verdict")
        return verdict
