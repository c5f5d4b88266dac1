"use strict";
// Last of all scripts: read the data, then show. What fails is said on the page, and thrown for those who look closer.

(async () => {
  try {
    await bptt.unpack?.();
    for (const show of bptt.shows) await show();
    document.documentElement.dataset.ready = "";
    performance.mark("bptt-ready");
  } catch (error) {
    document.querySelector("main").prepend(bptt.element("p", { class: "failed", role: "alert",
      text: `This page could not be shown (${error.message}). It wants a browser of 2024 or later.` }));
    throw error;
  }
})();
