"""Pages of one HTML file that ask for nothing: the shell that all have, and the data that lies in them.

A page of one's own is a body, data and a script::

    from bptt.html import page, text_of

    html = page(
        "Two runs",
        '<figure class="picture" id="loss"><figcaption>Loss against steps</figcaption></figure>',
        data={"loss": np.array([2.3, 1.9, 1.7])},
        styles=[text_of("bptt.report", "report.css")],
        scripts=[text_of("bptt.report", "report.js")],
    )

where the script is plain JavaScript that begins once the page's data are read::

    bptt.ready(() => {
      const { shape, data } = bptt.data.loss;      // [3], Float32Array
      bptt.onTheme(draw);                          // now, and when light becomes dark
    });
"""

from bptt.html.packing import EightBits, pack
from bptt.html.shell import page, text_of

__all__ = ["EightBits", "pack", "page", "text_of"]
