"use strict";
// Pictures as SVG: `bptt.toSVG(element)` writes down what the browser has laid out (words with their fonts, colours behind
// them, canvases, pictures that are SVG already), so that whatever is on the page can be saved. Controls are left out, but
// for those with `data-saved`, whose words are part of what is shown.

(() => {
  const SPACE = "http://www.w3.org/2000/svg";
  const KEPT = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "stroke-linecap", "opacity",
    "fill-opacity", "stroke-opacity", "font-family", "font-size", "font-weight", "font-style", "text-anchor", "dominant-baseline"];
  const LEFT_OUT = "button:not([data-saved]), input, select, textarea, details, dialog, script, style, [data-not-saved]";
  const MARGIN = 12;
  const measure = document.createElement("canvas").getContext("2d");

  const make = (tag, attributes) => {
    const made = document.createElementNS(SPACE, tag);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const type = ({ fontFamily, fontSize, fontWeight, fontStyle }) =>
    ({ "font-family": fontFamily, "font-size": fontSize, "font-weight": fontWeight, "font-style": fontStyle });
  const rounded = (x) => Math.round(x * 100) / 100;
  const isClear = (colour) => colour === "transparent" || /(, 0\)|\/ 0\))$/.test(colour);

  /** Yield [text, box] for each line that a text node lies in. */
  function* lines(node) {
    const range = document.createRange();
    range.selectNodeContents(node);
    const boxes = range.getClientRects();
    if (boxes.length <= 1) {
      if (boxes.length) yield [node.data, boxes[0]];
      return;
    }
    let text = "", first = null, last = null;
    for (let i = 0; i < node.length; i++) {
      range.setStart(node, i);
      range.setEnd(node, i + 1);
      const box = range.getClientRects()[0];
      if (!box) continue;
      if (first && Math.abs(box.top - first.top) > 2) {
        yield [text, new DOMRect(first.left, first.top, last.right - first.left, first.height)];
        [text, first] = ["", null];
      }
      text += node.data[i];
      first ??= box;
      last = box;
    }
    if (first) yield [text, new DOMRect(first.left, first.top, last.right - first.left, first.height)];
  }

  class Writer {
    constructor(root) {
      const { left, top, width, height } = root.getBoundingClientRect();
      this.box = new DOMRect(left - MARGIN, top - MARGIN, width + 2 * MARGIN, height + 2 * MARGIN);
      this.svg = make("svg", { xmlns: SPACE, width: rounded(this.box.width), height: rounded(this.box.height),
        viewBox: `0 0 ${rounded(this.box.width)} ${rounded(this.box.height)}` });
      const paper = getComputedStyle(document.body).backgroundColor;
      this.svg.append(make("rect", { width: "100%", height: "100%", fill: paper }));
      this.clips = 0;
      this.dress(this.svg, getComputedStyle(root));
      this.visit(root, this.svg, this.box);
    }

    /** Give a group the type of most that is written in it, so that each word says only what differs. */
    dress(group, style) {
      group.type = type(style);
      for (const [key, value] of Object.entries(group.type)) group.setAttribute(key, value);
    }

    place(box) {
      return { x: rounded(box.left - this.box.left), y: rounded(box.top - this.box.top),
        width: rounded(box.width), height: rounded(box.height) };
    }

    visit(element, into, seen) {
      const style = getComputedStyle(element);
      if (style.display === "none" || style.visibility === "hidden" || element.matches(LEFT_OUT)) return;
      const box = element.getBoundingClientRect();
      if (style.display !== "contents" && box.width * box.height > 0) {
        if (box.bottom < seen.top || box.top > seen.bottom || box.right < seen.left || box.left > seen.right) return;
        this.behind(element, style, into);
      }
      if (element instanceof HTMLCanvasElement) {
        if (box.width && box.height) into.append(make("image", { ...this.place(box), href: element.toDataURL(), preserveAspectRatio: "none" }));
        return;
      }
      if (element instanceof SVGSVGElement) {
        into.append(this.copy(element, box));
        return;
      }
      if (style.overflowX !== "visible" || style.overflowY !== "visible") {
        const id = `clip${this.clips++}`;
        const clip = make("clipPath", { id });
        clip.append(make("rect", this.place(box)));
        const group = make("g", { "clip-path": `url(#${id})` });
        this.dress(group, style);
        into.append(clip, group);
        [into, seen] = [group, box];
      }
      for (const child of element.childNodes) {
        if (child instanceof Text) this.words(child, style, into, seen);
        else if (child instanceof Element) this.visit(child, into, seen);
      }
    }

    /** What lies behind an element's text: its background and its borders. */
    behind(element, style, into) {
      for (const box of element.getClientRects()) {
        const place = this.place(box);
        const rx = Math.min(parseFloat(style.borderTopLeftRadius) || 0, place.height / 2);
        if (!isClear(style.backgroundColor)) into.append(make("rect", { ...place, fill: style.backgroundColor, rx }));
        if (rx && style.borderTopStyle !== "none" && parseFloat(style.borderTopWidth) && style.borderTopColor === style.borderLeftColor) {
          into.append(make("rect", { ...place, rx, fill: "none", stroke: style.borderTopColor, "stroke-width": parseFloat(style.borderTopWidth) }));
          continue;
        }
        const [left, top, right, bottom] = [place.x, place.y, place.x + place.width, place.y + place.height];
        const sides = { Top: [left, top, right, top], Bottom: [left, bottom, right, bottom], Left: [left, top, left, bottom], Right: [right, top, right, bottom] };
        for (const [side, [x1, y1, x2, y2]] of Object.entries(sides)) {
          const width = parseFloat(style[`border${side}Width`]);
          if (width && style[`border${side}Style`] !== "none" && !isClear(style[`border${side}Color`]))
            into.append(make("line", { x1, y1, x2, y2, stroke: style[`border${side}Color`], "stroke-width": width }));
        }
        if (style.outlineStyle !== "none" && element.matches("[data-marked]"))
          into.append(make("rect", { ...place, fill: "none", stroke: style.outlineColor, "stroke-width": parseFloat(style.outlineWidth) }));
      }
    }

    words(node, style, into, seen) {
      if (!node.data.trim() || parseFloat(style.fontSize) === 0) return;
      measure.font = style.font;
      for (const [text, box] of lines(node)) {
        if (!text.trim() || box.bottom < seen.top || box.top > seen.bottom) continue;
        const { fontBoundingBoxAscent: up, fontBoundingBoxDescent: down } = measure.measureText("x");
        const differs = Object.entries(type(style)).filter(([key, value]) => into.type[key] !== value);
        const written = make("text", { x: rounded(box.left - this.box.left), y: rounded(box.top - this.box.top + (box.height - up - down) / 2 + up),
          fill: style.color, ...Object.fromEntries(differs) });
        if (/^\s|\s$|\s\s/.test(text)) written.setAttribute("xml:space", "preserve");
        if (text.trim().length > 1) written.setAttribute("textLength", rounded(box.width));
        if (parseFloat(style.opacity) < 1) written.setAttribute("opacity", style.opacity);
        written.textContent = text;
        into.append(written);
      }
    }

    copy(svg, box) {
      const copied = svg.cloneNode(true);
      const [from, to] = [[svg, ...svg.querySelectorAll("*")], [copied, ...copied.querySelectorAll("*")]];
      from.forEach((element, i) => {
        const style = getComputedStyle(element);
        for (const name of KEPT) to[i].setAttribute(name, style.getPropertyValue(name));
        to[i].removeAttribute("class");
        if (style.display === "none" || style.visibility === "hidden") to[i].setAttribute("display", "none");
      });
      for (const [key, value] of Object.entries(this.place(box))) copied.setAttribute(key, value);
      return copied;
    }
  }

  /** Return an element as the text of an SVG file, as it is laid out now. */
  bptt.toSVG = (element) => new XMLSerializer().serializeToString(new Writer(element).svg);

  const save = (figure) => {
    const link = document.createElement("a");
    const name = (figure.id || figure.querySelector("figcaption")?.textContent || "picture").trim().toLowerCase();
    link.download = `${name.replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 60)}.svg`;
    link.href = URL.createObjectURL(new Blob([bptt.toSVG(figure)], { type: "image/svg+xml" }));
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  };

  bptt.ready(() => {
    for (const figure of document.querySelectorAll("figure.picture")) {
      const name = figure.dataset.name || figure.id || "picture";
      const button = bptt.element("button", { type: "button", class: "save", text: "Save as SVG", "aria-label": `Save as SVG: ${name}`, onclick: () => save(figure) });
      (figure.querySelector("figcaption") ?? figure).append(button);
    }
  });
})();
