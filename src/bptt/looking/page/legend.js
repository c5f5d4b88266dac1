"use strict";
// What the colours mean: a bar with numbers below it.

/** Return a legend. `colour(part)`, part 0 to 1 from left to right; `ticks`: [part, text] pairs. */
const legend = (words, colour, ticks) => {
  const [width, height] = [168, 9];
  const svg = bptt.element("svg:svg", { class: "legend", width: width + 60, height: 30, viewBox: `-30 0 ${width + 60} 30`, role: "img",
    "aria-label": `${words}: ${ticks.map(([, text]) => text).join(", ")}` });
  const cells = 56;
  for (let k = 0; k < cells; k++)
    svg.append(bptt.element("svg:rect", { x: (k * width) / cells, y: 1, width: width / cells + 0.5, height, fill: colour((k + 0.5) / cells).css }));
  svg.append(bptt.element("svg:rect", { class: "frame", x: 0, y: 1, width, height }));
  for (const [part, text] of ticks) {
    svg.append(bptt.element("svg:line", { class: "tick", x1: part * width, x2: part * width, y1: height + 1, y2: height + 4 }));
    svg.append(bptt.element("svg:text", { class: "tick", x: part * width, y: height + 17, "text-anchor": "middle", text }));
  }
  return bptt.element("div", { class: "legend" }, bptt.element("span", { class: "ui faint", text: words }), svg);
};

/** Return the legend of a value, whose zero is the palette's middle, up to a size. */
const valueLegend = (run, words, far) => {
  if (run.value.lo >= 0) return legend(words, (part) => bptt.diverging(part), [[0, "0"], [0.5, bptt.short(far / 2)], [1, bptt.short(far)]]);
  return legend(words, (part) => bptt.diverging(2 * part - 1), [[0, bptt.short(-far)], [0.5, "0"], [1, bptt.short(far)]]);
};

const lossLegend = (run) =>
  legend(`loss${run.nats && ","}${run.nats}`, bptt.sequential, [[0, "0"], [0.5, bptt.short(run.mostLoss / 2)], [1, `${bptt.short(run.mostLoss)} +`]]);

/** Return a legend of norms, three decades or more, by their logarithm. */
const normLegend = (words, most, decades) =>
  legend(words, bptt.sequential, [[0, `≤ ${bptt.short(most / 10 ** decades)}`], [0.5, bptt.short(most / 10 ** (decades / 2))], [1, bptt.short(most)]]);

/** Give a figure a table that says what its picture shows, made when it is opened; and anew when it changes while open. */
const tableOf = (figure, rows) => {
  const box = bptt.element("div", { class: "scrolls", tabindex: "0", role: "region", "aria-label": `${figure.dataset.name}, as a table` });
  const details = bptt.element("details", { class: "table" }, bptt.element("summary", { text: "As a table" }), box);
  const fill = () => {
    if (!details.open) return;
    const [head, ...body] = rows();
    const row = (cells, tag) => bptt.element("tr", {}, ...cells.map((text, k) =>
      bptt.element(k ? tag : "th", { text, scope: tag === "th" ? "col" : k ? null : "row" })));
    box.replaceChildren(bptt.element("table", {}, bptt.element("thead", {}, row(head, "th")),
      bptt.element("tbody", {}, ...body.map((cells) => row(cells, "td")))));
  };
  details.addEventListener("toggle", fill);
  figure.append(details);
  return fill;
};
