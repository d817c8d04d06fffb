"""The page: one HTML file that steps through a trace, with its numbers, its style and its script inside."""

import json
from html import escape
from importlib import resources
from math import inf
from pathlib import Path
from string import Template

from .. import __version__
from ..files.writing import write_whole
from .bundling import bundle

EDITABLE, LARGEST = 5_000, 200_000
"""Cells up to which the browser computes everything anew, and beyond which there is no page."""

_PAGE = resources.files(__package__) / "page"


def write_page(trace, path):
    """`Trace.to_html`."""
    scripts = dict(_scripts(_PAGE))
    for layer in trace.layers:
        if not any(f"OPERATIONS.{type(layer).__name__} = " in text for text in scripts.values()):
            raise ValueError(f"the page has no script for {layer!r}; trace.to_text shows its numbers")
    shown = [name for name in trace.names if not name.endswith(".cols")]
    cells = sum(trace[name].size for name in shown)
    if cells > LARGEST:
        raise ValueError(
            f"the page would hold {cells:,} numbers, at most {LARGEST:,} can be read; trace fewer samples or a smaller "
            "network, or ask trace.why for single entries"
        )
    data = {
        "dtype": trace["input"].dtype.name,
        "loss": trace.loss,
        "editable": cells <= EDITABLE,
        "constants": trace.constants,
        "layers": [_layer(operation) for operation in trace.operations[: len(trace.layers)]],
        "arrays": [_array(trace, name) for name in shown],
    }
    network = " → ".join(type(layer).__name__ for layer in trace.layers)
    page = Template(_read("shell.html")).substitute(
        version=__version__,
        title=f"Backpropagation: {escape(network)}",
        network=escape(f"{' × '.join(map(str, trace['input'].shape[1:]))} → {network}"),
        style=_read("style.css"),
        script=bundle(scripts),
        # A "</script>" in the data would end it.
        data=json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
    )
    write_whole(Path(path), page.encode())


def _read(name):
    return (_PAGE / name).read_text(encoding="utf-8")


def _scripts(folder, path=""):
    """The path and the text of every script in a folder and those below."""
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _scripts(item, f"{path}{item.name}/")
        elif item.name.endswith(".js"):
            yield path + item.name, _read(path + item.name)


def _layer(operation):
    layer, described = operation.layer, {"type": type(operation.layer).__name__}
    if hasattr(layer, "window"):
        described["window"] = {name: int(value) for name, value in layer.window(operation.shape)._asdict().items()}
    return described | operation.settings()


def _array(trace, name):
    array, equation = trace[name], trace.equations[name]
    values = [_json_number(value) for value in array.ravel().tolist()]
    return {"name": name, "shape": array.shape, "values": values, "equation": equation.text, "latex": equation.latex}


def _json_number(value):
    """A number, or what JavaScript reads as one: NaN and infinity are no JSON."""
    if isinstance(value, bool):
        return int(value)
    if value != value:
        return "NaN"
    return value if abs(value) < inf else "Infinity" if value > 0 else "-Infinity"
