"use strict";
// For a series of numbers: the sequence that the step is in as a curve, and what was guessed and came.

look.series = (run, figure) => {
  const { mean, low, high } = run.guesses ?? {};
  if (run.kind !== "series" || !mean) return;
  const chart = new Chart({ label: "", x: { words: "step" }, y: { words: "solid: the series; thick: the guess; dashed: its quantiles; dotted: what came" },
    at: (x) => look.hover(x === null ? null : Math.round(x)), choose: (x) => look.set({ t: Math.round(x) }) });
  figure.append(chart.element);
  const draw = () => {
    const { t } = look.state;
    const steps = Array.from({ length: run.ends[t] - run.begins[t] + 1 }, (_, k) => run.begins[t] + k);
    const [ink, blue, orange] = bptt.colours.series.map(({ css }) => css);
    const line = (number, colour, more = {}) => ({ points: steps.map((s) => [s, number(s)]), colour, ...more });
    const lines = [line((s) => parseFloat(run.tokens[s]), ink), line((s) => parseFloat(run.truth[s]), ink, { dash: "1.5 3" }),
      ...(low ? [line((s) => low.data[s], blue, { dash: "5 3" }), line((s) => high.data[s], blue, { dash: "5 3" })] : []),
      line((s) => mean.data[s], orange, { thick: true })];
    const numbers = lines.flatMap(({ points }) => points.map(([, y]) => y)).filter(Number.isFinite);
    const [least, most] = numbers.length ? [Math.min(...numbers), Math.max(...numbers)] : [0, 1];
    chart.svg.setAttribute("aria-label", `The series from step ${steps[0]} to ${steps.at(-1)}, between ${bptt.short(least)} and ${bptt.short(most)}`);
    chart.draw({ lines, xs: [steps[0], Math.max(steps.at(-1), steps[0] + 1)], ys: [least, most > least ? most : least + 1], rule: look.step() });
  };
  look.watch("t hovered", draw);
  bptt.onTheme(draw);
};
