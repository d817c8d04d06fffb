"""Terms sum to the entry, and every source names the number that stands as its factor: for every entry of random networks."""

import math
import pickle
import re

import numpy as np
import pytest
from examples import examples
from explain_cases import entries, random_trace

import fastconv
from fastconv import AvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential
from fastconv.explain import Trace, diagnose, gradcheck, integer_example, names, trace
from fastconv.explain.mistakes import forms
from fastconv.explain.names import Name
from fastconv.explain.operations import OPERATIONS
from fastconv.explain.operations.operation import Operation
from fastconv.layers import Layer


def named(t, source):
    """The number that a source names, found without `Trace.resolve`: entries become look-ups, the rest is arithmetic."""
    known = {"padding": 0, "between strides": 0, "won": 1, "lost": 0}
    if source in known:
        return known[source]
    sizes = {"N": len(t["input"]), "K": t[f"{len(t.layers) - 1}.out"][0].size}
    code = re.sub(r"((?:d )?(?:\d+\.)?[a-z]+)(\[[\d,]+\])", r"t['\1']\2", source)
    return float(eval(code, {"t": t, "exp": np.exp, "log": np.log, "log1p": np.log1p, **sizes}))


def expected_terms(t, name, index):
    """How many terms the mathematics says an entry of a layer's array has, counted from the shapes."""
    gradient, own, N = name.startswith("d "), name.removeprefix("d "), len(t["input"])
    layer = 0 if own == "input" else int(own.split(".")[0]) + (gradient and own.endswith(".out"))
    kind, x, y = t.layers[layer], t[f"{layer - 1}.out"] if layer else t["input"], t[f"{layer}.out"]
    if gradient and own.endswith((".weight", ".bias")):
        return N * math.prod(y.shape[2:])
    if gradient and isinstance(kind, (Conv2d, MaxPool2d, AvgPool2d)):
        return windows_on(kind, t.shapes[layer], index) * filters_on(kind, x)
    if name.endswith(".out") and isinstance(kind, (Conv2d, Linear)):
        return y.shape[1] if gradient else t[f"{layer}.weight"][0].size + kind.bias
    if name.endswith(".out") and isinstance(kind, AvgPool2d):
        return kind.window(t.shapes[layer]).KH * kind.window(t.shapes[layer]).KW
    return y.shape[1] if name == "d input" and isinstance(kind, Linear) else 1


def filters_on(kind, x):
    return kind.out_channels // kind.groups if isinstance(kind, Conv2d) else 1


def windows_on(kind, shape, index):
    """How many windows hold pixel (h, w): marked one by one."""
    g = kind.window(shape)
    held = np.zeros((g.H + g.PT + g.PB, g.W + g.PL + g.PR), int)
    for i, j in np.ndindex(g.OH, g.OW):
        for u, v in np.ndindex(g.KH, g.KW):
            held[i * g.SH + u * g.DH, j * g.SW + v * g.DW] += 1
    return held[index[2] + g.PT, index[3] + g.PL]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("seed", range(examples(5, 8)))
def test_every_entry_is_the_sum_of_its_terms(seed, dtype):
    t, seen = random_trace(seed, dtype), {}
    relative = 1e-12 if dtype == "float64" else 1e-5
    for name in t:
        for entry, (index, value) in zip(entries(t, name), np.ndenumerate(t[name])):
            ledger = t.why(entry)
            size = max(sum(abs(term.value) for term in ledger.terms), abs(value))
            assert abs(math.fsum(term.value for term in ledger.terms) - value) <= relative * size, entry
            for source, factor in (
                (source, factor) for term in ledger.terms for source, factor in zip(term.sources, term.factors)
            ):
                seen.setdefault(source, factor)
                assert seen[source] == factor, source
            if ("." in name or name.endswith("input")) and name != f"d {len(t.layers) - 1}.out":
                assert len(ledger.terms) == expected_terms(t, name, index), entry
    for source, factor in seen.items():
        assert factor == pytest.approx(named(t, source), rel=1e-6), source


@pytest.mark.parametrize("seed", range(8))
def test_both_readings_of_a_convolutions_dx_agree(seed):
    t = random_trace(seed)
    for i, layer in enumerate(t.layers):
        if isinstance(layer, Conv2d):
            for entry in entries(t, f"d {i - 1}.out" if i else "d input"):
                readings = t.why(entry).readings
                scatter, correlation = readings["scatter"], readings["correlation"]
                taps = t[f"{i}.weight"][:, 0].size // layer.groups
                assert len(correlation) == taps
                real = [term for term in correlation if term.sources[1].startswith("d ")]
                assert sorted(real) == sorted(scatter)
                assert all(term.value == 0 for term in correlation if term not in real)


