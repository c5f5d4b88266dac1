"use strict";
// Light or dark: as the system says, or as the button in the header says, which this browser remembers. Paper is light.

(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const redraws = [];
  const WORDS = { "": "System colours", light: "Light", dark: "Dark" };

  /** Return "light" or "dark": what the page has now. */
  bptt.theme = () => root.dataset.theme || (system.matches ? "dark" : "light");

  /** Call `redraw` now and whenever the colours become others. */
  bptt.onTheme = (redraw) => {
    redraws.push(redraw);
    redraw();
  };

  /** Return one of the style's colours, such as "--accent", as it is now: what a canvas can be drawn with. */
  bptt.inked = (name) => {
    const probe = root.appendChild(bptt.element("i"));
    probe.style.color = `var(${name})`;
    const { color } = getComputedStyle(probe);
    probe.remove();
    return color;
  };

  const become = (theme) => {
    const before = bptt.theme();
    if (theme) root.dataset.theme = theme;
    else delete root.dataset.theme;
    button.textContent = WORDS[theme];
    button.setAttribute("aria-label", `Colours: ${WORDS[theme]}. Press for others.`);
    if (bptt.theme() !== before) redraws.forEach((redraw) => redraw());
  };

  const remembered = (value) => {
    try { // a browser may forbid it to a file
      if (value !== undefined) localStorage.setItem("bptt-theme", value);
      return localStorage.getItem("bptt-theme") ?? "";
    } catch {
      return value ?? "";
    }
  };

  const button = document.getElementById("theme");
  button.hidden = false;
  let chosen = remembered();
  if (!(chosen in WORDS)) chosen = "";
  become(chosen);
  button.addEventListener("click", () => {
    const all = Object.keys(WORDS);
    chosen = remembered(all[(all.indexOf(chosen) + 1) % all.length]);
    become(chosen);
  });
  system.addEventListener("change", () => redraws.forEach((redraw) => redraw()));
  addEventListener("beforeprint", () => become("light"));
  addEventListener("afterprint", () => become(chosen));
})();
