"""Every mistake is planted by plain loops in explain_cases, which know nothing of how diagnose looks for it."""

from collections import Counter
from itertools import combinations, islice, product

import numpy as np
import pytest
from examples import examples
from explain_cases import gradient_names, mistaken, random_trace

import fastconv
from fastconv.explain import Diagnosis, diagnose, integer_example, trace
from fastconv.explain.mistakes import MISTAKES

EXCLUSIVE = [{"mean_missing", "mean_twice"}, {"tie_all", "tie_last", "tie_split"}, {"relu_mask_missing", "relu_mask_at_zero"}]
FEW = examples((11, 24, 32, 38), (11, 13, 16, 18, 21, 24, 28, 29, 32, 38))
"""Seeds of small networks, one with each loss at least, in which every mistake shows, in both styles; 30 more repeat it."""
seeds = pytest.mark.parametrize("seeds", [FEW, pytest.param(range(30), marks=pytest.mark.long)], ids=["few", "many"])


def same(a, b):
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-7, atol=1e-9 * abs(b).max() + 1e-14)


@seeds
def test_right_gradients_are_called_right(seeds):
    for seed, dtype in product(seeds, ("float64", "float32")):
        t = random_trace(seed, dtype)
        for name in gradient_names(t):
            right = mistaken(t, name, set())
            assert np.allclose(right, t[f"d {name}"], rtol=1e-4, atol=1e-5)
            for given in (right, right.round(2), right.round(3), right.astype(np.float32), right.tolist()):
                assert diagnose(given, t, name).mistake is None
            assert diagnose(right, t, f"d {name}").mistakes == ()


@seeds
def test_single_mistakes_are_named_first(seeds):
    outcomes, named = Counter(), set()
    for t in map(random_trace, seeds):
        for name, mistake, style in product(gradient_names(t), MISTAKES, (0, 1)):
            given = mistaken(t, name, {mistake}, style)
            if same(given, t[f"d {name}"]):
                continue
            found = diagnose(given, t, name)
            hit = found.mistakes == (mistake,)
            outcomes["hit" if hit else "same numbers" if (mistake,) in found.alternatives else "miss"] += 1
            named |= {(mistake, style)} if hit else set()
            assert hit or found.confidence < 1
    assert named == {*product(MISTAKES, (0, 1))}
    assert outcomes["hit"] >= 0.99 * (outcomes["hit"] + outcomes["miss"])
    assert outcomes["hit"] >= 0.95 * outcomes.total()


@pytest.mark.parametrize("seeds, each", [(FEW, 2), pytest.param(range(16), 3, marks=pytest.mark.long)])
def test_pairs_of_mistakes_are_named(seeds, each):
    outcomes, named = Counter(), set()
    pairs = [set(pair) for pair in combinations(MISTAKES, 2) if not any(set(pair) <= group for group in EXCLUSIVE)]
    for seed in seeds:
        t, rng = random_trace(seed), np.random.default_rng(seed)
        for name in gradient_names(t):
            plain = [mistaken(t, name, {mistake}, style) for mistake in (None, *MISTAKES) for style in (0, 1)]
            both = ((pair, mistaken(t, name, pair, int(rng.integers(2)))) for pair in rng.permutation(pairs))
            showing = ((pair, given) for pair, given in both if not any(same(given, other) for other in plain))
            for pair, given in islice(showing, each):
                found = diagnose(given, t, name)
                hidden = any(pair == set(names) for names in found.alternatives)
                outcomes["hit" if set(found.mistakes) == pair else "same numbers" if hidden else "miss"] += 1
                named |= pair & set(found.mistakes)
    assert outcomes["hit"] >= 0.95 * outcomes.total()
    assert named == set(MISTAKES)


