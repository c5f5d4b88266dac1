"use strict";
// What is chosen: one state for all panes, which the address keeps behind its #. Whoever draws watches parts of it.
//   t step    a, b marked stretch (-1: none)    shade "value" or "loss"    order, scale, theta, edge, among: units by time    k steps before, c chunk
//   of the run i, two at most:  l<i> layer   v<i> value   u<i> unit   p<i> path

const look = { state: {}, runs: [], watchers: [], changed: new Set(), hovered: null };

/** Call `draw` now and, before the next frame, whenever one of these parts became another. */
look.watch = (parts, draw) => {
  look.watchers.push({ parts: parts.split(" "), draw });
  draw();
};

/** Change the state; what does not exist becomes the nearest that does. */
look.set = (changes) => {
  const before = { ...look.state };
  Object.assign(look.state, changes);
  look.mend();
  look.touch(...Object.keys(look.state).filter((part) => look.state[part] !== before[part]));
};

/** Have those drawn, at the next frame, who watch these parts. */
look.touch = (...parts) => {
  parts.forEach((part) => look.changed.add(part));
  if (!parts.length || look.awaited) return;
  look.awaited = true;
  requestAnimationFrame(look.draw);
};

look.draw = () => {
  const changed = new Set(look.changed);
  look.changed.clear();
  look.awaited = false;
  for (const { parts, draw } of look.watchers) if (parts.some((part) => changed.has(part))) draw();
  clearTimeout(look.writing);
  look.writing = setTimeout(look.keep, 250);
};

const within = (x, lo, hi) => Math.min(Math.max(Math.round(Number(x)) || 0, lo), hi);

look.mend = () => {
  const { state } = look;
  const last = look.steps - 1;
  state.t = within(state.t, 0, last);
  if (state.a >= 0) [state.a, state.b] = [Math.min(state.a, state.b), Math.max(state.a, state.b)].map((x) => within(x, 0, last));
  else state.a = state.b = -1;
  state.k = within(state.k, 0, look.reach);
  state.c = within(state.c, 1, look.longest);
  state.edge = within(state.edge, 0, 9);
  state.theta = Math.min(Math.max(Number(state.theta) || 0, 0.02), 1);
  if (!["value", "loss"].includes(state.shade)) state.shade = "value";
  if (!["one", "all"].includes(state.among)) state.among = "all";
  if (!["own", "all"].includes(state.scale)) state.scale = "own";
  for (const [i, run] of look.runs.entries()) {
    state[`l${i}`] = within(state[`l${i}`], 0, run.layers.length - 1);
    const layer = run.layers[state[`l${i}`]];
    if (!layer.values.some(({ name }) => name === state[`v${i}`])) state[`v${i}`] = (layer.states[1] ?? layer.states[0]) ?? layer.values[0].name;
    const value = layer.values.find(({ name }) => name === state[`v${i}`]);
    state[`u${i}`] = within(state[`u${i}`], 0, value.array.shape[1] - 1);
    if (!layer.gradient.paths.some(({ name }) => name === state[`p${i}`])) state[`p${i}`] = layer.gradient.paths[0]?.name ?? "";
  }
};

/** Write the state behind the address's #, where the page has an address of its own. */
look.keep = () => {
  if (location.protocol !== "about:") history.replaceState(null, "", look.address());
};

look.address = () => {
  const written = new URLSearchParams();
  for (const [part, value] of Object.entries(look.state)) if (value !== look.first[part]) written.set(part, value);
  return `#${written}`;
};

/** Return the state that an address names; parts that it does not name are as at first. */
look.read = (hash) => {
  const state = { ...look.first };
  for (const [part, text] of new URLSearchParams(hash.slice(1))) if (part in state) state[part] = typeof state[part] === "number" ? Number(text) : text;
  return state;
};

/** What the pointer is over for the moment, or null: shown in place of what is chosen, kept nowhere. */
look.hover = (t) => {
  if (t === look.hovered) return;
  look.hovered = t;
  look.touch("hovered");
};

look.step = () => look.hovered ?? look.state.t;
