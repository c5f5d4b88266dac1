"use strict";
// Palettes, computed in OKLCH, where equal steps look equal. Diverging: blue to orange, which all kinds of colour
// blindness tell apart; both ends are equally far from the middle in lightness. Each colour knows the ink to write on it.

(() => {
  const SIZE = 255; // odd: the middle of a diverging palette is one of its colours

  /** Return OKLCH as sRGB, 0 to 255. */
  const rgb = (lightness, chroma, hue) => {
    const [a, b] = [chroma * Math.cos((hue * Math.PI) / 180), chroma * Math.sin((hue * Math.PI) / 180)];
    const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
    const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
    const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
    return [
      4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
      -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
      -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
    ].map((x) => {
      const linear = Math.min(Math.max(x, 0), 1);
      return Math.round(255 * (linear <= 0.0031308 ? 12.92 * linear : 1.055 * linear ** (1 / 2.4) - 0.055));
    });
  };

  /** Return the relative luminance of WCAG 2. */
  const luminance = (colour) => {
    const [r, g, b] = colour.map((x) => (x <= 10 ? x / 3294.6 : ((x / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };

  const entry = (colour) => ({
    rgb: colour,
    css: `rgb(${colour.join(" ")})`,
    ink: luminance(colour) > 0.179 ? "#000000" : "#ffffff", // whichever stands out more: 4.58 to 1 at least
  });

  /** Return SIZE colours from `from` to `to`, each [lightness, chroma, hue]. */
  const ramp = (from, to, size) =>
    Array.from({ length: size }, (_, i) => {
      const part = i / (size - 1);
      return entry(rgb(...from.map((x, k) => x + (to[k] - x) * part)));
    });

  const PAPER = { light: 0.985, dark: 0.235 };
  const FAR = { light: 0.56, dark: 0.74 };
  const made = {};

  const palettes = (theme) => {
    const half = (SIZE + 1) / 2;
    const to = (hue, chroma) => ramp([PAPER[theme], 0.004, hue], [FAR[theme], chroma, hue], half);
    const dark = theme === "dark";
    return {
      diverging: [...to(252, 0.145).reverse(), ...to(58, 0.145).slice(1)],
      sequential: ramp([PAPER[theme], 0.004, 330], dark ? [0.8, 0.13, 345] : [0.42, 0.17, 335], SIZE),
      // lines: in turn lighter and darker, so that they differ where hues do not
      series: [
        [dark ? 0.93 : 0.3, 0.01, 260], [0.62, 0.15, 252], [0.72, 0.15, 62], [0.55, 0.16, 335],
        [0.7, 0.13, 165], [dark ? 0.8 : 0.45, 0.12, 285], [dark ? 0.85 : 0.6, 0.12, 100], [0.58, 0.15, 25],
      ].map((colour) => entry(rgb(...colour))),
    };
  };

  /** The palettes of the theme that the page has now. */
  bptt.colours = new Proxy({}, {
    get: (_, name) => {
      const theme = bptt.theme();
      made[theme] ??= palettes(theme);
      return made[theme][name];
    },
  });

  /** Return the colour of a number between -1 and 1, or null. */
  bptt.diverging = (x) => bptt.colours.diverging[Math.round((Math.min(Math.max(x, -1), 1) + 1) * ((SIZE - 1) / 2))] ?? null;

  /** Return the colour of a number between 0 and 1, or null. */
  bptt.sequential = (x) => bptt.colours.sequential[Math.round(Math.min(Math.max(x, 0), 1) * (SIZE - 1))] ?? null;
})();
