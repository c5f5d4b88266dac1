"""What a notebook shows of a value: escaped, without scripts, for every kind that ends a cell."""

import copy
import pickle
import re
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import shown
from bptt.shown.curves import Curve, curves, legend

ODD = "<script>alert(1)</script>&\"'"


class Elements(HTMLParser):
    """Counts elements, and fails where one is not closed, or is none of a page that only shows."""

    VOID = ("br", "hr", "img", "path", "circle", "line", "use", "rect")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.count: dict[str, int] = {}
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "iframe", "link", "img", "object"), tag
        assert not [name for name, _ in attrs if name.startswith("on")]
        self.count[tag] = self.count.get(tag, 0) + 1
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> bptt.Trainer:
    folder = tmp_path_factory.mktemp("runs")
    (folder / "a.txt").write_text("one two three " * 40)
    settings = bptt.Settings.of(
        data=str(folder / "a.txt"), hidden=4, steps=4, batch=2, chunk=4, report_every=1, eval_every=2
    )
    trainer = bptt.Trainer.start(settings, folder / ODD.replace("/", ""))
    assert len(list(trainer.reports())) == 4
    return trainer


def trained(trainer: bptt.Trainer) -> bptt.Trained:
    return bptt.Trained.load(trainer.run.folder)


def faulty(p: Mapping[str, Any]) -> tuple[float, dict[str, Any]]:
    y = np.tanh(p["x"])
    return float(y.sum()), {"x": 1 + y * y}


def flow() -> bptt.flow.Flow:
    rng = np.random.default_rng(0)
    layer = {"W": rng.normal(size=(2, 8)), "U": rng.normal(size=(2, 8))}
    return bptt.flow.through_time("lstm", layer, rng.normal(size=(4, 2, 2)), where=ODD)


def at_hand() -> bptt.cells.Cell:
    class Own(type(bptt.cells.CELLS["rnn"])):  # type: ignore[misc]
        """A cell <b>by hand</b>."""

    cell: bptt.cells.Cell = Own()
    return cell


