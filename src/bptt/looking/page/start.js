"use strict";
// Begin: the runs, the state at first or of the address, the panes.

/** Return a new figure for a run in a pane's row of runs. */
look.figure = (column, run, pane, name) => {
  const figure = bptt.element("figure", { class: "picture", id: `${pane}-${run.index + 1}`, "data-name": `${name}${look.runs.length > 1 ? `, ${run.name}` : ""}` },
    bptt.element("figcaption", {}, look.runs.length > 1 ? bptt.element("b", { text: run.name }) : null));
  column.append(figure);
  return figure;
};

bptt.ready(() => {
  look.runs = bptt.data.runs.map((seen, i) => new Run(seen, i));
  look.steps = Math.min(...look.runs.map(({ steps }) => steps));
  look.longest = Math.max(8, ...look.runs.flatMap(({ layers }) => layers.map(({ gradient, chunk }) => Math.max(2 * gradient.lags, 2 * (chunk ?? 0)))));
  look.reach = Math.max(1, ...look.runs.flatMap(({ layers }) => layers.map(({ gradient }) => gradient.lags)));
  const [first] = look.runs;
  const state = first.layers[0].states[1] ?? first.layers[0].states[0];
  look.first = { t: 0, a: -1, b: -1, shade: "value", order: state in first.layers[0].remembers ? `memory ${state}` : "index",
    scale: "own", among: "all", theta: 0.3, edge: 0, k: 10, c: first.layers[0].chunk ?? 32 };
  for (const { index, layers } of look.runs) {
    const { follows, units } = layers[0];
    const best = follows.data.reduce((at, r, k) => (Math.abs(r) > Math.abs(follows.data[at] || 0) ? k : at), 0) % units; // it follows something
    Object.assign(look.first, { [`l${index}`]: 0, [`v${index}`]: "", [`u${index}`]: best, [`p${index}`]: "" });
  }
  look.state = { ...look.first };
  look.mend();
  const { lags } = first.layer.gradient;
  look.state.t = first.losses.find((t) => t >= lags) ?? first.losses.at(-1) ?? 0;
  look.first = { ...look.state };
  look.state = look.read(location.hash);
  look.mend();
  addEventListener("hashchange", () => look.set(look.read(location.hash)));

  const names = { text: "Text", lists: "Texts", labels: "Sequences", series: "Series", steps: "Steps" };
  document.getElementById("text").textContent = names[first.kind] ?? names.text;
  document.body.classList.toggle("two", look.runs.length > 1);
  look.bar(document.getElementById("bar"));
  for (const [pane, show] of Object.entries({ text: look.textPane, units: look.unitsPane, gradient: look.gradientPane, truncation: look.truncationPane })) {
    const row = document.querySelector(`[data-pane="${pane}"] .runs`);
    for (const run of look.runs) show(run, row);
  }
  look.controls();
  look.keys();
  let saying;
  look.watch("t", () => {
    clearTimeout(saying);
    saying = setTimeout(() => bptt.say(look.runs.map(look.facts).join(". ")), 350);
  });
});

/** The panes' controls, which all runs share. */
look.controls = () => {
  const get = (id) => document.getElementById(id);
  for (const shade of document.querySelectorAll('input[name="shade"]')) shade.addEventListener("change", () => look.set({ shade: shade.value }));
  look.watch("shade", () => document.querySelectorAll('input[name="shade"]').forEach((one) => (one.checked = one.value === look.state.shade)));
  const bind = (id, part, text) => {
    const field = get(id);
    field.addEventListener("input", () => look.set({ [part]: field.type === "range" ? Number(field.value) : field.value }));
    look.watch(part, () => {
      field.value = look.state[part];
      if (text) get(`${id}-is`).textContent = text(look.state[part]);
    });
  };
  const fill = () => {
    const all = Object.entries(Object.assign({}, ...look.runs.map(look.orders)));
    const groups = Object.entries({ memory: "how long they remember", follows: "what they follow", index: "their number" });
    get("order").replaceChildren(...groups.map(([kind, label]) => bptt.element("optgroup", { label },
      ...all.filter(([value]) => value.split(" ")[0] === kind).map(([value, text]) => bptt.element("option", { value, text })))));
    get("order").value = look.state.order;
  };
  look.watch(look.runs.map(({ index }) => `l${index}`).join(" "), fill);
  bind("order", "order");
  get("order").addEventListener("input", () => { // and look at the first of them
    for (const run of look.runs) run.choose({ u: look.ordered(run, run.value.array.shape[1]).order[0] });
  });
  bind("scale", "scale");
  bind("theta", "theta", (x) => `${Math.round(x * 100)} %`);
  bind("edge", "edge", (x) => `${x}`);
  get("lag").max = look.reach;
  bind("lag", "k", (k) => (k === 1 ? "1 step before" : `${k} steps before`));
  get("chunk").max = look.longest;
  bind("chunk", "c", (x) => `${x}`);
  get("mark").addEventListener("click", () => look.mark());
  get("unmark").addEventListener("click", () => look.set({ a: -1, b: -1 }));
};
