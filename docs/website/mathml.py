"""Mathematics as MathML, which browsers draw without a script or a font from anywhere."""

from typing import Any

from docutils import nodes

from bptt.derive.as_html import mathml


def setup(app: Any) -> None:
    """Tell Sphinx how mathematics is written."""
    app.add_html_math_renderer("mathml", inline_renderers=(_inline, None), block_renderers=(_block, None))


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def _block(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="lines">{mathml(node.astext())}</div>')
    raise nodes.SkipNode
