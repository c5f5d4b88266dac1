"""Sentences with a word a line and its labels behind it, a blank line between two: CoNLL's form."""

from collections import Counter
from dataclasses import dataclass

from bptt.data.tables.forms import Added, Columns, Content, Form, in_text
from bptt.errors import DataError

SENTENCE = "sentence"
"""The column that says which sentence a word is of."""

UNIVERSAL = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
"""The columns of CoNLL-U; others are called 1, 2, ..."""


@dataclass(frozen=True)
class Conll(Form):
    """A word a line; lines are written again as they were."""

    lines: list[str]
    places: list[int]
    is_universal: bool = False

    def written(self, columns: Columns, added: Added) -> bytes:
        """Return the sentences, with a value behind each word for each column that is added.

        CoNLL-U has ten columns and no more: there values are added to the last, MISC, as Prediction=NOUN.
        """
        lines = list(self.lines)
        for k, place in enumerate(self.places):
            if self.is_universal:
                *others, misc = lines[place - 1].rstrip().split("\t")
                own = [
                    f"{name.capitalize()}={_in_misc(in_text(values[k]))}" for name, values in added.items()
                ]
                lines[place - 1] = "\t".join([*others, "|".join([misc, *own] if misc != "_" else own)])
                continue
            between = "\t" if "\t" in lines[place - 1] or " " not in lines[place - 1].strip() else " "
            parts = [lines[place - 1].rstrip(), *(in_text(values[k]) for values in added.values())]
            lines[place - 1] = between.join(parts)
        return ("\n".join(lines).rstrip("\n") + "\n").encode()


def _in_misc(value: str) -> str:
    r"""Return a value as MISC holds it, where | stands between two: as \\p."""
    return value.replace("\\", "\\\\").replace("|", "\\p")


def read(text: str, name: str) -> Content:
    """Return the words of sentences, a row each; the column `SENTENCE` says of which.

    Comments (# ...), the marks of documents and, of CoNLL-U, words that are written as one with others are
    passed over.
    """
    lines = text.split("\n")
    split = [line.split("\t") if "\t" in line else line.split() for line in lines]
    counts = Counter(len(row) for row, line in zip(split, lines, strict=True) if row and line[0] != "#")
    if not counts:
        raise DataError(f"{name}: has no words")
    width = counts.most_common(1)[0][0]
    is_tabbed = 2 * sum("\t" in line for line in lines) > counts[width]
    names = UNIVERSAL if width == len(UNIVERSAL) else tuple(str(k + 1) for k in range(width))
    rows: list[tuple[str, ...]] = []
    places: list[int] = []
    sentence, ended = 0, True
    for place, (row, line) in enumerate(zip(split, lines, strict=True), 1):
        if not line.strip():
            ended = True
        elif line[0] == "#" and (len(row) != width or (is_tabbed and "\t" not in line)):
            continue
        elif len(row) != width:
            raise DataError(f"{name}: line {place} has {len(row)} values, others have {width}")
        elif row[0] != "-DOCSTART-" and not (names is UNIVERSAL and not row[0].isdigit()):
            sentence, ended = sentence + ended, False
            rows.append((str(sentence), *(value.strip() for value in row)))
            places.append(place)
    columns = zip((SENTENCE, *names), map(list, zip(*rows, strict=True)), strict=True) if rows else ()
    return Content(dict(columns), places, Conll(lines, places, names is UNIVERSAL))
