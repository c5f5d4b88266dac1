"use strict";
// Which units stay on exactly in a stretch, and where else those are on together.
//   A unit is on at a step where its value is theta or more, in parts of what its darkest colour stands for; "-" before
//   a unit: where it is -theta or less. A run of a unit is a stretch of steps, of one sequence, in all of which it
//   is on, and which cannot be made longer. A unit stays on exactly in [a, b] if one of its runs begins within `edge` steps
//   of a and ends within `edge` steps of b.

const query = {
  isOn: (run, value, unit, sign, theta, t) => sign * run.part(value, run.at(value, t, unit), unit) >= theta,

  /** Return the run [from, to] of a unit that has step t in it, or null. */
  around: (run, value, unit, sign, theta, t) => {
    const on = (s) => query.isOn(run, value, unit, sign, theta, s);
    if (!on(t)) return null;
    let [from, to] = [t, t];
    while (from > run.begins[t] && on(from - 1)) from--;
    while (to < run.ends[t] && on(to + 1)) to++;
    return [from, to];
  },

  /** Return [{unit, sign, from, to, share, exact}], nearest first: each unit's run that shares most with [a, b]. */
  nearest: (run, value, { a, b, theta, edge }) => {
    const found = [];
    for (let unit = 0; unit < value.array.shape[1]; unit++)
      for (const sign of [1, -1]) {
        let best = null;
        for (let t = a; t <= b; t++) {
          const stretch = query.around(run, value, unit, sign, theta, t);
          if (!stretch) continue;
          const [from, to] = stretch;
          const share = (Math.min(b, to) - Math.max(a, from) + 1) / (Math.max(b, to) - Math.min(a, from) + 1);
          if (!best || share > best.share) best = { unit, sign, from, to, share, exact: Math.abs(from - a) <= edge && Math.abs(to - b) <= edge };
          t = Math.max(t, to);
        }
        if (best) found.push(best);
      }
    return found.sort((x, y) => y.exact - x.exact || y.share - x.share || x.unit - y.unit);
  },

  /** Return the stretches [from, to], but the marked one, where all of these units are on together, those as long as it first. */
  elsewhere: (run, value, units, { a, b, theta }) => {
    const found = [];
    if (!units.length) return found;
    let from = -1;
    for (let t = 0; t <= run.steps; t++) {
      const on = t < run.steps && units.every(({ unit, sign }) => query.isOn(run, value, unit, sign, theta, t));
      if (from >= 0 && (!on || run.begins[t] === t)) {
        if (t - 1 < a || from > b) found.push([from, t - 1]);
        from = -1;
      }
      if (on && from < 0) from = t;
    }
    const unlike = ([from, to]) => Math.abs(to - from - (b - a));
    return found.sort((x, y) => unlike(x) - unlike(y) || x[0] - y[0]);
  },
};
