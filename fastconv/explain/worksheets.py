"""Worked sheets: a whole training step on paper, as text or Markdown, with or without its gradients."""

import numpy as np

from .equations import to_latex
from .ledger import number
from .names import Name, entry

_HIDDEN = ("cols",)
"""Left out: a copy of the input, patch by patch, larger than everything else together."""

WIDEST = 10
"""Rows and columns up to which an array is a matrix in Markdown; larger ones are set as text."""

_TASK = "Fill in the blanks, to four decimals. The same sheet without worksheet mode is the solution."


def text(trace, worksheet):
    """`Trace.to_text`."""
    blocks = [_heading(trace), *([_TASK] if worksheet else [])]
    for name in _shown(trace):
        lines = [f"{name} {_size(trace[name])}".rstrip(), f"    {trace.equations[name].text}"]
        blocks.append("\n".join(lines + [f"  {row}" for row in _table(trace[name], _is_blank(name, worksheet))]))
    return "\n\n".join(blocks) + "\n"


def markdown(trace, worksheet):
    """`Trace.to_markdown`."""
    note = r"$\partial a$ stands for $\partial L / \partial a$, the loss's gradient with respect to $a$."
    blocks = [f"# {_heading(trace)}", *([_TASK] if worksheet else []), note]
    for title, names in _parts(trace).items():
        blocks.append(f"## {title}")
        for name in names:
            blocks += [f"### `{name}` {_size(trace[name])}".rstrip(), f"$${trace.equations[name].latex}$$"]
            blocks.append(_body(name, trace[name], _is_blank(name, worksheet)))
    return "\n\n".join(blocks) + "\n"


def _body(name, array, blank):
    """The numbers of an array: as matrices, or as text where they would be too wide."""
    if max(array.shape[-2:], default=1) <= WIDEST:
        return _matrices(name, array, blank)
    return "\n".join(["```text", *_table(array, blank), "```"])


def _heading(trace):
    samples = len(trace["input"])
    layers = ", ".join(type(layer).__name__ for layer in trace.layers)
    return f"One training step by hand: {layers}; {samples} sample{'s' if samples > 1 else ''}"


def _shown(trace):
    return [name for name in trace.names if Name.parse(name).own not in _HIDDEN]


def _parts(trace):
    """The names under three headings."""
    parts = {"Forward": [], "Loss": [], "Backward": []}
    for name in _shown(trace):
        gradient, layer, _ = Name.parse(name)
        parts["Backward" if gradient else "Loss" if layer is None else "Forward"].append(name)
    return parts


def _is_blank(name, worksheet):
    return worksheet and name != "d loss" and Name.parse(name).gradient


def _size(array):
    return f"({', '.join(map(str, array.shape))})" if array.ndim else ""


def _planes(array):
    """The matrices of an array, each with its index."""
    rows, columns = ([1, 1, *array.shape])[-2:]
    return zip(np.ndindex(array.shape[:-2]), array.reshape(-1, rows, columns))


def _table(array, blank):
    """The rows of an array, plane by plane, each under its index."""
    cells = np.array([("____" if blank else number(value)) for value in array.ravel()], object).reshape(array.shape)
    width = max((len(cell) for cell in cells.ravel()), default=0)
    for index, plane in _planes(cells):
        if index:
            yield entry("", *index)
        for row in plane:
            yield "  ".join(cell.rjust(width) for cell in row)


def _matrices(name, array, blank):
    """An array as LaTeX, plane by plane."""
    cells = np.array([(r"\square" if blank else number(value)) for value in array.ravel()], object).reshape(array.shape)
    lines = []
    for index, plane in _planes(cells):
        symbol = to_latex(entry(name, *index))
        rows = r" \\ ".join(" & ".join(row) for row in plane)
        lines.append(rf"$${symbol} = \begin{{bmatrix}} {rows} \end{{bmatrix}}$$")
    return "\n\n".join(lines)
