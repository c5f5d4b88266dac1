"use strict";
// Keys that work anywhere on the page but in a field, and the dialog that lists them.

look.keys = () => {
  const dialog = document.getElementById("help");
  const single = document.getElementById("single-keys");
  document.getElementById("help-button").addEventListener("click", () => dialog.showModal());
  const link = document.getElementById("link");
  link.hidden = location.protocol === "about:"; // a page within a page has no address
  link.addEventListener("click", async () => {
    look.keep();
    try {
      await navigator.clipboard.writeText(location.href);
      bptt.say("The link is copied.");
      link.textContent = "Copied";
    } catch {
      bptt.say("The link is in the address bar.");
      link.textContent = "It is in the address bar";
    }
    setTimeout(() => (link.textContent = "Copy link"), 2000);
  });

  /** Move the step; with Shift, mark from where it was. */
  const move = (by, marks) => {
    const { t, a, b } = look.state;
    const to = Math.min(Math.max(t + by, 0), look.steps - 1);
    if (!marks) return look.set({ t: to });
    const start = a < 0 ? t : t === b ? a : t === a ? b : t; // the end that stays
    look.set({ t: to, a: start, b: to });
  };
  const unit = (by) => look.runs.forEach((run) => run.choose({ u: run.unit + by }));
  const value = () => look.runs.forEach((run) => {
    const names = run.layer.values.map(({ name }) => name);
    run.choose({ v: names[(names.indexOf(run.value.name) + 1) % names.length] });
  });
  const mark = () => {
    const [run] = look.runs;
    const sign = Math.sign(run.at(run.value, look.state.t, run.unit)) || 1;
    const found = query.around(run, run.value, run.unit, sign, look.state.theta, look.state.t);
    if (found) look.set({ a: found[0], b: found[1] });
    else bptt.say("This unit is not on at this step.");
  };
  look.mark = mark;
  const SINGLE = { "[": () => unit(-1), "]": () => unit(1), v: value, m: mark, l: () => look.set({ shade: look.state.shade === "loss" ? "value" : "loss" }), "?": () => dialog.showModal() };
  for (const [k, pane] of ["text", "units", "gradient", "truncation"].entries())
    SINGLE[k + 1] = () => { const heading = document.getElementById(pane); heading.scrollIntoView(); heading.focus(); };

  addEventListener("keydown", (event) => {
    const { target, key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || dialog.open) return;
    if (target instanceof Element && target.closest("input:not([type=checkbox]), select, textarea, [role=region]")) return;
    const by = { ArrowRight: 1, ArrowLeft: -1 }[key];
    if (by) move(by, event.shiftKey);
    else if (key === "Escape") look.set({ a: -1, b: -1 });
    else if (key in SINGLE && single.checked) SINGLE[key]();
    else if (target instanceof Element && target.matches(".passage, .heat") && ["Home", "End", "PageUp", "PageDown"].includes(key))
      move({ Home: -look.steps, End: look.steps, PageUp: -50, PageDown: 50 }[key], event.shiftKey);
    else return;
    event.preventDefault();
  });
};
