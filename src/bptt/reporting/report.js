"use strict";
// Runs beside each other: against what the charts are drawn, and the numbers under the pointer or the arrow keys.

bptt.ready(() => {
  const { runs, charts } = bptt.data;
  const WORDS = { valid_loss: "validation", train_loss: "training", grad_norm: "norm", lr: "rate" };
  const boxes = [...document.querySelectorAll(".chart")];
  const buttons = [...document.querySelectorAll("[data-choose]")];

  const choose = (against) => {
    for (const box of boxes) box.hidden = box.dataset.against !== against;
    for (const button of buttons) button.setAttribute("aria-pressed", button.dataset.choose === against);
  };
  const named = location.hash.slice(1);
  choose(buttons.some((button) => button.dataset.choose === named) ? named : "step");
  for (const button of buttons) {
    button.addEventListener("click", () => {
      choose(button.dataset.choose);
      history.replaceState(null, "", `#${button.dataset.choose}`);
      bptt.say(`All charts are drawn against ${button.textContent}.`);
    });
  }

  /** Return the index of the number nearest to x; the numbers rise. */
  const nearest = (numbers, x) => {
    let [low, high] = [0, numbers.length - 1];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (numbers[middle] < x) low = middle;
      else high = middle;
    }
    return x - numbers[low] < numbers[high] - x ? low : high;
  };

  /** Return what all runs have at a place of a chart, a line each. */
  const told = (chart, against, x) => {
    const lines = [`${against === "step" ? "step" : against} ${Math.round(x).toLocaleString("en")}`];
    for (const { name, lines: own } of runs) {
      const parts = charts[chart].flatMap((kind) => {
        const { shape: [, count], data } = own[kind][against];
        if (!count || x < data[0] * 0.999 || x > data[count - 1] * 1.001) return [];
        const value = data[count + nearest(data.subarray(0, count), x)];
        return [`${charts[chart].length > 1 ? `${WORDS[kind]} ` : ""}${Number(value.toPrecision(4))}`];
      });
      if (parts.length) lines.push(`${name}: ${parts.join(", ")}`);
    }
    return lines.join("\n");
  };

  for (const box of boxes) {
    const svg = box.querySelector("svg");
    const [[low, high, left, right], [, , foot, top]] = [svg.dataset.x, svg.dataset.y].map((text) => text.split(" ").map(Number));
    const { chart, against } = box.dataset;
    const rule = bptt.element("svg:line", { class: "rule", y1: top, y2: foot, visibility: "hidden", "data-not-saved": true });
    svg.append(rule);
    svg.setAttribute("tabindex", "0");
    let x = high;
    const show = (say) => {
      const place = left + ((x - low) / (high - low)) * (right - left);
      for (const end of ["x1", "x2"]) rule.setAttribute(end, place);
      rule.setAttribute("visibility", "visible");
      const frame = svg.getBoundingClientRect();
      const words = told(chart, against, x);
      bptt.tip.show(words, frame.left + (place / svg.viewBox.baseVal.width) * frame.width, frame.top + 24);
      if (say) bptt.say(words);
    };
    const hide = () => {
      rule.setAttribute("visibility", "hidden");
      bptt.tip.hide();
    };
    svg.addEventListener("pointermove", (event) => {
      const frame = svg.getBoundingClientRect();
      const place = ((event.clientX - frame.left) / frame.width) * svg.viewBox.baseVal.width;
      if (place < left || place > right) return hide();
      x = low + ((place - left) / (right - left)) * (high - low);
      show(false);
    });
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("blur", hide);
    svg.addEventListener("keydown", (event) => {
      const moves = { ArrowLeft: -0.02, ArrowRight: 0.02, PageDown: -0.1, PageUp: 0.1, Home: -1, End: 1 };
      if (!(event.key in moves)) return;
      event.preventDefault();
      x = Math.min(Math.max(x + moves[event.key] * (high - low), low), high);
      show(true);
    });
  }
});
