"""The equation that made each array, written once as text and turned into LaTeX.

In the text a name stands as in the trace, ``0.weight[f,c,u,v]``, and the letters are those of `fastconv.reference`.
"""

import re
from typing import NamedTuple

from ..layers import AvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU


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


def write(trace):
    """name -> Equation, for every array of `trace`."""
    found = {"input": "input[n,c,h,w] is given", "d loss": "d loss = 1"}
    for index, layer in enumerate(trace.layers):
        x, y = f"{index - 1}.out" if index else "input", f"{index}.out"
        ndim = trace[x].ndim
        at = ",".join("nchw"[:ndim]) if ndim == 4 else "n,k"
        lines = _LAYERS[type(layer)](trace, index, layer, at) if type(layer) in _LAYERS else {}
        found |= {name: line.replace("$x", x).replace("$y", y).replace("$i", str(index)) for name, line in lines.items()}
    found |= _loss(trace)
    return {name: Equation(found.get(name, name), to_latex(found.get(name, name))) for name in trace.names}


def _position(out, stride, tap, dilation, before):
    """``2*i + u - 1``: the row or column of the image under a tap."""
    scaled = [letter if scale == 1 else f"{scale}*{letter}" for letter, scale in ((out, stride), (tap, dilation))]
    return " + ".join(scaled) + (f" - {before}" if before else "")


def _rows(window):
    return (
        _position("i", window.SH, "u", window.DH, window.PT),
        _position("j", window.SW, "v", window.DW, window.PL),
    )


def _conv(trace, index, layer, at):
    row, column = _rows(layer.window(trace.shapes[index]))
    _, channels, _, _ = trace[f"{index}.weight"].shape
    size = layer.out_channels // layer.groups
    # Channel c of the filter is this channel of the image.
    channel = "c" if layer.groups == 1 else f"{channels}*floor(f/{size}) + c"
    bias = " + $i.bias[f]" if layer.bias else ""
    inverse = f"where {row} = h and {column} = w"
    weight = "$i.weight[f,c,u,v]" if layer.groups == 1 else f"$i.weight[f,c mod {channels},u,v]"
    filters = "f,i,j,u,v" if layer.groups == 1 else "f (of the group of c),i,j,u,v"
    return {
        f"{index}.weight": "$i.weight[f,c,u,v] is a parameter",
        f"{index}.bias": "$i.bias[f] is a parameter",
        f"{index}.cols": f"$i.cols[(c,u,v),(n,i,j)] = $x[n,c,{row},{column}]",
        f"{index}.out": f"$y[n,f,i,j] = sum over c,u,v of $i.weight[f,c,u,v] * $x[n,{channel},{row},{column}]{bias}",
        f"d {index}.weight": f"d $i.weight[f,c,u,v] = sum over n,i,j of $x[n,{channel},{row},{column}] * d $y[n,f,i,j]",
        f"d {index}.bias": "d $i.bias[f] = sum over n,i,j of d $y[n,f,i,j]",
        _dx(index): f"d $x[n,c,h,w] = sum over {filters} of {weight} * d $y[n,f,i,j] {inverse}",
    }


def _max_pool(trace, index, layer, at):
    window = layer.window(trace.shapes[index])
    row, column = _rows(window)
    return {
        f"{index}.argmax": f"$i.argmax[n,c,i,j] = {window.W}*h + w for the first h,w in the window where $x[n,c,h,w] is largest",
        f"{index}.out": f"$y[n,c,i,j] = max over u,v of $x[n,c,{row},{column}]",
        _dx(index): "d $x[n,c,h,w] = sum over i,j whose winner is h,w of d $y[n,c,i,j]",
    }


def _avg_pool(trace, index, layer, at):
    window = layer.window(trace.shapes[index])
    row, column = _rows(window)
    share = f"1/{window.KH * window.KW}"
    return {
        f"{index}.out": f"$y[n,c,i,j] = sum over u,v of $x[n,c,{row},{column}] * {share}",
        _dx(index): f"d $x[n,c,h,w] = sum over i,j,u,v of d $y[n,c,i,j] * {share} where {row} = h and {column} = w",
    }


def _relu(trace, index, layer, at):
    return {
        f"{index}.open": f"$i.open[{at}] = 1 where $x[{at}] > 0, else 0",
        f"{index}.out": f"$y[{at}] = $x[{at}] * $i.open[{at}]",
        _dx(index): f"d $x[{at}] = d $y[{at}] * $i.open[{at}]",
    }


def dropout_scale(layer):
    """The name of the constant that makes up for what is dropped."""
    return f"1/(1-{layer.p})"


def _dropout(trace, index, layer, at):
    factor = f" * $i.kept[{at}] * {dropout_scale(layer)}" if f"{index}.kept" in trace else ""
    return {
        f"{index}.kept": f"$i.kept[{at}] = 1 with probability {1 - layer.p:g}, else 0",
        f"{index}.out": f"$y[{at}] = $x[{at}]{factor}",
        _dx(index): f"d $x[{at}] = d $y[{at}]{factor}",
    }


def _flatten(trace, index, layer, at):
    _, H, W = trace.shapes[index]
    k = f"{H * W}*c + {W}*h + w"
    return {f"{index}.out": f"$y[n,{k}] = $x[n,c,h,w]", _dx(index): f"d $x[n,c,h,w] = d $y[n,{k}]"}


