"use strict";
// Pane 2: units by time, in an order; a stretch can be marked, and what stays on exactly there is named.

/** Return the orders there are, as {id: words}, of a run's layer. */
look.orders = (run) => ({
  ...Object.fromEntries(Object.keys(run.layer.remembers).map((state) => [`memory ${state}`, `how long ${state} remembers`])),
  ...Object.fromEntries(run.properties.map(({ name, words }) => [`follows ${name}`, `${name}: ${words}`])),
  index: "their number",
});

/** Return {order: units by row, bars: by row or null, measure(unit): words}. */
look.ordered = (run, units) => {
  const [kind, ...rest] = look.state.order.split(" ");
  const asked = rest.join(" ");
  const name = kind === "memory" && !(asked in run.layer.remembers) ? run.layer.states.at(-1) : asked; // the other run's state
  const all = Array.from({ length: units }, (_, unit) => unit);
  const remembers = kind === "memory" && run.layer.remembers[name];
  const property = kind === "follows" ? run.properties.findIndex((one) => one.name === name) : -1;
  if (remembers && remembers.shape[0] === units) {
    const steps = remembers.data;
    const most = run.layer.remembers_most;
    const part = (unit) => Math.log2(1 + (steps[unit] || 0)) / Math.log2(1 + Math.max(most || 1, ...steps.filter(Number.isFinite)));
    all.sort((x, y) => (steps[y] || 0) - (steps[x] || 0) || x - y);
    return { order: all, bars: all.map(part), words: `how long ${name} remembers, by its logarithm`, measure: (unit) => `remembers ${steps[unit] >= most ? "at least " : ""}${bptt.short(steps[unit], 1)} steps` };
  }
  if (property >= 0 && run.layer.follows.shape[1] === units) {
    const of = (unit) => run.layer.follows.data[property * units + unit] || 0;
    all.sort((x, y) => Math.abs(of(y)) - Math.abs(of(x)) || x - y);
    return { order: all, bars: all.map(of), words: `correlation of ${run.layer.follows_of} with ${name}; pale: negative. Above: ${name}`, property: run.properties[property], measure: (unit) => `correlation with ${name} ${bptt.short(of(unit))}` };
  }
  return { order: all, bars: null, words: "", measure: () => "" };
};

