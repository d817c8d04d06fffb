"""The page's scripts are modules; a page opened from a file may import none, so they are joined into one script.

Each becomes a function of its own that returns what it exports. Of imports two forms are known; exported is a const or a
function, where it stands::

    import { offset, unravel } from "../trace/arrays.js";
    import "../operations/*.js";
    export const show = ...
"""

import re
from fnmatch import filter as matching
from graphlib import TopologicalSorter
from posixpath import dirname, join, normpath

_IMPORT = re.compile(r'^import (?:(?P<names>\{ [\w, ]+ \}) from )?"(?P<path>\.[\w./*]+)";.*$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:const|function\*?) (?P<name>\w+))", re.MULTILINE)
_OTHER = re.compile(r"^\s*(?:import|export)\b.*", re.MULTILINE)


def bundle(sources):
    """One script of many, each after those that it imports.

    Parameters
    ----------
    sources : dict of str to str
        The text of each by its path; in an import's path a star stands for every name that fits.

    Returns
    -------
    str

    Raises
    ------
    ImportError
        If a script imports what there is not, or imports or exports in another form.
    graphlib.CycleError
        If imports run in a circle.
    """
    order = TopologicalSorter({path: [*_needs(path, sources)] for path in sources}).static_order()
    return "\n".join(["const modules = {};", *(_function(path, sources[path]) for path in order)])


def _needs(path, sources):
    """The paths of what a script imports."""
    for found in _IMPORT.finditer(sources[path]):
        targets = matching(sources, _target(path, found))
        if not targets:
            raise ImportError(f"{path} imports {found['path']}, which does not exist")
        yield from targets


def _target(path, found):
    return normpath(join(dirname(path), found["path"]))


def _function(path, text):
    def read(found):
        return f'const {found["names"]} = modules["{_target(path, found)}"];' if found["names"] else ""

    exports = ", ".join(_EXPORT.findall(text))
    body = _EXPORT.sub("", _IMPORT.sub(read, text))
    if other := _OTHER.search(body):
        raise ImportError(f"{path} has {other[0].strip()!r}: another form than bundling.py knows")
    return f'modules["{path}"] = (() => {{\n{body}return {{ {exports} }};\n}})();'