@pytest.mark.parametrize("decimals", [2, 3])
def test_mistakes_survive_rounding_where_they_are_large_enough(decimals):
    outcomes, named = Counter(), set()
    for t in map(random_trace, FEW):
        for name, mistake in product(gradient_names(t), MISTAKES):
            given, right = mistaken(t, name, {mistake}).round(decimals), t[f"d {name}"]
            if given.shape == right.shape and abs(given - right).max() < 3 * 10.0**-decimals:
                continue
            found = diagnose(given, t, name)
            outcomes[(mistake,) == found.mistakes or (mistake,) in found.alternatives] += 1
            named |= {*found.mistakes}
    assert outcomes[True] >= 0.98 * outcomes.total() > 100
    assert named >= set(MISTAKES) - {"relu_mask_at_zero"}  # which is a small one wherever it shows


def test_a_mistake_at_one_of_several_layers_is_found():
    rng = np.random.default_rng(0)
    layers = [fastconv.Conv2d(2, 3, padding=1), fastconv.ReLU(), fastconv.MaxPool2d(2, stride=1), fastconv.ReLU(),
              fastconv.MaxPool2d(2), fastconv.Flatten(), fastconv.Linear(3)]  # fmt: skip
    net = fastconv.Sequential(layers, (1, 6, 6), random_state=0, dtype="float64")
    net.params["0.weight"][...] = rng.integers(-1, 2, net.params["0.weight"].shape)  # whole numbers tie
    net.params["0.bias"][...] = 1
    t = trace(net, rng.integers(-1, 2, (2, 1, 6, 6)), [0, 2])
    d = t["d 2.out"]
    lower = np.zeros(t["1.out"].shape)
    for n, c, i, j in np.ndindex(d.shape):
        window = t["1.out"][n, c, i : i + 2, j : j + 2]
        lower[n, c, i : i + 2, j : j + 2] += (window == window.max()) * d[n, c, i, j]
    assert diagnose(lower, t, "1.out").mistake == "tie_all"


