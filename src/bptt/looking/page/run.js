"use strict";
// One of the page's runs: what is chosen of it, and its numbers by name, step and unit.

class Run {
  constructor(seen, index) {
    Object.assign(this, seen, { index });
    this.steps = this.tokens.length;
    this.begins = new Int32Array(this.steps); // the step at which each step's sequence begins
    this.ends = new Int32Array(this.steps);
    const starts = [...this.starts.data, this.steps];
    for (let k = 0; k + 1 < starts.length; k++) {
      this.begins.fill(starts[k], starts[k], starts[k + 1]);
      this.ends.fill(starts[k + 1] - 1, starts[k], starts[k + 1]);
    }
    // what a reader sees between two tokens: nothing where they are characters, or bring their spaces with them
    const few = this.tokens.slice(0, 2000);
    const short = few.filter((token) => [...token].length <= 1).length;
    this.between = short > 0.8 * few.length || few.some((token) => /^\s|\s$/.test(token)) ? "" : " ";
  }

  /** What a loss is measured in: of guesses with probabilities nats. */
  get nats() {
    return this.guesses?.p ? " nats" : "";
  }

  /** The steps whose loss there is a gradient of, which goes back from there. */
  get losses() {
    const { gradient } = this.layer;
    return (gradient.losses ??= Array.from({ length: this.steps }, (_, t) => t).filter((t) => this.norm(t, 0, 0) > 0));
  }

  chosen(part) {
    return look.state[part + this.index];
  }

  choose(changes) {
    look.set(Object.fromEntries(Object.entries(changes).map(([part, value]) => [part + this.index, value])));
  }

  get layer() {
    return this.layers[this.chosen("l")];
  }

  get value() {
    return this.named(this.chosen("v"));
  }

  get unit() {
    return this.chosen("u");
  }

  named(name) {
    return this.layer.values.find((value) => value.name === name);
  }

  /** Return a value's number; NaN where there is none. */
  at(value, t, unit) {
    const [steps, units] = value.array.shape;
    return t < 0 || t >= steps || unit >= units ? NaN : value.array.data[t * units + unit];
  }

  /** Return the step that is k earlier in the layer's order, or -1. */
  earlier(t, k) {
    const there = this.layer.reverse ? t + k : t - k;
    return there < this.begins[t] || there > this.ends[t] ? -1 : there;
  }

  /** Return the size that the darkest colour stands for: a unit's own largest, or one for all units, as gates have it. */
  far(value, unit) {
    if (!this.isOwn(value)) return Math.max(Math.abs(value.lo), Math.abs(value.hi)) || 1;
    const { lo, hi } = value.array; // what each unit spans
    return Math.max(Math.abs(lo[unit]), Math.abs(hi[unit])) || 1;
  }

  isOwn(value) {
    return value.kind !== "gate" && look.state.scale === "own";
  }

  /** Return a unit's number as a part of that size: -1 to 1, its zero the palette's middle. */
  part(value, number, unit) {
    return number / this.far(value, unit);
  }

  /** Return in words which properties the chosen unit follows most. */
  get following() {
    const { follows, follows_of: of, units } = this.layer;
    if (this.unit >= follows.shape[1]) return "";
    const all = this.properties.map(({ name }, k) => [name, follows.data[k * units + this.unit]]).filter(([, r]) => Math.abs(r) >= 0.1);
    all.sort(([, x], [, y]) => Math.abs(y) - Math.abs(x));
    return all.length ? `its ${of} follows ${all.slice(0, 2).map(([name, r]) => `${name} (${bptt.short(r)})`).join(", ")}` : "";
  }

  /** The loss that the darkest colour stands for: one token in fifty has a greater one. */
  get mostLoss() {
    if (this.most === undefined) {
      const sorted = this.loss.data.filter((x) => !Number.isNaN(x)).sort();
      this.most = sorted.length ? sorted[Math.floor((sorted.length - 1) * 0.98)] || 1 : 1;
    }
    return this.most;
  }

  /** Return the gradient's norm of step t, k steps before, along a path by its place; NaN where there is none. */
  norm(t, k, path) {
    const { shape, data } = this.layer.gradient.norm;
    const norm = data[(path * shape[1] + t) * shape[2] + k];
    return norm <= this.least ? 0 : norm; // what was smaller is kept as the least
  }

  /** The smallest norm that is kept of the layer. */
  get least() {
    return this.layer.gradient.norm.lo * 1.0001;
  }

  /** Return that norm in words. */
  normWords(t, k, path) {
    const norm = this.norm(t, k, path);
    return norm === 0 ? `< ${bptt.short(this.least)}` : bptt.short(norm);
  }

  /** Return the norms of step t by lag along a path, as [lag, norm], up to where its sequence begins. */
  curve(t, path) {
    const found = [];
    for (let k = 0; k <= this.layer.gradient.lags && this.earlier(t, k) >= 0; k++) found.push([k, this.norm(t, k, path)]);
    return found;
  }

  /** Return the squared norms by lag along a path, added over all steps. */
  squares(path) {
    const { gradient } = this.layer;
    gradient.squares ??= {};
    return (gradient.squares[path] ??= this.squaresOf(path, this.losses));
  }

  /** Return them of some steps. */
  squaresOf(path, steps) {
    const sums = new Float64Array(this.layer.gradient.lags + 1);
    for (const t of steps) for (let k = 0; k < sums.length; k++) sums[k] += this.norm(t, k, path) ** 2 || 0;
    return sums;
  }

  /** Return the greatest norm of step t, of all lags and paths; 0 where there is none. */
  mostNorm(t) {
    return this.layer.gradient.paths.reduce((most, _, path) => this.curve(t, path).reduce((x, [, y]) => (y > x ? y : x), most), 0);
  }

  get path() {
    return this.layer.gradient.paths.findIndex(({ name }) => name === this.chosen("p"));
  }

  /** Return some tokens as one text. */
  words(from, to) {
    return this.tokens.slice(Math.max(0, from), to + 1).join(this.between);
  }
}

/** Return a token so that it can be seen, whatever it is. */
const visible = (token) =>
  token === null || token === undefined ? "–"
    : token === "" ? "∅"
      : token.replaceAll("\n", "↵").replaceAll("\t", "⇥").replaceAll("\r", "␍").replace(/^ +$/, (s) => "␣".repeat(s.length)).replace(HIDDEN, named);

/** Characters that nobody sees, or that turn the order of others round. */
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const named = (character) => {
  const code = character.charCodeAt(0);
  return code < 0x20 ? String.fromCharCode(0x2400 + code) : `⟨${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
};
const quoted = (token) => `“${visible(token)}”`;
