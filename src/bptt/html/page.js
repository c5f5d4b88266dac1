"use strict";
// What a page's scripts have in common: `bptt.ready`, and a short way to make elements.

const bptt = { shows: [] };

/** Have `show` called once the page and its data are there. */
bptt.ready = (show) => bptt.shows.push(show);

/** Return a new element. `set`: attributes; `class`, `text`, and `on...` listeners among them. Children: nodes and texts. */
bptt.element = (name, set = {}, ...children) => {
  const [tag, space] = name.startsWith("svg:") ? [name.slice(4), "http://www.w3.org/2000/svg"] : [name, null];
  const made = space ? document.createElementNS(space, tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(set)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "text") made.textContent = value;
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
};

/** Return ten to a power: 10⁻⁷. */
bptt.ten = (exponent) => `10${exponent < 0 ? "⁻" : ""}${[...String(Math.abs(exponent))].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]).join("")}`;

/** Return a number in few characters, with a true minus: 0.034, −1.2, 3.4·10⁻⁹. */
bptt.short = (number, digits = 2) => {
  if (number === null || number === undefined || Number.isNaN(number)) return "–";
  if (!Number.isFinite(number)) return number > 0 ? "∞" : "−∞";
  const size = Math.abs(number);
  const plain = size === 0 || (size >= 10 ** -digits && size < 1e5);
  if (plain) return number.toFixed(size >= 1000 ? 0 : size >= 100 ? 1 : size < 0.1 && size ? digits + 1 : digits).replace("-", "−");
  const [front, exponent] = number.toExponential(1).split("e");
  return `${front.replace("-", "−")}·${bptt.ten(Number(exponent))}`;
};

/** Say something to those who listen to the page: the polite live region. */
bptt.say = (words) => {
  document.getElementById("said").textContent = words;
};
