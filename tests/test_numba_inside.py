"""What is used of Numba's inside is there.

No upper bound in pyproject.toml keeps users from a release that works, so this says by name what a new one took away; `make
lowest` runs it with the oldest.
"""

import ast
from importlib import import_module
from pathlib import Path

import numba
import pytest

import fastconv

PACKAGE = Path(fastconv.__file__).parent
INSIDE = ("numba.core", "numba.misc", "numba.np", "numba.cpython")
"""Its folders that are not made for users."""
ATTRIBUTES = [
    *("numba.core.caching.NullCache.load_overload", "numba.core.caching.NullCache.save_overload"),
    *("numba.core.caching.NullCache.cache_path", "numba.core.compiler.CompileResult._rebuild"),
    *("numba.core.compiler.CompileResult._reduce", "numba.core.codegen.CPUCodegen.magic_tuple"),
    *("numba.core.codegen.CodeLibrary.has_dynamic_globals", "numba.core.base.BaseContext.refresh"),
    *("numba.core.cpu.CPUContext.codegen", "numba.core.compiler_lock.global_compiler_lock.acquire"),
    *("numba.core.compiler_lock.global_compiler_lock.release", "numba.misc.appdirs.AppDirs.user_cache_dir"),
]
"""What is not imported by name: methods that are called, or that Numba calls."""


def _imported():
    """Every name from inside that a file of the package imports, lazily or not."""
    texts = (path.read_text() for path in sorted(PACKAGE.rglob("*.py")))
    for text in (text for text in texts if "numba." in text):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(INSIDE):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("name", sorted({*_imported(), *ATTRIBUTES}))
def test_it_is_there(name):
    parts, found = name.split("."), numba
    for k, part in enumerate(parts[1:], 2):
        try:
            found = getattr(found, part, None) or import_module(".".join(parts[:k]))
        except ImportError:
            pytest.fail(f"numba {numba.__version__} has no {'.'.join(parts[:k])}: fastconv uses {name}")


def test_numba_asks_the_cache_that_a_function_holds():
    compiled = numba.njit(lambda x: x)
    assert hasattr(compiled, "_cache") or numba.config.DISABLE_JIT, (
        f"numba {numba.__version__}: fastconv sets Dispatcher._cache"
    )