look.unitsPane = (run, column) => {
  const i = run.index;
  const heat = new Heat(run, `Units of ${run.name} by time. Left and right move the step, up and down the unit; with Shift the step's keys mark a stretch; plus and minus zoom.`);
  const key = bptt.element("div", { class: "key" });
  const figure = look.figure(column, run, "units", "Units by time");
  const from = bptt.element("input", { type: "range", class: "from", min: 0, value: 0, "aria-label": `First step in sight, ${run.name}`,
    oninput: () => { heat.first = Number(from.value); draw(); } });
  const answer = bptt.element("div", { class: "answer" });
  const zoom = (factor) => { shown = Math.min(Math.max(Math.round((shown || heat.count) * factor), 12), run.steps); draw(); };
  figure.append(key, heat.element, bptt.element("div", { class: "tools" },
    bptt.element("button", { type: "button", text: "−", "aria-label": "Show more steps", onclick: () => zoom(1.6) }),
    bptt.element("button", { type: "button", text: "+", "aria-label": "Show fewer steps", onclick: () => zoom(1 / 1.6) }),
    bptt.element("button", { type: "button", text: "All steps", onclick: () => zoom(run.steps) }), from), answer);

  let shown = 0; // steps in sight; 0: as many as there is room to name
  let ordered;
  const draw = () => {
    const { value } = run;
    if (!heat.fit(value.array.shape[1])) return;
    heat.window(shown || Math.min(run.steps, Math.max(24, Math.floor(heat.width / (run.between ? 34 : 8)))), look.state.t);
    [from.max, from.value, from.disabled] = [run.steps - heat.count, heat.first, heat.count >= run.steps];
    from.setAttribute("aria-valuetext", `steps ${heat.first} to ${heat.first + heat.count - 1}`);
    ordered = look.ordered(run, heat.units);
    heat.draw(value, ordered.order, ordered.bars, ordered.property);
    key.replaceChildren(valueLegend(run, `${value.name}${value.summary ? `, ${value.summary}` : ""}${run.isOwn(value) ? ", in parts of each unit’s largest" : ""}`, run.isOwn(value) ? 1 : run.far(value, 0)),
      bptt.element("span", { class: "ui faint", text: ordered.words && `left: ${ordered.words}` }));
    over();
  };
  const over = () => {
    const { a, b } = look.state;
    heat.over({ t: look.step(), a, b, place: ordered.order.indexOf(run.unit), found: run.found ?? [], rows: (run.exact ?? []).map(({ unit }) => ordered.order.indexOf(unit)) });
  };

  const ask = () => {
    const { a, b, theta, edge } = look.state;
    run.nearest = a < 0 ? [] : query.nearest(run, run.value, look.state);
    run.exact = run.nearest.filter(({ exact }) => exact);
    const one = look.state.among === "one" ? run.exact.filter(({ unit }) => unit === run.unit) : [];
    const among = one.length ? one : run.exact;
    const all = query.elsewhere(run, run.value, among, look.state);
    run.found = all;
    look.touch("found");
    const name = run.value.name;
    answer.replaceChildren(...(a < 0 ? [bptt.element("p", { class: "ui faint", text: "Mark a stretch: drag over the text or this picture, or hold Shift with ← and →, or press m: where this unit stays on around this step." })] : [
      bptt.element("p", { class: "ui" }, bptt.element("b", { text: `Steps ${a} to ${b}` }), " ", bptt.element("span", { class: "token", text: `“${clipped(run.words(a, b), 60)}”` })),
      bptt.element("p", { class: "ui", text: run.exact.length
        ? `${run.exact.length === 1 ? "One unit stays" : `${run.exact.length} units stay`} on exactly there (${rule(run, name, theta, edge)}):`
        : `No unit stays on exactly there (${rule(run, name, theta, edge)}). Nearest:` }),
      bptt.element("ul", { class: "chips" }, ...(run.exact.length ? run.exact : run.nearest.slice(0, 6)).slice(0, 24).map((found) => bptt.element("li", {}, chip(found))),
        run.exact.length > 1 ? bptt.element("li", {}, bptt.element("button", { type: "button", "data-saved": true, text: "all of them", "aria-pressed": String(!one.length), onclick: () => look.set({ among: "all" }) })) : null),
      run.exact.length ? bptt.element("p", { class: "ui", text: all.length
        ? `${among.length === 1 ? `${one.length ? `Unit ${run.unit}` : "It"} is on` : "All of them are on together"} in ${all.length} other stretch${all.length === 1 ? "" : "es"}:`
        : `Nowhere else ${among.length === 1 ? "is it on" : "are they on together"}.` }) : null,
      bptt.element("ul", { class: "places" }, ...all.slice(0, 9).map((place) => bptt.element("li", {}, jump(place)))),
    ].filter(Boolean)));
  };
  const chip = ({ unit, sign, from: start, to: end, share, exact }) => bptt.element("button", { type: "button", "data-saved": true, "aria-pressed": String(unit === run.unit && (!exact || look.state.among === "one" || run.exact.length === 1)),
    text: `${sign < 0 ? "−" : ""}${unit}${exact ? "" : ` (${start}–${end}, ${Math.round(share * 100)} %)`}`,
    "aria-label": `Unit ${unit}${sign < 0 ? ", negative" : ""}, on from ${start} to ${end}`, onclick: () => look.set({ [`u${i}`]: unit, among: "one" }) });
  const jump = ([start, end]) => bptt.element("button", { type: "button", "data-saved": true, onclick: () => look.set({ t: start }) },
    bptt.element("span", { class: "faint", text: `${start}–${end} ` }), bptt.element("span", { class: "token" },
      bptt.element("span", { class: "faint", text: clipped(run.words(Math.max(run.begins[start], start - 12), start - 1), 24, true) }),
      bptt.element("mark", { text: clipped(run.words(start, end), 36) }),
      bptt.element("span", { class: "faint", text: clipped(run.words(end + 1, Math.min(run.ends[end], end + 8)), 16) })));

  look.watch(`a b theta edge scale among l${i} v${i} u${i}`, ask);
  look.watch(`order scale l${i} v${i} t`, draw);
  bptt.onTheme(draw);
  new ResizeObserver(draw).observe(heat.element);
  look.watch(`hovered u${i} a b found theta edge`, () => ordered && over());
  look.pointing(heat, run, () => ordered, zoom);

  const table = tableOf(figure, () => {
    const { t } = look.state;
    return [["unit", ordered.words, `${run.value.name} at step ${t}`, "on exactly in the stretch"],
      ...ordered.order.map((unit) => [unit, ordered.measure(unit), bptt.short(run.at(run.value, t, unit)), (run.exact ?? []).some((one) => one.unit === unit) ? "yes" : ""])];
  });
  look.watch(`t order a b theta edge l${i} v${i}`, table);
};