def test_an_unknown_mistake_is_called_unknown_and_located():
    for t in map(random_trace, FEW):
        for name in gradient_names(t):
            right = t[f"d {name}"]
            if right.size < 3:
                continue
            given = right.copy()
            at = np.unravel_index(right.size // 2, right.shape)
            given[at] += 0.3 * abs(right).max() + 0.01
            found = diagnose(given, t, name)
            where = f"d {name}[{','.join(map(str, map(int, at)))}]"
            assert (found.mistake, found.where) == ("unknown", where) and where in found.text and found.confidence == 0


def test_transposed_shapes_are_diagnosed_and_others_refused():
    net, x, labels = integer_example(samples=2)
    t = trace(net, x, labels)
    assert diagnose(t["d 4.weight"].T, t, "4.weight").mistakes == ("transposed",)
    assert diagnose(2 * t["d 4.weight"].T, t, "4.weight").mistakes == ("mean_missing", "transposed")
    assert diagnose(np.moveaxis(t["d 0.out"], 1, -1), t, "0.out").mistakes == ("transposed",)
    assert diagnose(t["d 4.weight"].T + 1, t, "4.weight").mistakes == ("transposed", "unknown")
    with pytest.raises(ValueError, match=r"\(4, 4\), expected \(3, 4\)"):
        diagnose(np.zeros((4, 4)), t, "4.weight")


def test_gradients_worked_by_hand_may_be_rounded_at_every_step():
    net, x, labels = integer_example(samples=2)
    t = trace(net, x, labels)
    rough = t["d 0.weight"].round(3) + np.array([[0.002, -0.001], [0.001, 0.0]])
    assert diagnose(rough, t, "0.weight").mistake is None
    found = diagnose(rough * 2, t, "0.weight")
    assert found.mistake == "mean_missing" and found.confidence < 1


def test_names_and_numbers_that_make_no_sense():
    net, x, labels = integer_example()
    t = trace(net, x, labels)
    for name in ("0.weights", "loss", "onehot", "9.out", "0.weight[0]", ""):
        with pytest.raises(ValueError, match=r"the gradients are .*d 0\.weight"):
            diagnose(np.zeros(3), t, name)
    with pytest.raises(TypeError):
        diagnose(np.array(["a"]), t, "0.bias")
    assert diagnose(np.full((1, 1, 2, 2), np.nan), t, "0.weight").mistake == "unknown"
    assert diagnose(np.full((1, 1, 2, 2), np.inf), t, "0.weight").where == "d 0.weight[0,0,0,0]"
    found = diagnose(t["d 0.weight"], t, "0.weight")
    assert isinstance(found, Diagnosis) and str(found) == "The gradient is right."


@pytest.mark.parametrize("seed", range(6))
def test_right_gradients_of_few_digits_are_called_right(seed):
    t = random_trace(seed)
    for name in gradient_names(t):
        right = t[f"d {name}"]
        digits = np.array([float(f"{value:.3g}") for value in right.ravel()]).reshape(right.shape)
        for given in (right.astype(np.float16), digits):
            assert diagnose(given, t, name).mistake is None, name


def test_right_gradients_in_which_terms_cancel_are_called_right():
    """Equal weights: every gradient to the units below is 0 but for what float32 leaves of the sum."""
    layers = [fastconv.Conv2d(2, 2), fastconv.ReLU(), fastconv.MaxPool2d(2), fastconv.Flatten(), fastconv.Linear(3)]
    x, labels = np.random.default_rng(1).random((4, 1, 5, 5)), [0, 1, 2, 0]
    nets = {dtype: fastconv.Sequential(layers, (1, 5, 5), dtype=dtype) for dtype in ("float64", "float32")}
    for net in nets.values():
        net.buffer[...] = 1
    single, double = (trace(nets[dtype], x, labels) for dtype in ("float32", "float64"))
    for name in gradient_names(double):
        assert diagnose(single[f"d {name}"], double, name).mistake is None, name
        assert diagnose(double[f"d {name}"], single, name).mistake is None, name


def dilated(dy, stride):
    spread = np.zeros((*dy.shape[:2], (dy.shape[2] - 1) * stride + 1, (dy.shape[3] - 1) * stride + 1))
    spread[:, :, ::stride, ::stride] = dy
    return spread


def full(dy, w):
    """The full correlation of dy (N, F, OH, OW) with w (F, C, KH, KW) as it comes."""
    KH, KW = w.shape[2:]
    framed = np.pad(dy, ((0, 0), (0, 0), (KH - 1, KH - 1), (KW - 1, KW - 1)))
    windows = np.lib.stride_tricks.sliding_window_view(framed, (KH, KW), axis=(2, 3))
    return np.einsum("nfhwuv,fcuv->nchw", windows, w)


KERNELS = {
    "as it is": (lambda w: w, {"kernel_not_rotated"}),
    "rows only": (lambda w: w[:, :, ::-1], {"kernel_not_rotated"}),
    "all axes": (lambda w: np.flip(w), {"kernel_not_rotated"}),
    "the first two axes": (lambda w: np.rot90(w, 2), {"kernel_not_rotated"}),
    "rotated and transposed": (lambda w: w[:, :, ::-1, ::-1].swapaxes(2, 3), {"transposed"}),
    "transposed": (lambda w: w.swapaxes(2, 3), {"kernel_not_rotated", "transposed"}),
    "right": (lambda w: w[:, :, ::-1, ::-1], set()),
}


@pytest.mark.parametrize("turned", KERNELS)
def test_kernels_turned_in_every_way_people_turn_them(turned):
    rng = np.random.default_rng(0)
    layers = [fastconv.Conv2d(3, 3, stride=2), fastconv.Flatten(), fastconv.Linear(3)]
    net = fastconv.Sequential(layers, (2, 7, 9), random_state=0, dtype="float64")
    t = trace(net, rng.normal(size=(2, 2, 7, 9)), [0, 2])
    turn, expected = KERNELS[turned]
    assert set(diagnose(full(dilated(t["d 0.out"], 2), turn(t["0.weight"])), t, "input").mistakes) == expected


def test_a_stride_whose_zeros_are_copies():
    rng = np.random.default_rng(0)
    net = fastconv.Sequential(
        [fastconv.Conv2d(3, 3, stride=2), fastconv.Flatten(), fastconv.Linear(3)], (2, 7, 9), random_state=0
    )
    t = trace(net, rng.normal(size=(2, 2, 7, 9)), [0, 2])
    repeated = t["d 0.out"].repeat(2, axis=2).repeat(2, axis=3)
    found = diagnose(full(repeated, t["0.weight"][:, :, ::-1, ::-1])[:, :, :7, :9], t, "input")
    assert found.mistake == "stride_not_dilated"


def test_one_mistake_in_layers_of_two_kinds_is_one_mistake():
    rng = np.random.default_rng(0)
    layers = [fastconv.MaxPool2d(2, 1), fastconv.AvgPool2d(2, 1), fastconv.Flatten(), fastconv.Linear(2)]
    net = fastconv.Sequential(layers, (1, 5, 6), random_state=0, dtype="float64")
    t = trace(net, rng.normal(size=(2, 1, 5, 6)), [0, 1])
    assert diagnose(mistaken(t, "input", {"overlap_assigned"}), t, "input").mistakes == ("overlap_assigned",)


def test_a_mask_applied_after_an_average_pool():
    rng = np.random.default_rng(0)
    layers = [fastconv.Conv2d(2, 2), fastconv.ReLU(), fastconv.AvgPool2d(2), fastconv.Flatten(), fastconv.Linear(2)]
    net = fastconv.Sequential(layers, (1, 7, 7), random_state=0, dtype="float64")
    t = trace(net, rng.normal(size=(2, 1, 7, 7)), [0, 1])
    late = (t["d 2.out"] * (t["2.out"] > 0)).repeat(2, axis=2).repeat(2, axis=3) / 4
    assert diagnose(late, t, "0.out").mistake == "relu_mask_missing"


def test_padding_put_on_the_wrong_side_shows_in_dw():
    rng = np.random.default_rng(0)
    layers = [fastconv.Conv2d(2, 2, padding="same"), fastconv.Flatten(), fastconv.Linear(2)]
    net = fastconv.Sequential(layers, (1, 4, 5), random_state=0, dtype="float64")
    t = trace(net, rng.normal(size=(2, 1, 4, 5)), [0, 1])
    framed = np.pad(t["input"], ((0, 0), (0, 0), (1, 0), (1, 0)))  # "same" puts the odd row at the bottom
    dw = np.stack(
        [
            [(framed[:, :, u : u + 4, v : v + 5] * t["d 0.out"][:, f : f + 1]).sum() for u in (0, 1) for v in (0, 1)]
            for f in (0, 1)
        ]
    )
    assert diagnose(dw.reshape(2, 1, 2, 2), t, "0.weight").mistake == "padding_not_cropped"


def test_the_correction_is_of_the_form_that_was_made():
    rng = np.random.default_rng(0)
    net = fastconv.Sequential([fastconv.Flatten(), fastconv.Linear(4)], (1, 2, 2), random_state=0, dtype="float64")
    t = trace(net, rng.normal(size=(3, 1, 2, 2)), rng.normal(size=(3, 4)), loss="mse")
    found = diagnose(2 * t["error"] / 3, t, "1.out")
    assert found.mistake == "mean_missing" and "number K of outputs" in found.text


def test_zeros_are_right_as_far_as_they_go():
    net, x, labels = integer_example()
    net.params["4.weight"][...] *= 1e-4  # so small that two decimals of the gradients below are 0
    t = trace(net, x, labels)
    found = diagnose(np.zeros((1, 1, 2, 2)), t, "0.weight")
    assert found.mistake is None and found.confidence < 1 and "These digits tell no more" in found.text
    assert diagnose(t["d 0.weight"], t, "0.weight").text == "The gradient is right."