def test_the_trace_is_what_training_computes():
    rng = np.random.default_rng(0)
    net = fastconv.tiny_net(4, channels=3, random_state=0)
    x, labels = rng.random((5, 1, 5, 5), "f4"), rng.integers(0, 4, 5)
    t = trace(net, x, labels)
    y, caches = net.forward(x)
    loss, cache = fastconv.functional.cross_entropy_forward(y, labels)
    grads = net.backward(fastconv.functional.cross_entropy_backward(cache), caches)
    assert np.array_equal(t["4.out"], y) and float(t["loss"]) == np.float32(loss)
    for name, gradient in grads.items():
        assert np.array_equal(t[f"d {name}"], gradient)
    before = t["0.weight"].copy()
    net.params["0.weight"][...] = 0
    assert np.array_equal(t["0.weight"], before)


def test_a_trace_can_be_pickled():
    t = random_trace(3)
    assert str(pickle.loads(pickle.dumps(t)).why("d input[0,0,1,1]")) == str(t.why("d input[0,0,1,1]"))


def test_a_pool_says_who_looked_who_won_and_whether_by_a_tie():
    net = Sequential([MaxPool2d((1, 3), stride=2), Flatten(), Linear(1)], (1, 1, 5), dtype="float64")
    t = trace(net, np.array([[[[4.0, 0, 4, 2, 0]]]]), np.ones((1, 1)), loss="mse")
    ledger = t.why("d input[0,0,0,2]")
    assert [look.winner for look in ledger.looks] == ["input[0,0,0,0]", "input[0,0,0,2]"]
    assert ledger.looks[0].tied == ("input[0,0,0,2]",) and ledger.looks[1].tied == ()
    assert [term.sources[1] for term in ledger.terms] == ["lost", "won"]
    assert "by a tie with input[0,0,0,2], standing first" in str(ledger)
    assert len(t.why("d input[0,0,0,4]").looks) == 1


def test_a_relu_says_whether_it_is_open():
    net = Sequential([ReLU(), Flatten(), Linear(2)], (1, 1, 2), dtype="float64")
    t = trace(net, np.array([[[[0.0, 3.0]]]]), [0])
    assert "shut" in str(t.why("d input[0,0,0,0]")) and "open" in str(t.why("d input[0,0,0,1]"))


def test_a_number_that_is_its_own_name_stands_once():
    t = trace(*integer_example())
    assert "  2.  -1 * 4.out[0,0] 3  =  -3" in str(t.why("shifted[0,0]"))


def test_padding_is_named():
    net = Sequential([Conv2d(1, 3, padding=1), Flatten(), Linear(2)], (1, 3, 3), random_state=0)
    t = trace(net, np.ones((1, 1, 3, 3)), [1])
    terms = t.why("d 0.weight[0,0,0,0]").terms
    assert len(terms) == 9 and sum(term.sources[0] == "padding" for term in terms) == 5
    assert all(term.factors[0] == 0 for term in terms if term.sources[0] == "padding")


def test_dropout_acts_only_with_rng():
    net = Sequential([Flatten(), Dropout(0.5), Linear(2)], (1, 3, 3), random_state=0)
    x = np.ones((1, 1, 3, 3))
    assert "1.kept" not in trace(net, x, [0])
    t = trace(net, x, [0], rng=np.random.default_rng(0))
    assert t.why("1.out[0,0]").terms[0].sources == ("0.out[0,0]", "1.kept[0,0]", "1/(1-0.5)")


def test_a_network_without_parameters_or_classes():
    net = Sequential([AvgPool2d(2)], (1, 4, 4), dtype="float64")
    t = trace(net, np.ones((2, 1, 4, 4)), np.zeros((2, 1, 2, 2)), loss="mse")
    assert t.why("loss").total == pytest.approx(1) and len(t.why("loss").terms) == 8
    assert t.why("d input[0,0,0,0]").total == t["d input"][0, 0, 0, 0]


