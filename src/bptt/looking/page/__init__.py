"""The page that shows a view."""

from html import escape

from bptt.looking.view import View


def page(view: View) -> str:
    """Return the page of a view, one HTML file."""
    return f"<!DOCTYPE html>\n<title>{escape(view.title)}</title>\n"
