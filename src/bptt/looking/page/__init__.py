"""The page of `bptt look`: four panes in one file, in plain HTML, CSS and JavaScript without a build step.

`body.html` and `look.css` say what it looks like. `state.js` has what is chosen and who watches it, `run.js`
a run's numbers; pictures are made of `passage.js`, `heat.js`, `chart.js`, `series.js` and `legend.js`;
`query.js` is the search of units; a pane each has `pane-text.js` with `facts.js`, `pane-units.js`,
`pane-gradient.js` and `pane-truncation.js`; `bar.js`, `keys.js` and `start.js` are around them.
"""

from bptt.looking.page.compose import page

__all__ = ["page"]