def _linear(trace, index, layer, at):
    bias = " + $i.bias[k]" if layer.bias else ""
    return {
        f"{index}.weight": "$i.weight[k,m] is a parameter",
        f"{index}.bias": "$i.bias[k] is a parameter",
        f"{index}.out": f"$y[n,k] = sum over m of $i.weight[k,m] * $x[n,m]{bias}",
        f"d {index}.weight": "d $i.weight[k,m] = sum over n of $x[n,m] * d $y[n,k]",
        f"d {index}.bias": "d $i.bias[k] = sum over n of d $y[n,k]",
        _dx(index): "d $x[n,m] = sum over k of $i.weight[k,m] * d $y[n,k]",
    }


_LAYERS = {
    Conv2d: _conv, MaxPool2d: _max_pool, AvgPool2d: _avg_pool, ReLU: _relu, Dropout: _dropout, Flatten: _flatten,
    Linear: _linear,
}  # fmt: skip


def _dx(index):
    return f"d {index - 1}.out" if index else "d input"


def _loss(trace):
    y = f"{len(trace.layers) - 1}.out"
    return {name: line.replace("$y", y) for name, line in _LOSSES[trace.loss].items()} | {
        f"d {y}": f"d {y}{_LOGITS[trace.loss]}"
    }


_LOSSES = {
    "cross_entropy": {
        "shifted": "shifted[n,k] = $y[n,k] - max over k of $y[n,k]",
        "exponentials": "exponentials[n,k] = exp(shifted[n,k])",
        "sums": "sums[n] = sum over k of exponentials[n,k]",
        "probabilities": "probabilities[n,k] = exponentials[n,k] * 1/sums[n]",
        "onehot": "onehot[n,k] = 1 where k is the label of n, else 0",
        "losses": "losses[n] = log(sums[n]) - shifted[n,label]",
        "loss": "loss = sum over n of losses[n] * 1/N",
    },
    "binary_cross_entropy_with_logits": {
        "shifted": "shifted[n,k] = -|$y[n,k]|",
        "exponentials": "exponentials[n,k] = exp(shifted[n,k])",
        "sums": "sums[n,k] = 1 + exponentials[n,k]",
        "probabilities": "probabilities[n,k] = exponentials[n,k] * 1/sums[n,k], but 1/sums[n,k] where $y[n,k] > 0",
        "target": "target[n,k] is given",
        "losses": "losses[n,k] = log(1 + exponentials[n,k]) + max($y[n,k], 0) - target[n,k] * $y[n,k]",
        "loss": "loss = sum over n,k of losses[n,k] * 1/(N*K)",
    },
    "mse": {
        "target": "target[n,k] is given",
        "error": "error[n,k] = $y[n,k] - target[n,k]",
        "loss": "loss = sum over n,k of error[n,k] * error[n,k] * 1/(N*K)",
    },
}
_LOGITS = {
    "cross_entropy": "[n,k] = probabilities[n,k] * 1/N - onehot[n,k] * 1/N",
    "binary_cross_entropy_with_logits": "[n,k] = probabilities[n,k] * 1/(N*K) - target[n,k] * 1/(N*K)",
    "mse": "[n,k] = error[n,k] * 2/(N*K)",
}
"""Of the gradient to the last layer's output."""


# --- LaTeX ---

_SYMBOLS = {"input": "x", "loss": "L", "out": "y", "weight": "w", "bias": "b", "probabilities": "p", "onehot": "t",
            "shifted": "s", "exponentials": "e", "sums": "S", "losses": "l", "error": r"\epsilon", "target": "t",
            "open": r"\mathrm{open}", "kept": r"\mathrm{kept}", "argmax": r"\mathrm{argmax}",
            "cols": r"\mathrm{cols}"}  # fmt: skip
_TOKEN = re.compile(
    r"(?P<d>\bd )?(?P<entry>(?:(?P<layer>\d+)\.(?P<own>[a-z]+)|(?P<plain>input|loss(?:es)?|shifted|exponentials|sums"
    r"|probabilities|onehot|error|target))(?:\[(?P<index>[^\]]*)\])?)"
    r"|(?P<over>(?P<what>sum|max) over (?P<letters>[a-z](?:,[a-z])*)(?P<rest>[^,]*?(?:,[a-z])*) of )"
    r"|(?P<larger>max(?=\())|(?P<words>\b(?!sum|max)[a-z]{2,}\b(?: a\b| \b(?!sum|max)[a-z]{2,}\b)*)|(?P<divided> \* 1/)|(?P<times> ?\* ?)"
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
    if match["entry"]:
        symbol = _SYMBOLS[match["own"] or match["plain"]] + (f"^{{({match['layer']})}}" if match["layer"] else "")
        index = to_latex(match["index"]) if match["index"] else ""
        return (r"\partial " if match["d"] else "") + symbol + (f"_{{{index}}}" if index else "")
    if match["over"]:
        rest = rf"\ \text{{{match['rest'].strip()}}}" if match["rest"].strip() else ""
        return rf"\{match['what']}_{{{match['letters']}{rest}}} "
    if match["larger"]:
        return r"\max"
    if match["words"]:
        word = match["words"]
        return rf"\{word}" if word in ("exp", "log") else rf"\text{{ {word} }}"
    return " / " if match["divided"] else r"\,"
