"use strict";
// The bar at the top: the step, and of each run the layer, the value and the unit that all panes show.

look.bar = (bar) => {
  const step = bptt.element("input", { type: "range", id: "step", min: 0, max: look.steps - 1, oninput: () => look.set({ t: Number(step.value) }) });
  const number = bptt.element("input", { type: "number", id: "step-number", min: 0, max: look.steps - 1, "aria-label": "Step, as a number", onchange: () => look.set({ t: Number(number.value) }) });
  bar.append(bptt.element("div", { class: "group wide" }, bptt.element("label", { for: "step", text: "Step" }), step, number), ...look.runs.map(look.choices));
  look.watch("t", () => {
    [step.value, number.value] = [look.state.t, look.state.t];
    step.setAttribute("aria-valuetext", look.facts(look.runs[0]));
  });
};

/** Return a run's own choices. */
look.choices = (run) => {
  const i = run.index;
  const select = (label, part, options) => bptt.element("select", { "aria-label": `${label}${look.runs.length > 1 ? `, ${run.name}` : ""}`, onchange: (event) => run.choose({ [part]: event.target.value }) }, ...options);
  const layer = select("Layer", "l", run.layers.map(({ name }, k) => bptt.element("option", { value: k, text: name })));
  const value = select("Value", "v", []);
  const unit = bptt.element("input", { type: "number", min: 0, "aria-label": `Unit${look.runs.length > 1 ? `, ${run.name}` : ""}`, onchange: () => run.choose({ u: Number(unit.value) }) });
  const group = bptt.element("div", { class: "group" }, look.runs.length > 1 ? bptt.element("b", { class: "ui", text: run.name }) : null,
    run.layers.length > 1 ? layer : null, value, bptt.element("label", {}, "unit ", unit));
  look.watch(`l${i} v${i} u${i}`, () => {
    const kinds = { state: "States", gate: "Gates", value: "Other values" };
    if (value.dataset.of !== run.layer.name) {
      value.dataset.of = run.layer.name;
      value.replaceChildren(...Object.entries(kinds).flatMap(([kind, words]) => {
        const some = run.layer.values.filter((one) => one.kind === kind);
        return some.length ? [bptt.element("optgroup", { label: words }, ...some.map(({ name }) => bptt.element("option", { value: name, text: name })))] : [];
      }));
    }
    [layer.value, value.value, unit.value] = [run.chosen("l"), run.chosen("v"), run.unit];
    unit.max = run.value.array.shape[1] - 1;
  });
  return group;
};

/** Return what is known of the chosen step in a sentence, for those who listen. */
look.facts = (run) => {
  const { t } = look.state;
  const guesses = run.guesses?.p ? Array.from({ length: Math.min(3, run.guesses.p.shape[1]) }, (_, k) => {
    const at = t * run.guesses.p.shape[1] + k;
    return `${visible(run.vocabulary[run.guesses.tokens.data[at]])} ${percent(run.guesses.p.data[at])}`;
  }).join(", ") : "";
  return [`Step ${t}, ${visible(run.tokens[t])}`, run.truth[t] === null ? "" : `then came ${visible(run.truth[t])}`,
    Number.isNaN(run.loss.data[t]) ? "" : `loss ${bptt.short(run.loss.data[t])}`, guesses && `guesses ${guesses}`,
    `${run.value.name} of unit ${run.unit}: ${bptt.short(run.at(run.value, t, run.unit))}`].filter(Boolean).join("; ");
};
