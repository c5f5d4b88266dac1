"use strict";
// A line chart: axes with numbers, lines, a rule where the pointer is.

/** Return a number of a logarithmic axis: 100, 0.01, 10⁻⁴. */
const power = (value) => {
  const exponent = Math.round(Math.log10(value));
  if (exponent >= -2 && exponent <= 4) return String(Number(value.toPrecision(3)));
  return bptt.ten(exponent);
};

class Chart {
  /** `x`, `y`: {words, log: 10, 2 or not at all}; `at(x)`: the pointer is there, null when it leaves; `choose(x)`: it is pressed. */
  constructor({ label, x, y, at, choose }) {
    Object.assign(this, { x, y, at, choose });
    this.svg = bptt.element("svg:svg", { class: "chart", role: "img", "aria-label": label });
    this.element = bptt.element("div", { class: "chart" }, this.svg);
    const under = (event) => this.unscale(event.clientX - this.svg.getBoundingClientRect().left);
    this.svg.addEventListener("pointermove", (event) => this.shown && this.at(under(event)));
    this.svg.addEventListener("pointerdown", (event) => this.shown && this.choose?.(under(event)));
    this.svg.addEventListener("pointerleave", () => this.at(null));
    new ResizeObserver(() => this.shown && this.draw(this.shown)).observe(this.element);
  }

  /** Draw lines, [{points: [[x, y], ...], colour, dash, thick}], between bounds [x0, x1] and [y0, y1]; notes: {x, words}. */
  draw(shown) {
    this.shown = shown;
    const width = this.element.clientWidth;
    if (!width) return;
    const height = Math.min(280, Math.max(190, width * 0.42));
    this.box = { left: 56, right: width - 14, top: 22, bottom: height - 44 };
    const { left, right, top, bottom } = this.box;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.setAttribute("width", width);
    this.svg.setAttribute("height", height);
    const parts = [];
    for (const value of this.ticks(shown.ys, this.y.log, 5)) {
      const y = this.down(value);
      parts.push(bptt.element("svg:line", { class: "grid", x1: left, x2: right, y1: y, y2: y }),
        bptt.element("svg:text", { class: "tick", x: left - 7, y: y + 3.5, "text-anchor": "end", text: this.y.text?.(value) ?? (this.y.log ? power(value) : bptt.short(value)) }));
    }
    for (const value of this.ticks(shown.xs, this.x.log, width / 90)) {
      const x = this.across(value);
      parts.push(bptt.element("svg:line", { class: "tick", x1: x, x2: x, y1: bottom, y2: bottom + 4 }),
        bptt.element("svg:text", { class: "tick", x, y: bottom + 17, "text-anchor": "middle", text: value.toLocaleString("en") }));
    }
    parts.push(bptt.element("svg:line", { class: "axis", x1: left, x2: right, y1: bottom, y2: bottom }),
      bptt.element("svg:text", { class: "words", x: (left + right) / 2, y: height - 6, "text-anchor": "middle", text: this.x.words }),
      bptt.element("svg:text", { class: "words", x: 4, y: 11, text: this.y.words }));
    for (const { x, words } of shown.notes ?? []) {
      const [at, isLate] = [this.across(x), this.across(x) > (left + right) / 2];
      parts.push(bptt.element("svg:line", { class: "note", x1: at, x2: at, y1: top, y2: bottom }),
        bptt.element("svg:text", { class: "words", x: at + (isLate ? -5 : 5), y: top + 10, "text-anchor": isLate ? "end" : "start", text: words }));
    }
    for (const { points, colour, dash, thick } of shown.lines) {
      let d = "", isOn = false;
      for (const [x, y] of points) {
        const ok = Number.isFinite(y) && (!this.y.log || y >= shown.ys[0]); // no logarithm is drawn that is below the axis
        if (ok) d += `${isOn ? "L" : "M"}${this.across(x).toFixed(1)} ${this.down(y).toFixed(1)}`;
        isOn = ok;
      }
      if (d) parts.push(bptt.element("svg:path", { class: "line", d, stroke: colour, "stroke-dasharray": dash ?? "none", "stroke-width": thick ? 2.6 : 1.4 }));
    }
    if (shown.rule !== null && shown.rule !== undefined)
      parts.push(bptt.element("svg:line", { class: "rule", x1: this.across(shown.rule), x2: this.across(shown.rule), y1: top, y2: bottom }));
    this.svg.replaceChildren(...parts);
  }

  part(value, [from, to], log) {
    const turn = log ? Math.log : (number) => number;
    return (turn(value) - turn(from)) / (turn(to) - turn(from) || 1);
  }

  across(value) {
    return this.box.left + this.part(value, this.shown.xs, this.x.log) * (this.box.right - this.box.left);
  }

  down(value) {
    const part = Math.min(Math.max(this.part(value, this.shown.ys, this.y.log), 0), 1);
    return this.box.bottom - part * (this.box.bottom - this.box.top);
  }

  unscale(pixels) {
    const [from, to] = this.shown.xs;
    const part = Math.min(Math.max((pixels - this.box.left) / (this.box.right - this.box.left), 0), 1);
    return this.x.log ? from * (to / from) ** part : from + part * (to - from);
  }

  /** Return round numbers between two bounds. */
  ticks([from, to], log, about) {
    if (log) {
      const [low, high] = [from, to].map((x) => Math.log(x) / Math.log(log));
      const every = Math.max(1, Math.ceil((high - low) / Math.max(about, 2)));
      const found = [];
      for (let exponent = Math.ceil(low - 1e-9); exponent <= high + 1e-9; exponent += every) found.push(log ** exponent);
      return found;
    }
    const rough = (to - from) / Math.max(about, 2);
    const power = 10 ** Math.floor(Math.log10(rough || 1));
    const step = [1, 2, 5, 10].map((k) => k * power).find((k) => k >= rough * 0.999);
    const found = [];
    for (let k = Math.ceil(from / step - 1e-9); k * step <= to + step * 1e-9; k++) found.push(Number((k * step).toPrecision(12)));
    return found;
  }
}