/** The rule, in words. */
const rule = (run, name, theta, edge) => {
  const [least, most] = run.isOwn(run.value) ? [1, -1].map((sign) => `${bptt.short(sign * theta * 100, 0)} % of the unit’s largest`) : [1, -1].map((sign) => bptt.short(sign * theta * run.far(run.value, 0)));
  return `${name} ≥ ${least} at every step of it, and not at the step before and after${edge ? `; its ends may be off by ${edge}` : ""}; those with −: ≤ ${most}`;
};

const clipped = (text, most, fromEnd = false) => {
  const seen = visible(text).replace(/^␣+$/, " ");
  return seen.length <= most ? seen : fromEnd ? `…${seen.slice(-most)}` : `${seen.slice(0, most)}…`;
};

/** Pointer and keys on a heat picture. */
look.pointing = (heat, run, ordered, zoom) => {
  let from = null;
  heat.element.addEventListener("pointerdown", (event) => {
    const { t, place, isIn } = heat.under(event);
    if (!isIn || event.button) return;
    from = t;
    heat.element.setPointerCapture(event.pointerId);
    look.set({ t, ...(event.shiftKey ? { a: look.state.t, b: t } : {}), ...(place >= 0 ? { [`u${run.index}`]: ordered().order[place] } : {}) });
  });
  heat.element.addEventListener("pointermove", (event) => {
    const { t, place, isIn } = heat.under(event);
    if (from !== null && t !== from) look.set({ a: from, b: t });
    if (!isIn) return bptt.tip.hide();
    look.hover(t);
    if (place < 0) return bptt.tip.hide();
    const unit = ordered().order[place];
    bptt.tip.show(`unit ${unit} at step ${t} ${quoted(run.tokens[t])}\n${run.value.name} = ${bptt.short(run.at(run.value, t, unit))}\n${ordered().measure(unit)}`, event.clientX, event.clientY);
  });
  addEventListener("pointerup", () => (from = null));
  heat.element.addEventListener("pointerleave", () => { look.hover(null); bptt.tip.hide(); });
  heat.element.addEventListener("wheel", (event) => {
    if (event.ctrlKey) zoom(event.deltaY > 0 ? 1.2 : 1 / 1.2);
    else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      heat.first += Math.round(event.deltaX / heat.step) || Math.sign(event.deltaX);
      zoom(1);
    } else return;
    event.preventDefault();
  }, { passive: false });
  heat.element.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const way = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (way) {
      const { order } = ordered();
      run.choose({ u: order[Math.min(Math.max(order.indexOf(run.unit) + way, 0), order.length - 1)] });
    } else if (event.key === "+" || event.key === "=") zoom(1 / 1.6);
    else if (event.key === "-") zoom(1.6);
    else return;
    event.preventDefault();
  });
};
