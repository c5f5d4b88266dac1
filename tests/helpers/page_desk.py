"""A folder in which a page's commands run: the files that they name, small, and runs that are cut short."""

import json
import re
import shlex
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bptt.cli import run
from bptt.zoo.papers import EVERY
from labelled_tables import sentences
from page_blocks import Block
from small_series import sold, table

DOCS = Path(__file__).parents[2] / "docs"

CUT = "--steps=2 --batch=2 --hidden=4 --embedding=4 --layers=1 --eval-every=2 --report-every=1 --warmup=0"
"""What every training takes in place of what the page says: it is the same work, and soon done."""
OF_RUN = ("--hidden", "--embedding", "--layers")
"""What a run `--from` another has of that one."""
CORPORA = {"tinyshakespeare": "book.txt", "ptb": "book.txt", "TEXT": "book.txt", "FOLDER": "."}
"""What stands for a corpus that would be fetched, and for what a page leaves to the reader."""

LINE = "ROMEO: the quick brown fox jumps over the lazy dog\n"
NAMES = ["anna", "bertini", "clara", "dorani", "emma", "fabiani", "gina", "hiroshi"] * 6
ROWS = "".join(f"{name},{('it', 'ru')[k % 2]},{(1990, 2000)[k // 2 % 2]}\n" for k, name in enumerate(NAMES))
WALKS = [
    (f"w{k}", t, (k * 7 + t) % 5, k % 3, t % 4, "ud"[k % 2], "+-"[t % 2], k, k % 5)
    for k in range(16)
    for t in range(5)
]
TIMES = [str(np.datetime64("2020-01-01T00:00") + np.timedelta64(t, "h")) for t in range(240)]


def beats(between: str) -> str:
    """Return a class and 140 numbers a line, behind it."""
    rows = [[k % 2, *((t * (1 + k % 2) + k) % 9 for t in range(140))] for k in range(20)]
    return "".join(between.join(map(str, row)) + "\n" for row in rows)


TEXTS: dict[str, Callable[[], str]] = {
    r"book\.txt|shakespeare\.txt|a\.txt|notes.*\.txt|sonnets\.txt": lambda: LINE * 30,
    r"(sur)?names\.txt|train\.txt|valid\.txt": lambda: "\n".join(NAMES) + "\n",
    r"tunes\.abc": lambda: "\n\n".join(f"X:{k}\nabc|{name}" for k, name in enumerate(NAMES)) + "\n",
    r"(names|more)\.csv": lambda: "name,language,year\n" + ROWS,
    r"molecules\.csv": lambda: (
        "smiles,solubility,measured\n" + "".join(f"{n},{len(n)},{len(n)}\n" for n in NAMES)
    ),
    r".*\.conllu?": sentences,
    r"sentences\.jsonl": lambda: '{"words": ["a", "dog"], "labels": 0, "tags": ["D", "N"]}\n' * 20,
    r"posts\.csv": lambda: "body,tags\n" + "ab,a|b\na,a\nc,\n" * 9,
    r"comments\.csv": lambda: "comment,toxic,insult,threat\n" + "ab,1,1,0\na,0,0,1\n" * 9,
    r"engines\.csv": lambda: (
        ",".join(["engine", "cycle", *(f"s{k}" for k in range(1, 22)), "cycles_left"])
        + "\n"
        + "".join(
            f"e{e},{t},{','.join(str((t * k + e) % 9) for k in range(21))},{9 - t}\n"
            for e in range(20)
            for t in range(10)
        )
    ),
    r"sales\.csv": lambda: table({"north": sold(0, 120), "south": sold(1, 120)}),
    r"shops\.csv": lambda: (
        "day,berlin,rome,paris\n"
        + "".join(
            f"{np.datetime64('2020-01-30') + np.timedelta64(t, 'D')},{t % 7},2,{t}\n" for t in range(120)
        )
    ),
    r"m4\.csv": lambda: (
        "id,"
        + ",".join(f"V{t}" for t in range(2, 101))
        + "".join(f"\nM{k}," + ",".join(str((t + k) % 7) for t in range(99)) for k in range(3))
    ),
    r"ward\.csv": lambda: (
        "patient,hour,pulse,sodium,died\n"
        + "".join(
            f"{k},{t + t % 2 / 4},{60 + t + k % 5},{k if t % 3 else ''},{k % 2}\n"
            for k in range(20)
            for t in range(4)
        )
    ),
    r"proteins\.fasta": lambda: "".join(f">{name}\n{name.upper()}\n" for name in NAMES),
    r"ecg\.csv": lambda: "beat," + ",".join(f"t{t}" for t in range(140)) + "\n" + beats(","),
    r"UCR_TRAIN\.tsv": lambda: beats("\t"),
    r"BasicMotions_T.*\.ts": lambda: (
        "@problemName x\n@timeStamps false\n@classLabel true a b\n@data\n"
        + "".join(":".join(f"{k},{t},{k % 2}" for t in range(6)) + f":{'ab'[k % 2]}\n" for k in range(20))
    ),
    r"tourism\.tsf": lambda: (
        "@relation x\n@attribute series_name string\n@attribute start_timestamp date\n@frequency monthly\n"
        + "@data\n"
        + "".join(
            f"T{k}:1979-01-01 00-00-00:{','.join(str((t + k) % 12) for t in range(90))}\n" for k in (1, 2)
        )
    ),
    r"power\.csv": lambda: (
        "hour,load,temperature,holiday\n"
        + "".join(f"{TIMES[t]},{t % 24},{t % 7},{t % 2}\n" for t in range(240))
    ),
    r"airline(-cut)?\.csv": lambda: "time,value\n" + "".join(f"{t},{t % 12 + t}\n" for t in range(144)),
    r"vowels-(train|test)\.csv": lambda: (
        "utterance,frame,speaker,c1,c2,c12\n"
        + "".join(f"{w},{t},{way},{x},{y},{z}\n" for w, t, x, y, z, way, *_ in WALKS)
    ),
    r"v(ocab)?\.json": lambda: json.dumps(["<eos>", "<unk>", "a", "b", "c"]),
    r"mycell\.py": lambda: (
        "import bptt\n\n"
        + "\n\n".join(
            re.sub(r"def \w+", f"def {name}", EVERY[cell].equations.text)
            for name, cell in [
                ("slstm", "slstm"),
                ("mgu", "mgu"),
                ("peephole", "lstm-peephole"),
                ("ugrnn", "ugrnn"),
            ]
        )
    ),
}
"""What is in files, by their names."""


