"""Worked sheets: a whole training step on paper, as text or Markdown, with or without its gradients."""

import numpy as np

from .ledger import number

_HIDDEN = ("cols",)
"""Left out: a copy of the input, patch by patch, larger than everything else together."""


def text(trace, worksheet):
    """`Trace.to_text`."""
    blocks = [_heading(trace)]
    for name in _shown(trace):
        lines = [f"{name} {_size(trace[name])}", f"    {trace.equations[name].text}"]
        blocks.append("\n".join(lines + [f"  {row}" for row in _table(trace[name], _blank(name, worksheet))]))
    return "\n\n".join(blocks) + "\n"


def markdown(trace, worksheet):
    """`Trace.to_markdown`."""
    note = r"$\partial a$ stands for $\partial L / \partial a$, the loss's gradient with respect to $a$."
    blocks = [f"# {_heading(trace)}", note]
    for name in _shown(trace):
        rows = "\n".join(_table(trace[name], _blank(name, worksheet)))
        blocks.append(f"## `{name}` {_size(trace[name])}\n\n$${trace.equations[name].latex}$$\n\n```text\n{rows}\n```")
    return "\n\n".join(blocks) + "\n"


def _heading(trace):
    samples = len(trace["input"])
    layers = ", ".join(type(layer).__name__ for layer in trace.layers)
    return f"One training step by hand: {layers}; {samples} sample{'s' if samples > 1 else ''}"


def _shown(trace):
    return [name for name in trace.names if name.split(".")[-1] not in _HIDDEN]


def _blank(name, worksheet):
    return worksheet and name.startswith("d ") and name != "d loss"


def _size(array):
    return f"({', '.join(map(str, array.shape))})" if array.ndim else ""


def _table(array, blank):
    """The rows of an array, plane by plane, each under its index."""
    rows, columns = ([1, 1, *array.shape])[-2:]
    planes = array.reshape(-1, rows, columns)
    leading = array.shape[:-2]
    cells = np.array([("____" if blank else number(value)) for value in array.ravel()], object).reshape(planes.shape)
    width = max((len(cell) for cell in cells.ravel()), default=0)
    for plane, index in zip(cells, np.ndindex(leading)):
        if leading:
            yield f"[{','.join(map(str, index))}]"
        for row in plane:
            yield "  ".join(cell.rjust(width) for cell in row)
