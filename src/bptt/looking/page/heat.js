"use strict";
// Units by time as a picture on a canvas: a row for each unit, in an order; a column for each step that is in sight.

class Heat {
  static LEFT = 58; // the orders' measure, as bars
  static TOP = 22; // the property, and where else the units are on

  constructor(run, label) {
    this.run = run;
    this.picture = bptt.element("canvas", { "aria-hidden": "true" });
    this.marks = bptt.element("canvas", { "aria-hidden": "true" });
    this.element = bptt.element("div", { class: "heat", tabindex: "0", role: "group", "aria-label": label }, this.picture, this.marks);
    this.first = 0;
  }

  /** Fit the canvases to the width there is; return whether there is any. */
  fit(units) {
    const width = this.element.clientWidth;
    if (!width) return false;
    this.row = Math.max(1, Math.min(18, Math.floor(420 / units)));
    this.width = width - Heat.LEFT - 1;
    this.height = this.row * units;
    this.units = units;
    const [w, h] = [width, this.height + Heat.TOP + 34];
    this.ratio = devicePixelRatio || 1;
    for (const canvas of [this.picture, this.marks]) {
      [canvas.width, canvas.height] = [Math.round(w * this.ratio), Math.round(h * this.ratio)];
      [canvas.style.width, canvas.style.height] = [`${w}px`, `${h}px`];
    }
    this.element.style.height = `${h}px`;
    return true;
  }

  /** Say how many steps are in sight, and have one of them in it. */
  window(count, t) {
    this.count = Math.max(1, Math.min(count, this.run.steps));
    const last = this.run.steps - this.count;
    if (t < this.first || t >= this.first + this.count) this.first = t - Math.floor(this.count / 3);
    this.first = Math.min(Math.max(this.first, 0), last);
    this.step = this.width / this.count;
  }

  pen(canvas) {
    const pen = canvas.getContext("2d");
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.font = '10.5px system-ui, "DejaVu Sans", sans-serif';
    return pen;
  }

  x(t) {
    return Heat.LEFT + (t - this.first) * this.step;
  }

  y(place) {
    return Heat.TOP + place * this.row;
  }

  /** Draw the values; `order`: units by row; `bars`: a number from -1 to 1 for each row, or null; `property` by step, or null. */
  draw(value, order, bars, property) {
    const pen = this.pen(this.picture);
    const { data, shape } = value.array;
    const fars = order.map((unit) => this.run.far(value, unit));
    const columns = Math.min(this.count, Math.ceil(this.width * this.ratio));
    const image = new ImageData(columns, order.length);
    const palette = bptt.colours.diverging;
    for (let column = 0; column < columns; column++) {
      const from = this.first + Math.floor((column * this.count) / columns);
      const to = Math.max(from + 1, this.first + Math.floor(((column + 1) * this.count) / columns));
      for (let place = 0; place < order.length; place++) {
        let sum = 0;
        for (let t = from; t < to; t++) sum += data[t * shape[1] + order[place]];
        const part = sum / (to - from) / fars[place];
        const { rgb } = palette[Math.round((Math.min(Math.max(part, -1), 1) + 1) * 127)] ?? { rgb: [128, 128, 128] };
        image.data.set([...rgb, 255], 4 * (place * columns + column));
      }
    }
    const small = new OffscreenCanvas(columns, order.length);
    small.getContext("2d").putImageData(image, 0, 0);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(small, Heat.LEFT, Heat.TOP, this.width, this.height);
    [this.ink, this.faint, this.accent] = ["--ink", "--faint", "--accent"].map(bptt.inked);
    this.around(pen, order, bars);
    if (property) this.strip(pen, property);
    this.axis(pen);
  }

  /** The frame, and in the margin the measure of the order, and the units' numbers where there is room. */
  around(pen, order, bars) {
    pen.strokeStyle = this.faint;
    pen.lineWidth = 0.5;
    pen.strokeRect(Heat.LEFT - 0.25, Heat.TOP - 0.25, this.width + 0.5, this.height + 0.5);
    pen.fillStyle = this.faint;
    bars?.forEach((part, place) => {
      pen.globalAlpha = (part < 0 ? 0.35 : 0.75) * (this.row < 10 ? 1 : 0.5);
      const length = Math.abs(part) * (Heat.LEFT - 14);
      pen.fillRect(Heat.LEFT - 4 - length, this.y(place) + 0.1 * this.row, length, Math.max(0.8 * this.row, 0.7));
    });
    pen.globalAlpha = 1;
    if (this.row < 10) return;
    pen.fillStyle = this.ink;
    pen.textAlign = "right";
    order.forEach((unit, place) => pen.fillText(unit, Heat.LEFT - 10, this.y(place) + this.row / 2 + 3.5));
  }

