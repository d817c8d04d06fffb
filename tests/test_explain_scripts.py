"""The page's scripts as files: which there are, what they import, and how they are joined into one."""

import posixpath
import re
from graphlib import CycleError
from pathlib import Path

import pytest

import fastconv
from fastconv import explain, layers
from fastconv.explain.bundling import bundle
from fastconv.losses import LOSSES

PAGE = Path(explain.__file__).parent / "page"
SCRIPTS = {path.relative_to(PAGE).as_posix(): path.read_text(encoding="utf-8") for path in PAGE.rglob("*.js")}


def _imports(path):
    """(path or pattern, names) of every import in a script."""
    for names, target in re.findall(r'^import (?:{(.*)} from )?"(.*)";', SCRIPTS[path], re.MULTILINE):
        yield posixpath.normpath(posixpath.join(path, "..", target)), set(re.findall(r"\w+", names))


def test_each_layer_and_each_loss_has_its_file():
    text = "\n".join(text for path, text in SCRIPTS.items() if path.startswith("operations/"))
    kinds = [name for name in fastconv.__all__ if getattr(getattr(fastconv, name), "__module__", "") == layers.__name__]
    assert sorted(re.findall(r"^OPERATIONS\.(\w+) = ", text, re.MULTILINE)) == sorted(kinds)
    assert sorted(re.findall(r"^CRITERIA\.(\w+) = ", text, re.MULTILINE)) == sorted(LOSSES)


def test_what_is_imported_is_exported_and_what_is_exported_is_imported():
    imported = {path: set() for path in SCRIPTS}
    for path in SCRIPTS:
        for target, names in _imports(path):
            if names:
                imported[target] |= names
    assert imported == {path: set(re.findall(r"^export \S+ (\w+)", text, re.MULTILINE)) for path, text in SCRIPTS.items()}


def test_imports_run_one_way_from_folder_to_folder():
    order = ["basics", "operations", "trace", "view", "main.js"]
    assert {path.split("/")[0] for path in SCRIPTS} == {*order}
    for path in SCRIPTS:
        above = order[: order.index(path.split("/")[0]) + 1]
        assert {target.split("/")[0] for target, _ in _imports(path)} <= {*above}, path


SOURCES = {
    "main.js": 'import { names } from "./list.js";\nimport "./parts/*.js"; // all\nexport const found = names.join();\n',
    "parts/b.js": 'import { add } from "../list.js";\nadd("b");\n',
    "parts/a.js": 'import { add } from "../list.js";\nexport function* letters() {\n  yield "a";\n}\nadd(...letters());\n',
    "list.js": "export const names = [];\nexport function add(name) {\n  names.push(name);\n}\n",
}


def test_a_script_comes_after_those_that_it_imports():
    assert bundle(SOURCES).splitlines() == [
        "const modules = {};",
        'modules["list.js"] = (() => {',
        "const names = [];",
        "function add(name) {",
        "  names.push(name);",
        "}",
        "return { names, add };",
        "})();",
        'modules["parts/b.js"] = (() => {',
        'const { add } = modules["list.js"];',
        'add("b");',
        "return {  };",
        "})();",
        'modules["parts/a.js"] = (() => {',
        'const { add } = modules["list.js"];',
        "function* letters() {",
        '  yield "a";',
        "}",
        "add(...letters());",
        "return { letters };",
        "})();",
        'modules["main.js"] = (() => {',
        'const { names } = modules["list.js"];',
        "",
        "const found = names.join();",
        "return { found };",
        "})();",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "import names from './list.js';",
        'import * as list from "./list.js";',
        'import { names } from "./none.js";',
        'import "./none/*.js";',
        'export * from "./list.js";',
        "export default 1;",
        "export { names };",
        "export let changing = 1;",
    ],
)
def test_another_form_of_import_or_export_is_refused(line):
    with pytest.raises(ImportError, match=r"^main\.js .*(another form|does not exist)"):
        bundle(SOURCES | {"main.js": f"{line}\n"})


def test_a_circle_is_refused():
    with pytest.raises(CycleError):
        bundle(SOURCES | {"list.js": 'import { found } from "./main.js";\n'})
