"""The documentation as a site: `python -m sphinx -W --keep-going -b html -c docs . site`.

The pages are the Markdown that stands in the repository, read where it stands, so that a link leads to the
same place on the site and where the code is hosted. What is made while it is built, by `docs/website`: a page
for each public name, of its docstring, and one for each cell, of its equations. No network is asked anything.
"""

import sys
from pathlib import Path

import bptt

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

project = "bptt"
author = copyright = "The bptt authors"
release = version = vars(bptt)["__version__"]

root_doc = "README"
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
include_patterns = ["*.md", "docs/**"]
exclude_patterns = [".*", "build", "dist", "examples", "site", "src", "tests", "docs/website"]
extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "website"]

myst_heading_anchors = 4
html_math_renderer = "mathml"
default_role = "py:obj"
highlight_language = "none"  # of what does not say that it is Python
smartquotes = False  # what is quoted is typed so

templates_path = [str(HERE / "website" / "templates")]
autodoc_typehints = "none"  # the docstring says the types, and shapes with them
autodoc_preserve_defaults = True
autosummary_ignore_module_all = False
# classes that have a page by the name that `import bptt` gives them, and so none on their module's
autosummary_context = {"placed": [f"{m}.{its}" for n, (m, its) in vars(bptt)["_PUBLIC"].items() if n == its]}
numpydoc_show_class_members = False
numpydoc_validation_checks = {"PR02"}  # no docstring speaks of a parameter that there is not
maximum_signature_line_length = 88

html_theme = "furo"
html_title = f"bptt {release}"
html_static_path = ["website/static"]
html_css_files = ["site.css"]
html_extra_path = ["website/index.html"]
html_copy_source = False
html_show_search_summary = False  # a page that is opened as a file may not read others