  /** A property, above the picture: as high as it is large. */
  strip(pen, { array, kind }) {
    const numbers = array.data.filter((x) => !Number.isNaN(x));
    const most = kind === "number" ? numbers.reduce((x, y) => Math.max(x, y), 1e-9) : 1;
    pen.fillStyle = this.ink;
    pen.globalAlpha = 0.55;
    for (let t = this.first; t < this.first + this.count; t++) {
      const height = (Math.max(0, array.data[t]) / most) * (Heat.TOP - 10) || 0;
      pen.fillRect(this.x(t), Heat.TOP - 4 - height, Math.max(this.step - (this.step > 3 ? 0.6 : 0), 0.6), height);
    }
    pen.globalAlpha = 1;
  }

  /** Below: the tokens where there is room, and numbers of steps. */
  axis(pen) {
    const below = Heat.TOP + this.height;
    pen.fillStyle = this.ink;
    pen.textAlign = "center";
    const wide = this.run.between ? 30 : 7;
    if (this.step >= wide)
      for (let t = this.first; t < this.first + this.count; t++) {
        const text = visible(this.run.tokens[t]);
        const most = Math.max(1, Math.floor(this.step / 6.5));
        pen.globalAlpha = /^[␣↵⇥]+$/.test(text) ? 0.35 : 0.9;
        pen.fillText(text.length > most ? `${text.slice(0, most - 1)}…` : text, this.x(t) + this.step / 2, below + 12);
      }
    pen.globalAlpha = 1;
    pen.fillStyle = this.faint;
    const every = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000].find((k) => k * this.step >= 52) ?? 10000;
    for (let t = Math.ceil(this.first / every) * every; t < this.first + this.count; t += every) {
      const x = this.x(t) + this.step / 2;
      if (x < this.width + Heat.LEFT - 8) pen.fillText(t.toLocaleString("en"), x, below + 28);
      pen.fillRect(x - 0.25, below, 0.5, 3);
    }
  }

  /** Draw what is chosen over the picture: a step, a unit's row, a stretch, and where else. */
  over({ t, place, a, b, found, rows }) {
    const pen = this.pen(this.marks);
    pen.save();
    pen.beginPath();
    pen.rect(Heat.LEFT - 1, 0, this.width + 2, this.height + Heat.TOP + 4);
    pen.clip();
    if (a >= 0) {
      pen.strokeStyle = this.accent;
      pen.lineWidth = 2;
      pen.strokeRect(this.x(a), Heat.TOP - 3, (b - a + 1) * this.step, this.height + 6);
    }
    pen.fillStyle = this.accent;
    for (const [from, to] of found) pen.fillRect(this.x(from), Heat.TOP - 3, Math.max((to - from + 1) * this.step, 1.5), 3);
    pen.strokeStyle = this.ink;
    pen.lineWidth = 1;
    const x = this.x(t);
    pen.strokeRect(x, Heat.TOP - 1, Math.max(this.step, 1.5), this.height + 2);
    if (place >= 0) pen.strokeRect(Heat.LEFT, this.y(place) - 0.5, this.width, this.row + 1);
    pen.restore();
    pen.fillStyle = this.accent;
    for (const row of rows) pen.fillRect(Heat.LEFT - 3, this.y(row), 3, Math.max(this.row, 2));
    if (place >= 0) {
      const [y, size] = [this.y(place) + this.row / 2, 4];
      pen.beginPath();
      pen.fillStyle = this.ink;
      pen.moveTo(Heat.LEFT - 1, y);
      pen.lineTo(Heat.LEFT - 1 - size * 1.5, y - size);
      pen.lineTo(Heat.LEFT - 1 - size * 1.5, y + size);
      pen.fill();
    }
  }

  /** Return the step and the row that a pointer is over; null where it is over none. */
  under(event) {
    const box = this.element.getBoundingClientRect();
    const t = Math.floor((event.clientX - box.left - Heat.LEFT) / this.step) + this.first;
    const place = Math.floor((event.clientY - box.top - Heat.TOP) / this.row);
    const isIn = t >= this.first && t < this.first + this.count;
    return { t: Math.min(Math.max(t, 0), this.run.steps - 1), place: place >= 0 && place < this.units ? place : -1, isIn };
  }
}
