"""The private names of scikit-learn that the package uses for want of public ones: a release without one fails here first."""

import ast
from importlib import import_module
from pathlib import Path

import pytest
import sklearn
from sklearn.base import BaseEstimator

import fastconv

IMPORTED = {
    *(f"sklearn.utils._param_validation.{name}" for name in ("Hidden", "Interval", "Options", "StrOptions")),
    "sklearn.utils.validation._check_sample_weight",
}
METHODS = "_validate_params", "_html_repr"
"""Of BaseEstimator, called or overridden."""


def _private_imports():
    for path in Path(fastconv.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sklearn"):
                names = (f"{node.module}.{alias.name}" for alias in node.names)
                yield from (name for name in names if any(part.startswith("_") for part in name.split(".")))


def test_no_other_private_names_are_imported():
    assert {*_private_imports()} == IMPORTED


@pytest.mark.parametrize("path", sorted(IMPORTED))
def test_scikit_learn_has_what_is_imported(path):
    module, _, name = path.rpartition(".")
    try:
        found = hasattr(import_module(module), name)
    except ImportError:
        found = False
    assert found, f"scikit-learn {sklearn.__version__} has no {path}, which fastconv.estimators imports"


@pytest.mark.parametrize("name", METHODS)
def test_scikit_learns_estimators_have_what_is_called_or_overridden(name):
    assert hasattr(BaseEstimator, name), f"scikit-learn {sklearn.__version__} has no BaseEstimator.{name}"