def test_bad_names_and_inputs_are_explained():
    net, x, labels = integer_example()
    t = trace(net, x, labels)
    assert isinstance(t, Trace) and "d input" in t and "nonsense" not in t and len(t) == len(list(t))
    for call, message in [
        (lambda: t["0.weights"], r"no array '0.weights'; the names are input, 0\.weight"),
        (lambda: t.why("d 9.out[0]"), "no array 'd 9.out'"),
        (lambda: t.why("0.out[0,0,4,0]"), r"out of range, '0.out' has shape \(1, 1, 4, 4\)"),
        (lambda: t.why("0.out[0,0,-1,0]"), "out of range"),
        (lambda: t.why("0.out[0,0]"), r"has 2 indices, '0.out' has shape \(1, 1, 4, 4\)"),
        (lambda: t.why("0.out"), "has 0 indices"),
        (lambda: t.why("0.out[0,-,1,1]"), "no list of integers"),
        (lambda: t.why("0.out[0"), "is not a name with an index"),
        (lambda: t.why(3), "is not a name with an index"),
        (lambda: trace(net, x[:, :, :4], labels), r"x has shape \(1, 1, 4, 5\), expected \(N, 1, 5, 5\)"),
        (lambda: trace(net, x[:0], labels[:0]), "at least one sample"),
        (lambda: trace(net, x, [7]), r"labels must be in \[0, 3\)"),
        (lambda: trace(net, x, labels, loss="hinge"), "loss must be"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()


def test_names_are_taken_apart_and_made_again():
    parts = {
        "d 12.weight": (True, 12, "weight"),
        "3.out": (False, 3, "out"),
        "input": (False, -1, "input"),
        "d input": (True, -1, "input"),
    }
    parts |= {"losses": (False, None, "losses"), "d loss": (True, None, "loss"), "0.weight[0,0,1,1]": (False, 0, "weight")}
    assert {text: Name.parse(text) for text in parts} == parts
    assert all(str(Name.parse(name)) == name for name in random_trace(7))


def test_every_array_has_an_equation():
    for seed in range(8):
        t = random_trace(seed)
        for name in t:
            text, latex = t.equations[name]
            assert text.startswith(name) and latex and latex.count("{") == latex.count("}")
            assert "$" not in text and "[" not in latex and "*" not in latex


def test_sheets_are_worked_or_blank():
    t = trace(*integer_example(samples=2))
    text, blank = t.to_text(), t.to_text(worksheet=True)
    assert "d 0.weight (1, 1, 2, 2)" in text and "____" not in text
    assert blank.count("____") == sum(t[name].size for name in t if name.startswith("d ") and name != "d loss")
    markdown = t.to_markdown(worksheet=True)
    assert r"\sum_{c,u,v}" in markdown and "### `d input`" in markdown
    assert markdown.count(r"\square") == blank.count("____") and r"\square" not in t.to_markdown()
    assert [line for line in blank.splitlines() if line.startswith("Fill in the blanks")]
    assert not [line for line in (text + markdown).splitlines() if line != line.rstrip()]
    assert r"e_{n,k} / S_{n}" in t.equations["probabilities"].latex


@pytest.mark.parametrize("seed", range(40))
def test_the_whole_number_example_is_exact_up_to_the_softmax(seed):
    net, x, labels = integer_example(3 + seed % 2, samples=1 + seed % 3, random_state=seed)
    t = trace(net, x, labels)
    for name in ("input", "0.weight", "0.out", "1.out", "2.out", "3.out", "4.weight", "4.out"):
        assert np.array_equal(t[name], t[name].round()) and abs(t[name]).max() <= 10
    assert t["probabilities"].min() > 0.01
    for name in t:
        assert not ((t[name] != 0) & (abs(t[name]) < 1e-12)).any(), name  # a sum of 0 on paper is 0 here


class Tanh(Layer):
    """A layer that the explainer has no file for."""

    def forward(self, ops, x, params, rng):
        return np.tanh(x), np.tanh(x)

    def backward(self, ops, dy, cache, need_dx):
        return dy * (1 - cache**2), ()


def test_a_new_layer_is_walked_through_and_one_class_explains_it(monkeypatch):
    net = Sequential([Flatten(), Tanh(), Linear(2)], (1, 1, 3), random_state=0, dtype="float64")
    x = np.array([[[[0.5, -1.0, 2.0]]]])
    t = trace(net, x, [1])
    with pytest.raises(ValueError, match="layer 1, .*Tanh.*, has no ledger of its sums"):
        t.why("d 0.out[0,0]")
    assert diagnose(t["d input"], t, "input").mistake is None and gradcheck(net, x, [1]).ok

    monkeypatch.setitem(names.FUNCTIONS, "tanh", np.tanh)
    monkeypatch.setitem(OPERATIONS, Tanh, None)  # undone in the end

    class ExplainedTanh(Operation, layer=Tanh):
        @staticmethod
        def remembered(x, cache):
            return {"slope": 1 - cache**2}

        def equations(self):
            return {self.y: f"{self.y}[n,k] = tanh({self.x}[n,k])"}

        def rules(self):
            return {
                self.y: lambda *at: [[names.applied("tanh", names.entry(self.x, *at))]],
                self.dx: lambda *at: [[names.entry(self.dy, *at), names.entry(self.own("slope"), *at)]],
            }

        def forms(self):
            return forms("slope_missing", "slope", "multiply by 1 - y**2", lambda dy: dy)

        def wrong_input_gradient(self, dy, cache, slope):
            return slope(dy)

    t = trace(net, x, [1])
    assert t.equations["1.out"].latex == r"y^{(1)}_{n,k} = \tanh(y^{(0)}_{n,k})"
    for entry in ("1.out[0,2]", "d 0.out[0,2]"):
        assert t.why(entry).total == pytest.approx(t.why(entry).value)
    assert str(diagnose(t["d 1.out"], t, "0.out")) == "slope_missing at layer 1 (Tanh): multiply by 1 - y**2."


def test_explain_is_a_lazy_attribute():
    assert fastconv.explain.trace is trace and "explain" in dir(fastconv)
