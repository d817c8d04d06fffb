"""Renders backpropagation.md.in: its Python blocks run one after the other, and {{ expressions }} become their values."""

import re
from pathlib import Path

import numpy as np

import fastconv
import fastconv.engine

FOLDER = Path(__file__).parent


def matrix(array):
    """LaTeX of a matrix, or of a row."""
    rows = np.atleast_2d(np.asarray(array, float))
    return r"\begin{bmatrix}" + r" \\ ".join(" & ".join(number(value) for value in row) for row in rows) + r"\end{bmatrix}"


def number(value):
    """Up to four digits, as the text wants them."""
    return f"{float(value) + 0.0:.4g}"


def terms(ledger):
    """The terms of a sum as LaTeX: 1 \\cdot 0.7 + ...; of more than six, those that are 0 are left out."""
    listed = [term for term in ledger.terms if term.value or len(ledger.terms) <= 6]
    products = [r" \cdot ".join(f"({number(f)})" if f < 0 else number(f) for f in term.factors) for term in listed]
    return " + ".join(products)


def tied(trace):
    """The first window of the pool that two positive numbers tie in, and what it gives them."""
    for index in np.ndindex(trace["2.out"].shape):
        entry = f"[{','.join(map(str, index))}]"
        look = trace.why(f"2.out{entry}").looks[0]
        if look.tied and trace["2.out"][index] > 0:
            return f"`{look}`. It takes {number(trace['d 2.out'][index])}, the other one nothing."
    raise AssertionError("the example has no tie to show")


def render(text):
    """-> Markdown; AssertionError where a block's numbers are not the engine's."""
    names = {"matrix": matrix, "number": number, "terms": terms, "tied": tied}
    parts = re.split(r"(```python\n.*?```)", text, flags=re.S)
    for k, part in enumerate(parts):
        if part.startswith("```python"):
            exec(compile(part[len("```python\n") : -3], "backpropagation.md", "exec"), names)
        else:
            parts[k] = re.sub(r"\{\{(.*?)\}\}", lambda match: str(eval(match[1].strip(), names)), part)
    return "".join(parts)


def listed(text):
    """engine.md with the listing of the network that was derived by hand, for 8 lanes, whatever this machine has."""
    begin, end = "<!-- listing:begin -->\n", "<!-- listing:end -->"
    head, rest = text.split(begin)
    program = fastconv.engine.listing(fastconv.tiny_net(), lanes=8)
    return f"{head}{begin}```text\n{program}\n```\n{end}{rest.split(end)[1]}"


def main():
    """Write engine.md's listing, backpropagation.md, and the page that it shows."""
    (FOLDER / "engine.md").write_text(listed((FOLDER / "engine.md").read_text()))
    (FOLDER / "backpropagation.md").write_text(render((FOLDER / "backpropagation.md.in").read_text()))
    (FOLDER / "_static").mkdir(exist_ok=True)
    trace = fastconv.explain.trace(*fastconv.explain.integer_example())
    trace.to_html(FOLDER / "_static" / "page.html")


if __name__ == "__main__":
    main()
