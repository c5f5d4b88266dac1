"use strict";
// What is known of one step: what stood there and what came, the guesses, and the cell's equations with a unit's numbers.

class Facts {
  constructor(run) {
    this.run = run;
    this.element = bptt.element("div", { class: "facts" });
  }

  show(t) {
    this.element.replaceChildren(this.heading(t), this.guesses(t), this.equations(t));
  }

  heading(t) {
    const { run } = this;
    const loss = run.loss.data[t];
    return bptt.element("p", { class: "at ui" },
      bptt.element("span", { class: "faint", text: `step ${t.toLocaleString("en")}` }), " ",
      bptt.element("b", { class: "token", text: visible(run.tokens[t]) }),
      run.truth[t] === null ? null : bptt.element("span", { class: "faint", text: " then came " }),
      run.truth[t] === null ? null : bptt.element("b", { class: "token", text: visible(run.truth[t]) }),
      Number.isNaN(loss) ? null : bptt.element("span", { class: "faint", text: ` loss ${bptt.short(loss)}${run.nats}` }));
  }

  guesses(t) {
    const { run } = this;
    const list = bptt.element("div", { class: "guesses", role: "img" });
    if (!run.guesses) return list;
    if (run.guesses.mean) {
      const { mean, low, high } = run.guesses;
      const range = low ? `, between ${bptt.short(low.data[t])} and ${bptt.short(high.data[t])}` : "";
      return bptt.element("p", { class: "ui", text: `guessed ${bptt.short(mean.data[t])}${range}; came ${run.truth[t] ?? "–"}` });
    }
    const most = run.guesses.p.shape[1];
    const rows = [];
    for (let k = 0; k < most; k++) {
      const p = run.guesses.p.data[t * most + k];
      if (p > 0) rows.push([run.vocabulary[run.guesses.tokens.data[t * most + k]], p]);
    }
    const loss = run.loss.data[t];
    if (run.truth[t] !== null && !Number.isNaN(loss) && !rows.some(([token]) => token === run.truth[t])) rows.push([run.truth[t], Math.exp(-loss)]);
    list.setAttribute("aria-label", `Guesses: ${rows.map(([token, p]) => `${visible(token)} ${percent(p)}`).join(", ")}`);
    for (const [token, p] of rows) {
      const came = token === run.truth[t];
      const bar = bptt.element("span", { class: "bar" });
      bar.style.width = `${Math.max(p * 100, 0.4)}%`;
      list.append(bptt.element("div", { class: came ? "guess came" : "guess" }, bptt.element("span", { class: "token", text: visible(token) }),
        bptt.element("span", { class: "room" }, bar), bptt.element("span", { class: "p", text: percent(p) })));
    }
    return list;
  }

  equations(t) {
    const { run } = this;
    const { layer, unit } = run;
    const box = bptt.element("div", { class: "equations" });
    if (!layer.equations.length) return box;
    box.append(bptt.element("p", { class: "ui faint", text: `unit ${unit}${run.layers.length > 1 ? ` of ${layer.name}` : ""}: its numbers under the symbols` }));
    for (const { terms, text } of layer.equations) {
      const line = bptt.element("div", { class: "equation", role: "math", "aria-label": this.spoken(terms, text, t) });
      for (const term of terms) line.append(this.term(term, t));
      box.append(line);
    }
    return box;
  }

  /** Return a term's number at a step, or null: values by their name, constants of the unit by theirs. */
  number({ value, before, constant: named }, t) {
    const { run } = this;
    const found = value === undefined ? undefined : run.named(value);
    if (found) {
      if (found.summary) return null; // several numbers, of which the picture shows one measure
      const at = before ? run.earlier(t, 1) : t;
      return at < 0 ? 0 : run.at(found, at, run.unit);
    }
    const constant = run.layer.constants[named];
    if (constant === undefined || constant === null) return null;
    return typeof constant === "number" ? constant : constant.data?.[run.unit] ?? null;
  }

  term(term, t) {
    const number = this.number(term, t);
    if (number === null) return bptt.element("span", { class: "sign" }, ...written(term.t));
    const { run } = this;
    const value = run.named(term.value);
    const under = bptt.element("span", { class: "number", text: bptt.short(number) });
    if (value) {
      const { css, ink } = bptt.diverging(run.part(value, number, run.unit)) ?? {};
      if (css) [under.style.backgroundColor, under.style.color] = [css, ink];
    }
    return bptt.element("span", { class: "term" }, bptt.element("span", {}, ...written(term.t)), under);
  }

  spoken(terms, text, t) {
    const numbers = terms.map((term) => [term.t, this.number(term, t)]).filter(([, number]) => number !== null);
    return `${text}, with ${numbers.map(([sign, number]) => `${sign} ${bptt.short(number)}`).join(", ")}`;
  }
}

/** Return a part as per cent: 45 %, 3.2 %, < 0.1 %. */
const percent = (p) =>
  Number.isNaN(p) ? "–" : p > 0 && p < 0.0005 ? "< 0.1 %" : `${(p * 100).toFixed(p >= 0.0995 || p === 0 ? 0 : 1)} %`;

const GREEK = { alpha: "α", beta: "β", gamma: "γ", delta: "δ", lambda: "λ", mu: "μ", nu: "ν", sigma: "σ", tau: "τ", theta: "θ", phi: "φ", omega: "ω", rho: "ρ" };

/** Return a piece of an equation as it is set: names in italics with their index lowered, functions and numbers upright. */
const written = (piece) =>
  piece.split(/(\p{L}[\p{L}\d_]*)/u).filter((part) => part !== "").map((part) => {
    if (!/^\p{L}/u.test(part)) return part.replaceAll("-", "−").replace(/ \* /g, " · ");
    const [name, ...index] = part.split("_");
    if (!index.length && (name === "σ" || (name.length > 1 && !(name in GREEK)))) return part; // a function, or a word
    const below = index.map((word) => (word === "prev" ? "t−1" : word)).join(" ");
    return bptt.element("span", {}, bptt.element(name === "Σ" ? "span" : "i", { text: GREEK[name] ?? name }), below ? bptt.element("sub", { text: below }) : null);
  });
