"""The documentation site: ``make docs``. Nothing is fetched, neither when it is built nor by its pages."""

import sys
from importlib.metadata import version as installed
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "nestbench"
author = "the nestbench authors"
version = release = installed("nestbench")

extensions = ["sphinx.ext.autodoc", "numpydoc", "myst_parser", "site_mathml", "nestbench_site"]
exclude_patterns = ["_build", "_ext"]
nitpicky = True
# Names of other packages have no target without their inventories, which would have to be fetched; a name in single
# backticks is a link where it is one of the reference's, and else just a name.
nitpick_ignore_regex = [("py:obj", ".*"), ("py:class", ".*")]
default_role = "py:obj"
smartquotes = False  # they make a dash of the two that begin an option

myst_enable_extensions = ["dollarmath", "fieldlist", "colon_fence"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]

autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_use_plots = False

html_theme = "pydata_sphinx_theme"
html_title = "nestbench"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_use_index = False  # the search knows more, and on a phone the table doesn't fit
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navigation_depth": 2,
    "show_nav_level": 1,
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
    "back_to_top_button": True,
}
html_context = {"default_mode": "auto"}
