"use strict";
// Pane 4: what part of the gradient training in chunks of C steps never saw.
//   unseen(C) = sum_t sum_k min(k, C)/C n(t, k)² / sum_t sum_k n(t, k)²,  n: the norm k steps before t along every path.
//   A token stands at each place of a chunk as often as at any other; at place j what lies more than j steps before is cut.

look.truncationPane = (run, column) => {
  const i = run.index;
  const figure = look.figure(column, run, "truncation", "Truncation");
  const share = bptt.element("p", { class: "share" });
  const passage = new Passage(run, { label: `The text of ${run.name} cut in chunks, each token shaded by how much of its gradient is cut. Arrow keys move the step.` });
  const key = bptt.element("div", { class: "key" });
  const chart = new Chart({ label: "", x: { words: "length of the chunks, C", log: 2 }, y: { words: "never seen", text: percent }, at: (x) => { pointed = x === null ? null : Math.max(1, Math.round(x)); draw(); },
    choose: (x) => look.set({ c: x }) });
  let pointed = null;
  figure.append(bptt.element("div", { class: "side" }, bptt.element("div", {}, key, passage.element), bptt.element("div", {}, share, chart.element)));

  /** Return the squared norms by lag along every path, of one step. */
  const squares = (t) => run.squaresOf(0, [t]);
  const unseen = (sums, c) => {
    const all = sums.reduce((x, y) => x + y, 0);
    return all ? sums.reduce((x, y, k) => x + (y * Math.min(k, c)) / c, 0) / all : NaN;
  };

  /** Return how many steps before t lie in its chunk, where chunks of C begin with its sequence. */
  const place = (t, c) => (run.layer.reverse ? Math.min(c - 1 - ((t - run.begins[t]) % c), run.ends[t] - t) : (t - run.begins[t]) % c);
  const cut = (t, c) => {
    const sums = squares(t);
    const all = sums.reduce((x, y) => x + y, 0);
    const at = place(t, c);
    return all ? sums.reduce((x, y, k) => (k > at ? x + y : x), 0) / all : NaN;
  };

  const draw = () => {
    const { c, t } = look.state;
    const at = pointed ?? c;
    const { chunk } = run.layer;
    const [all, one] = [run.squares(0), squares(t)];
    share.replaceChildren(bptt.element("b", { text: percent(unseen(all, at)) }), ` never seen in chunks of ${at}${chunk ? `; ${percent(unseen(all, chunk))} in this run's own, ${chunk}` : ""}. Of step ${t} alone: ${percent(unseen(one, at))}.`);
    const lengths = [...new Set(Array.from({ length: 90 }, (_, k) => Math.round(look.longest ** (k / 89))))];
    const line = (sums) => lengths.map((length) => [length, unseen(sums, length)]);
    const colours = bptt.colours.series;
    const lines = [{ points: line(one), colour: colours[2].css, dash: "5 3" }, { points: line(all), colour: colours[1].css, thick: true }];
    chart.svg.setAttribute("aria-label", `Part of the gradient never seen, by the length of the chunks: ${percent(unseen(all, at))} at ${at}`);
    chart.draw({ lines, xs: [1, look.longest], ys: [0, 1], rule: at, notes: chunk ? [{ x: chunk, words: `this run: ${chunk}` }] : [] });
  };

  const text = () => {
    const { t, c } = look.state;
    const [from, to] = [Math.max(run.begins[t], t - Math.max(150, c)), Math.min(run.ends[t], t + 150)];
    const margin = passage.first === undefined || t < passage.first + 20 || t > passage.last - 20 || from > passage.last;
    if (margin || passage.ofChunk !== c) passage.show(from, to);
    passage.ofChunk = c;
    passage.paint((s) => bptt.sequential(cut(s, c)));
    passage.mark("chunk", (s) => s > passage.first && (s - run.begins[s]) % c === 0);
    const start = run.layer.reverse ? t : t - place(t, c);
    const end = run.layer.reverse ? t + place(t, c) : t;
    passage.mark("gone", (s) => (run.layer.reverse ? s > end : s < start));
    passage.choose(t);
    key.replaceChildren(legend("cut from each token's gradient", bptt.sequential, [[0, "0 %"], [0.5, "50 %"], [1, "100 %"]]),
      bptt.element("span", { class: "ui faint", text: "bars: where chunks begin; pale: what the chosen step cannot reach" }));
  };

  look.watch(`t c l${i}`, draw);
  look.watch(`t c l${i}`, text);
  bptt.onTheme(draw);
  bptt.onTheme(text);
  const table = tableOf(figure, () => [["chunks of", "never seen, all steps", `step ${look.state.t}`],
    ...[1, 2, 4, 8, 16, 32, 64, 128, 256, 512].filter((c) => c <= look.longest).concat(run.layer.chunk ?? []).sort((x, y) => x - y)
      .map((c) => [c, percent(unseen(run.squares(0), c)), percent(unseen(squares(look.state.t), c))])]);
  look.watch(`t l${i}`, table);
};
