"use strict";
// Pane 1: the text, coloured by one value of one unit or by the loss.

look.textPane = (run, column) => {
  const passage = new Passage(run, { label: `The text of ${run.name}. Arrow keys move the step; with Shift they mark a stretch.`, marks: true });
  const facts = new Facts(run);
  const key = bptt.element("div", { class: "key" });
  const figure = look.figure(column, run, "text", "Text");
  figure.append(key);
  look.series(run, figure);
  figure.append(bptt.element("div", { class: "side" }, passage.element, facts.element));
  passage.show(0, run.steps - 1);

  const colour = (t) => {
    if (look.state.shade === "loss") return bptt.sequential(run.loss.data[t] / run.mostLoss);
    return bptt.diverging(run.part(run.value, run.at(run.value, t, run.unit), run.unit));
  };
  const paint = () => {
    key.replaceChildren(...(look.state.shade === "loss" ? [lossLegend(run)] : [
      valueLegend(run, `${run.value.name} of unit ${run.unit}`, run.far(run.value, run.unit)), bptt.element("span", { class: "ui faint", text: run.following })]));
    passage.paint(colour);
  };
  const i = run.index;
  look.watch(`shade scale l${i} v${i} u${i}`, paint);
  bptt.onTheme(paint);
  look.watch("t", () => passage.choose(look.state.t));
  look.watch(`t hovered scale l${i} v${i} u${i}`, () => facts.show(look.step()));
  bptt.onTheme(() => facts.show(look.step()));
  look.watch("a b found", () => {
    const { a, b } = look.state;
    passage.mark("marked", (t) => a >= 0 && t >= a && t <= b);
    const also = new Set((run.found ?? []).flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, k) => from + k)));
    passage.mark("also", (t) => also.has(t));
  });

  const table = tableOf(figure, () => {
    const [from, to] = [Math.max(0, look.state.t - 50), Math.min(run.steps - 1, look.state.t + 50)];
    const rows = [["step", "token", "came", "loss", `${run.value.name} of unit ${run.unit}`]];
    for (let t = from; t <= to; t++)
      rows.push([t, visible(run.tokens[t]), visible(run.truth[t]), bptt.short(run.loss.data[t]), bptt.short(run.at(run.value, t, run.unit))]);
    return rows;
  });
  look.watch(`t l${i} v${i} u${i}`, table);
};
