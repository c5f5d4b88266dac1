"use strict";
// Tokens as a text to read: one span each, coloured by whoever shows them; pointer and arrow keys move through it.

class Passage {
  /** `label` names it for screen readers; `marks`: whether a stretch can be marked by dragging. */
  constructor(run, { label, marks = false }) {
    this.run = run;
    const dir = /^\P{L}*[\u0590-\u08ff]/u.test(run.words(0, 500)) ? "rtl" : "ltr"; // dir="auto" would be found out for each token anew
    this.element = bptt.element("div", { class: `passage${run.between ? " apart" : ""}`, role: "group", tabindex: "0", dir, "aria-label": label });
    this.spans = new Map();
    this.element.addEventListener("pointermove", (event) => this.point(event, marks));
    this.element.addEventListener("pointerleave", () => look.hover(null));
    this.element.addEventListener("pointerdown", (event) => {
      const t = this.under(event);
      if (t === null || event.button) return;
      this.from = t;
      look.set({ t, ...(marks && event.shiftKey ? { a: look.state.t, b: t } : {}) });
    });
    addEventListener("pointerup", () => (this.from = null));
    this.element.addEventListener("keydown", (event) => this.key(event));
  }

  /** Show these steps, both ends included. */
  show(from, to) {
    if (this.first === from && this.last === to) return;
    [this.first, this.last] = [from, to];
    this.spans.clear();
    const parts = document.createDocumentFragment();
    for (let t = from; t <= to; t++) {
      if (t > from && this.run.begins[t] === t) parts.append(bptt.element("span", { class: "begins", text: "¶", "aria-hidden": "true" }), "\n");
      const token = this.run.tokens[t];
      const span = document.createElement("span");
      span.dataset.t = t;
      if (token === " ") span.className = "space";
      for (const piece of token.split(/(\n|\t)/)) {
        if (piece === "\n") span.append(Passage.soft("↵"), "\n");
        else if (piece === "\t") span.append(Passage.soft("⇥"), "\t");
        else if (piece) span.append(piece.replace(HIDDEN, named));
      }
      if (token === "") span.append(Passage.soft("∅"));
      this.spans.set(t, span);
      parts.append(span);
      if (this.run.between) parts.append(this.run.between);
    }
    this.element.replaceChildren(parts);
  }

  static soft(sign) {
    return bptt.element("span", { class: "soft", text: sign, "aria-hidden": "true" });
  }

  /** Colour every token: `colour(t)` gives a palette's entry, or null. */
  paint(colour) {
    for (const [t, span] of this.spans) {
      const { css = "", ink = "" } = colour(t) ?? {};
      span.style.backgroundColor = css;
      span.style.color = ink;
    }
  }

  /** Give a class to the tokens for which `holds(t)`. */
  mark(name, holds) {
    for (const [t, span] of this.spans) span.classList.toggle(name, Boolean(holds(t)));
  }

  /** Mark the chosen token, and have it in sight within the passage; the page itself is not scrolled. */
  choose(t) {
    this.chosen?.classList.remove("chosen");
    this.chosen?.removeAttribute("data-marked");
    const span = (this.chosen = this.spans.get(t));
    if (!span) return;
    span.classList.add("chosen");
    span.dataset.marked = "";
    const [at, frame] = [span.getBoundingClientRect(), this.element.getBoundingClientRect()];
    if (at.top < frame.top + 4 || at.bottom > frame.bottom - 4) this.element.scrollTop += at.top - frame.top - frame.height / 3;
  }

  under(event) {
    const found = event.target instanceof Element && event.target.closest("[data-t]");
    return found ? Number(found.dataset.t) : null;
  }

  point(event, marks) {
    const t = this.under(event);
    if (t === null) return;
    look.hover(t);
    if (marks && event.buttons === 1 && this.from !== null && this.from !== undefined && t !== this.from) look.set({ t, a: this.from, b: t });
  }

  /** Up and down go to the line above or below; keys.js has the keys that go along. */
  key(event) {
    const down = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!down || !this.chosen || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const centre = (span) => {
      const { left, right, top, bottom } = span.getClientRects()[0] ?? span.getBoundingClientRect();
      return [(left + right) / 2, (top + bottom) / 2];
    };
    const [x, y] = centre(this.chosen);
    let [best, line] = [null, null];
    for (let t = look.state.t + down; this.spans.has(t); t += down) {
      const [there, height] = centre(this.spans.get(t));
      if (Math.abs(height - y) < 4) continue;
      line ??= height;
      if (Math.abs(height - line) > 4) break;
      if (best === null || Math.abs(there - x) < best[1]) best = [t, Math.abs(there - x)];
    }
    if (best) look.set({ t: best[0] });
  }
}