KINDS: dict[str, tuple[Callable[[], Any], str, str]] = {
    "derived": (lambda: bptt.derive.page(bptt.zoo.load("rnn")), "math", "rnn: backpropagation"),
    "program": (lambda: bptt.derive.page(bptt.zoo.load("rnn"), "numpy"), "pre", "import numpy"),
    "cell": (lambda: bptt.zoo.load("slstm"), "math", "log_f"),
    "by hand": (lambda: bptt.zoo.get("lstm"), "math", "lstm"),
    "a class": (at_hand, "pre", "A cell &lt;b&gt;by hand&lt;/b&gt;."),
    "maps": (lambda: bptt.zoo.load("antisymmetric-rnn"), "math", "antisymmetric"),
    "check": (lambda: bptt.check(faulty, {"x": np.array([0.3, 0.5])}), "table", "is wrong"),
    "flow": (flow, "table", "last lag"),
    "model": (lambda: bptt.Model(inputs=5, outputs=5, hidden=3), "table", "128 parameters"),
    "settings": (lambda: bptt.Settings.of(data=ODD, steps=7), "table", "Training steps"),
    "adam": (bptt.optim.Adam, "pre", "beta1"),
    "cosine": (lambda: bptt.schedules.get("cosine", lr=1e-3, total_steps=9), "svg", "Cosine"),
    "plateau": (lambda: bptt.schedules.get("plateau", lr=1e-3), "h4", "Plateau"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_shows_itself(kind: str) -> None:
    make, element, says = KINDS[kind]
    html = make()._repr_html_()
    assert Elements(html).count[element] >= 1
    assert says in html
    assert "<script" not in html


def test_a_run_shows_its_curve(trainer: bptt.Trainer) -> None:
    for value in (trainer, trained(trainer)):
        html = str(value._repr_html_())
        assert Elements(html).count["path"] >= 2
        assert "lstm: 1 x 4 units" in html
        assert "<script" not in html
        assert "&lt;script&gt;" in html  # the folder's name
        assert repr(value).startswith("<train")
        assert "\n" not in repr(value)


def test_a_run_without_a_log_shows_itself(trainer: bptt.Trainer) -> None:
    lost = copy.copy(trained(trainer))
    object.__setattr__(lost, "source", "nowhere")
    assert "<svg" not in (lost._repr_html_() or "")


def test_text_elsewhere() -> None:
    report = bptt.check(faulty, {"x": np.array([0.3, 0.5])})
    assert repr(report) == bptt.checking.text(report)
    assert repr(flow()).startswith("lstm: along")
    assert repr(bptt.Model(inputs=5, outputs=5, hidden=3)) == "Model(inputs=5, outputs=5, hidden=3)"
    assert repr(bptt.Settings.of("vanilla", hidden=9)).startswith("Settings(")
    assert "hidden=9" in repr(bptt.Settings.of("vanilla", hidden=9))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_layer_that_has_run_says_what_it_holds(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    layer = {"W": rng.normal(size=(2, 12)).astype(dtype), "U": rng.normal(size=(3, 12)).astype(dtype)}
    run = bptt.unroll("lstm", layer, rng.normal(size=(4, 2, 2)).astype(dtype))
    name = np.dtype(dtype).name
    says = f"<a layer run through 4 steps: y (4, 2, 3) {name}, states at the end (2, 3), (2, 3)>"
    assert repr(run) == says
    assert run._repr_html_() is None


def test_latex_of_cells_and_derivations() -> None:
    cell = bptt.zoo.load("rnn")
    assert r"\begin{align*}" in (cell._repr_latex_() or "")
    assert r"\section*{rnn: backpropagation" in (bptt.derive.page(cell)._repr_latex_() or "")
    assert (bptt.derive.page(cell, "numpy")._repr_latex_() or "").startswith(r"\begin{verbatim}")
    assert bptt.optim.Adam()._repr_latex_() is None


def test_a_derivation_is_a_text_and_its_copies_are() -> None:
    page = bptt.derive.page(bptt.zoo.load("rnn"))
    assert isinstance(page, str)
    assert page.format() == page
    for other in (copy.deepcopy(page), pickle.loads(pickle.dumps(page))):
        assert type(other) is str
        assert other == page


def test_what_is_wrong_with_a_value_is_left_to_its_use() -> None:
    class Odd(shown.Shown, html="bptt.derive:page"):  # it is no cell
        pass

    assert Odd()._repr_html_() is None
    assert "Odd object" in repr(Odd())


def test_a_diff_has_its_colours_and_is_escaped() -> None:
    html = shown.diff("--- a/f.py\n+++ b/f.py\n@@ -1 +1 @@\n-a < b\n+a > b\n same")
    kinds = re.findall(r'class="(\w+)"', html)
    assert kinds == ["place", "place", "place", "gone", "added"]
    assert "-a &lt; b" in html
    assert "<span> same" in html


def test_curves_are_where_their_numbers_are() -> None:
    x = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    picture = curves([Curve(ODD, x, np.array([1.0, 2.0, np.nan, 4.0, 5.0]))], x="steps", y="loss <nats>")
    assert Elements(picture).count["path"] == 1
    assert "alert(1)&lt;/script&gt;" in picture
    (path,) = re.findall(r' d="([^"]*)"', picture)
    assert path.count("M") == 2  # a gap
    low, high, start, end = map(float, re.findall(r'data-x="([^"]*)"', picture)[0].split())
    places = [float(p) for p in re.findall(r"[ML]([\d.]+) ", path)]
    wanted = [start + (v - low) / (high - low) * (end - start) for v in (0, 1, 3, 4)]
    np.testing.assert_allclose(places, wanted, atol=0.06)


def test_curves_of_one_point_of_none_and_of_logarithms() -> None:
    one = np.array([3.0])
    assert Elements(curves([Curve("a", one, one)], x="x", y="y")).count["circle"] == 1
    assert "<path" not in curves([], x="x", y="y")
    for close in (5e-324, 1.0 + 1e-15, 1e29):
        assert "<path" in curves([Curve("a", np.array([0.0, close]), np.array([close, 1.0]))], x="x", y="y")
    picture = curves([Curve("a", np.arange(1, 4.0), np.array([1e-3, 0.0, 10.0]))], x="x", y="y", log=True)
    assert re.findall(r' d="([^"]*)"', picture)[0].count("M") == 2  # what is not above 0 is a gap
    assert ">0.001<" in picture


def test_a_long_line_keeps_its_peaks() -> None:
    y = np.zeros(100_000)
    y[54_321] = 7.0
    picture = curves([Curve("a", np.arange(100_000.0), y)], x="x", y="y")
    assert len(picture) < 40_000
    low, high, _, end = map(float, re.findall(r'data-y="([^"]*)"', picture)[0].split())
    assert (low, high) == (0.0, 7.0)
    path = re.findall(r' d="([^"]*)"', picture)[0]
    assert f" {end:.1f}" in path
    assert Elements(legend(["a", ODD])).count["path"] == 2


def test_a_folder_of_runs_is_not_needed(tmp_path: Path) -> None:
    from bptt.training.shown import learnt

    assert learnt(str(tmp_path)) == ""


def test_the_reports_on_a_file_show_themselves_one_after_the_other(tmp_path: Path) -> None:
    file = tmp_path / "layer.py"
    file.write_text(
        "import numpy as np\ndef f(x, W):\n    y = np.tanh(x @ W)\n    loss = np.sum(y * y)\n"
        "    da = 2 * y * (1 - y)\n    return loss, x.T @ da\n"
    )
    example = "x, W = np.random.randn(2, 3), np.random.randn(3, 4); loss, dW = f(x, W)"
    found = bptt.checking.check_file(file, example=example, mend=False)
    assert [report.verdict for report in found] == ["wrong"]
    twice = type(found)([*found, *found])
    assert repr(twice) == "\n\n".join([bptt.checking.text(found[0])] * 2)
    assert Elements(str(twice._repr_html_())).count["table"] == 2
