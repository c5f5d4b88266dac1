"use strict";
// Pane 3: the gradient of one step's loss at the states of the steps before it, by path.

const DECADES = 4; // from the darkest shade to none

look.gradientPane = (run, column) => {
  const i = run.index;
  const passage = new Passage(run, { label: `What came before the chosen step in ${run.name}, shaded by the gradient. Arrow keys move the step.` });
  const key = bptt.element("div", { class: "key" });
  const said = bptt.element("p", { class: "ui", "aria-live": "off" });
  const figure = look.figure(column, run, "gradient", "Gradient");
  let lag = null;
  const chart = new Chart({ label: "", x: { words: "steps before" }, y: { words: "norm of the gradient", log: 10 },
    at: (x) => point(x === null ? null : Math.round(x)), choose: (x) => look.set({ k: x }) });
  const paths = bptt.element("div", { class: "paths", role: "radiogroup", "aria-label": `Path shown, ${run.name}` });
  figure.append(key, bptt.element("div", { class: "side" }, bptt.element("div", {}, passage.element, said), bptt.element("div", {}, chart.element, paths)));

  const looks = (p) => ({ colour: bptt.colours.series[p % 8].css, dash: ["none", "6 3", "2 3"][Math.floor(p / 8) % 3] });

  const draw = () => {
    const { t } = look.state;
    const { gradient, reverse } = run.layer;
    const high = run.mostNorm(t);
    const p = run.path;
    const reach = gradient.lags;
    const [from, to] = reverse ? [t, Math.min(run.ends[t], t + reach)] : [Math.max(run.begins[t], t - reach), t];
    passage.show(from, to);
    const lagOf = (s) => (reverse ? s - t : t - s);
    passage.paint((s) => bptt.sequential(high ? 1 + Math.log10(run.norm(t, lagOf(s), p) / high) / DECADES : NaN));
    passage.choose(t);
    passage.mark("pointed", (s) => lagOf(s) === (lag ?? look.state.k));
    key.replaceChildren(high ? normLegend(`norm along “${gradient.paths[p]?.name}”`, high, DECADES) : bptt.element("span", { class: "ui faint", text: "No loss’s gradient goes back from this step." }),
      ...(high || !run.losses.length ? [] : [bptt.element("button", { type: "button", text: "Go to the next that has one", onclick: () => look.set({ t: run.losses.find((s) => s > t) ?? run.losses[0] }) })]));
    chart.svg.setAttribute("aria-label", `Norm of the gradient of step ${t}'s loss by lag, for ${gradient.paths.length} paths`);
    const typical = run.losses.length ? [...run.squares(p)].map((sum, k) => [k, Math.sqrt(sum / run.losses.length)]) : [];
    const lines = gradient.paths.map((_, k) => ({ points: run.curve(t, k), ...looks(k), thick: k === p })).sort((x, y) => x.thick - y.thick);
    lines.push({ points: typical, colour: looks(p).colour, dash: "1 4" });
    const top = Math.max(...look.runs.map((one) => one.mostNorm(t))) || 1; // the same axes for both runs
    chart.draw({ lines: high ? lines : [], xs: [0, look.reach], ys: [top * 1e-7, top * 1.4], rule: lag ?? look.state.k });
    table(t, p);
  };

  /** The paths: which is shown, each as a strip by lag, and its norm where the pointer is. */
  const table = (t, p) => {
    const { gradient } = run.layer;
    const at = lag ?? Math.min(look.state.k, run.curve(t, 0).length - 1);
    said.textContent = `At ${at} step${at === 1 ? "" : "s"} before, ${quoted(run.tokens[run.earlier(t, at)])}: ${run.normWords(t, at, p)} along “${gradient.paths[p]?.name}”; dotted, over all steps (root of the mean square): ${bptt.short(Math.sqrt(run.squares(p)[at] / run.losses.length))}.`;
    if (paths.children.length !== gradient.paths.length || paths.dataset.of !== run.layer.name) {
      paths.dataset.of = run.layer.name;
      paths.replaceChildren(...gradient.paths.map(({ name, words }) => bptt.element("label", { class: "path", "data-tip": words ?? name },
        bptt.element("input", { type: "radio", name: `path${i}`, value: name, onchange: () => run.choose({ p: name }) }),
        bptt.element("svg:svg", { class: "swatch", width: 26, height: 10, "aria-hidden": "true" }, bptt.element("svg:line", { x1: 0, x2: 26, y1: 5, y2: 5 })),
        bptt.element("span", { class: "name", text: name }), bptt.element("span", { class: "number" }))));
    }
    gradient.paths.forEach(({ name }, k) => {
      const label = paths.children[k];
      const line = label.querySelector("line");
      const { colour, dash } = looks(k);
      line.setAttribute("stroke", colour);
      line.setAttribute("stroke-dasharray", dash);
      line.setAttribute("stroke-width", k === p ? 3 : 1.6);
      label.querySelector("input").checked = k === p;
      label.classList.toggle("chosen", k === p);
      label.querySelector(".number").textContent = run.normWords(t, at, k);
    });
  };

  const point = (k) => {
    if (k !== null && run.earlier(look.state.t, k) < 0) k = null;
    if (k === lag) return;
    lag = k;
    draw();
  };
  passage.element.addEventListener("pointermove", (event) => {
    const s = passage.under(event);
    if (s !== null) point(Math.abs(look.state.t - s));
  });
  passage.element.addEventListener("pointerleave", () => point(null));

  look.watch(look.runs.map(({ index }) => `l${index}`).concat(`t k p${i}`).join(" "), draw);
  bptt.onTheme(draw);
  const rows = tableOf(figure, () => {
    const { gradient } = run.layer;
    const { t } = look.state;
    return [["steps before", "token", ...gradient.paths.map(({ name }) => name)],
      ...run.curve(t, 0).map(([k]) => [k, visible(run.tokens[run.earlier(t, k)]), ...gradient.paths.map((_, p) => run.normWords(t, k, p))])];
  });
  look.watch(`t l${i}`, rows);
};
