"use strict";
// One tip for the whole page: `bptt.tip.show(text, x, y)` beside a point, and by itself for whatever has `data-tip`.

(() => {
  const tip = document.getElementById("tip");

  bptt.tip = {
    show: (words, x, y) => {
      tip.textContent = words;
      tip.hidden = false;
      const { width, height } = tip.getBoundingClientRect();
      const left = Math.max(4, Math.min(x + 14, innerWidth - width - 8));
      const top = y + 18 + height > innerHeight ? y - height - 10 : y + 18;
      tip.style.left = `${left}px`;
      tip.style.top = `${Math.max(4, top)}px`;
    },
    hide: () => {
      tip.hidden = true;
    },
  };

  const at = (event) => event.target instanceof Element && event.target.closest("[data-tip]");
  addEventListener("pointerover", (event) => {
    const found = at(event);
    if (found) bptt.tip.show(found.dataset.tip, event.clientX, event.clientY);
  });
  addEventListener("pointerout", (event) => at(event) && bptt.tip.hide());
  addEventListener("focusin", (event) => {
    const found = at(event);
    if (!found) return;
    const { left, bottom } = found.getBoundingClientRect();
    bptt.tip.show(found.dataset.tip, left, bottom);
  });
  addEventListener("focusout", () => bptt.tip.hide());
  addEventListener("keydown", (event) => event.key === "Escape" && bptt.tip.hide());
})();