class Desk:
    """A folder with what a page's commands read; the current one.

    Attributes
    ----------
    runs : dict
        The folder of the last run that was trained on each file, by the file's name, the last of all last.
    """

    def __init__(self) -> None:
        self.runs: dict[str, str] = {}
        Path("docs").mkdir()
        shutil.copy(DOCS / "faulty_lstm.py", "docs")

    def provide(self, name: str) -> None:
        """Make a file that there is not."""
        path = Path(name)
        if path.exists() or path.suffix == "":
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".parquet":
            from pyarrow import parquet, table

            columns = zip(*WALKS, strict=True)
            names = ["id", "t", "x", "y", "z", "activity", "phase", "height", "weight"]
            parquet.write_table(table(dict(zip(names, map(list, columns), strict=True))), name)
        elif path.suffix == ".npz":
            np.savez(name, X=np.arange(240.0).reshape(20, 4, 3) % 7, y=np.arange(20) % 2)
        elif path.suffix == ".safetensors":
            path.write_bytes(_state(path.stem))
        else:
            makes = (make for pattern, make in TEXTS.items() if re.fullmatch(pattern, path.name))
            if make := next(makes, None):
                path.write_text(make(), encoding="utf-8")

    def call(self, block: Block, of: Sequence[str] = ()) -> int:
        """Run a command of bptt in this process.

        `of` are files: by DIR is meant the run that was trained on the first of them that there is, or else
        the last of all runs.
        """
        words = shlex.split(re.sub(r" \[([A-Z-][^\]]*)\]", r" \1", block.text.replace(",...,", ",")))[1:]
        run_of = next((name for name in [*of, *reversed(self.runs)] if name in self.runs), "book.txt")
        words = [self._word(words, k, run_of) for k in range(len(words))]
        for word in words:
            self.provide(word.split(":")[0].replace("*", "a"))
        words = [
            name
            for word in words
            for name in ([*map(str, Path().glob(word))] if "*" in word else []) or [word]
        ]
        if words[0] != "train":
            return run(words)
        words, data = self._cut(words)
        code = run(words)
        self.runs.pop(data, None)
        newest = max(Path("bptt-runs").glob("*"), key=lambda folder: folder.stat().st_mtime_ns, default="")
        self.runs[data] = words[words.index("--out") + 1] if "--out" in words else str(newest)
        return code

    def _word(self, words: list[str], k: int, run_of: str) -> str:
        """Return what stands for a word that a page writes in capitals."""
        word, before = words[k], words[k - 1]
        if word == "FILE" and before == "--out":
            return f"told{Path(run_of).suffix}"
        places = {
            "DIR": self.runs.get(run_of, "DIR"),
            "DIR2": self.runs.get(run_of, "DIR"),
            "FILE": "told.svg" if before == "--plot" else run_of,
            "FILE.csv": "names.csv",
            "PATH": run_of,
            "COLUMN": "name",
            "TIME": "2020-04-20",
            "FILE.py": "docs/faulty_lstm.py" if words[0] == "check" else "mycell.py",
        }
        first, slash, rest = word.partition("/")
        stands = places | ({} if before in ("--preset", "--out") else CORPORA)
        return places.get(word) or stands.get(first, first) + slash + rest

    def _cut(self, words: list[str]) -> tuple[list[str], str]:
        """Return a training that is cut short, and what it trains on."""
        if "--preset" in words and words[1].startswith("--"):
            words.insert(1, CORPORA["ptb"])
        while "--epochs" in words:
            at = words.index("--epochs")
            del words[at : at + 2]
        short = [w for w in CUT.split() if "--from" not in words or w.split("=")[0] not in OF_RUN]
        short += ["--projection=4"] * ("--projection" in words)  # as wide as the embedding
        return [*words, *short], words[1] if len(words) > 1 and words[1][:2] != "--" else ""


def _state(name: str) -> bytes:
    """Return the state of somebody's module: an embedding (or numbers), a GRU or a network, an output."""
    from safetensors.numpy import save

    rng, gates = np.random.default_rng(0), 1 if name == "rnn" else 3
    sizes = {"rnn.weight_ih_l0": (gates * 4, 3), "rnn.weight_hh_l0": (gates * 4, 4)}
    sizes |= {"decoder.weight": (3 if name == "sensors" else 5, 4)}
    sizes |= {} if name == "sensors" else {"encoder.weight": (5, 3)}
    state: bytes = save({its: rng.normal(size=size) for its, size in sizes.items()})
    return state
