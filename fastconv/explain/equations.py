"""The equation that made each array, written once as text and turned into LaTeX.

In the text a name stands as in the trace, ``0.weight[f,c,u,v]``, and the letters are those of `fastconv.reference`.
"""

import re
from typing import NamedTuple

from .names import FUNCTIONS, Name


class Equation(NamedTuple):
    """One equation twice.

    Attributes
    ----------
    text : str
        Plain text, names as in the trace.
    latex : str
        For between dollar signs.
    """

    text: str
    latex: str

    @classmethod
    def of(cls, text):
        """Both, from the text."""
        return cls(text, to_latex(text))


def dropout_scale(layer):
    """The name of the constant that makes up for what is dropped."""
    return f"1/(1-{layer.p})"


_SYMBOLS = {
    "input": "x", "loss": "L", "out": "y", "weight": "w", "bias": "b", "probabilities": "p", "onehot": "t", "target": "t",
    "shifted": "s", "exponentials": "e", "sums": "S", "losses": "l", "error": r"\epsilon",
}  # fmt: skip
"""Of arrays by their own names; any other is set upright."""
_TOKEN = re.compile(
    r"(?P<name>(?:\bd )?(?:\d+\.[a-z]+|input|loss(?:es)?|shifted|exponentials|sums|probabilities|onehot|error|target))"
    r"(?:\[(?P<index>[^\]]*)\])?"
    r"|(?P<over>(?P<what>sum|max) over (?P<letters>[a-z](?:,[a-z])*)(?P<rest>[^,]*?(?:,[a-z])*) of )"
    r"|(?P<larger>max(?=\())|(?P<words>\b(?!sum|max)[a-z]{2,}\b(?: a\b| \b(?!sum|max)[a-z]{2,}\b)*)"
    r"|(?P<divided> \* 1/)|(?P<times> ?\* ?)"
)


def to_latex(text):
    """The LaTeX of an equation's text.

    Examples
    --------
    >>> to_latex("d 0.bias[f] = sum over n,i,j of d 0.out[n,f,i,j]")
    '\\\\partial b^{(0)}_{f} = \\\\sum_{n,i,j} \\\\partial y^{(0)}_{n,f,i,j}'
    """
    return _TOKEN.sub(_latex_token, text)


def _latex_token(match):
    if match["name"]:
        return _latex_entry(Name.parse(match["name"]), match["index"])
    if match["over"]:
        rest = rf"\ \text{{{match['rest'].strip()}}}" if match["rest"].strip() else ""
        return rf"\{match['what']}_{{{match['letters']}{rest}}} "
    if match["larger"]:
        return r"\max"
    if match["words"]:
        word = match["words"]
        return rf"\{word}" if word in FUNCTIONS else rf"\text{{ {word} }}"
    return " / " if match["divided"] else r"\,"


def _latex_entry(name, index):
    symbol = _SYMBOLS.get(name.own, rf"\mathrm{{{name.own}}}")
    number = f"^{{({name.layer})}}" if name.layer is not None and name.layer >= 0 else ""
    return (r"\partial " if name.gradient else "") + symbol + number + (f"_{{{to_latex(index)}}}" if index else "")
