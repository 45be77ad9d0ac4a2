"""Sphinx's configuration. ``scons docs`` runs it on what gcpt.dev.docs_site gathers."""

import re

import gcpt

project = "gcpt"
version = release = gcpt.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"gcpt {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_use_index = html_domain_indices = False  # the search finds more
html_show_search_summary = False  # a page from a folder may not read others
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
smartquotes = False  # "--" begins options
highlight_language = "text"  # most code is what one types, or what is printed
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_use_ivar = True
# Types of Python itself, whose pages are elsewhere.
nitpick_ignore_regex = [("py:.*", r"(pathlib|collections\.abc)\..*|.*\b(Path|Iterable|Iterator|Sequence)")]


def _signature(app, what, name, value, options, signature, annotation):
    """Shorten a signature: the default <factory>, or an object with its fields, becomes dots."""
    return (re.sub(r"<factory>|(?<=\()\w+=[^()]*(?=\)[,)])", "...", signature), annotation) if signature else None


def setup(app):
    app.connect("autodoc-process-signature", _signature)
