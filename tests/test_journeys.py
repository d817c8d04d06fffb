"""Whatever can be fitted can be saved, exported, copied, explained and trained further."""

import copy
import os
import subprocess
import sys
import warnings
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import joblib
import journeys
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from fastconv import explain
from fastconv.estimators import fitting
from fastconv.training import train

pytestmark = pytest.mark.filterwarnings("ignore:A column-vector y was passed")
ROOT = Path(__file__).parents[1]
ROWS = journeys.journeys(rounds=int(os.environ.get("FASTCONV_JOURNEYS", "1")))
HAVE = {name: find_spec(name) is not None for name in ("pandas", "polars")}
APART = ("without Numba", "two processes")  # together, as a process takes seconds to start


def test_every_two_levels_meet():
    met = {pair for row in ROWS for pair in journeys.combinations(row.items(), 2)}
    assert met >= set(journeys.possible_pairs()) and all(map(journeys.is_possible, ROWS))


def interrupted_after(epochs):
    """`train` that is interrupted in the epoch after so many, its weights half-trained."""
    count = iter(range(epochs))

    def stopped(net, *args, **settings):
        history = train(net, *args, **settings)
        if next(count, None) is None:
            raise KeyboardInterrupt
        return history

    return stopped


@cache
def _data(shape, dtype, n):
    return journeys.samples({"shape": shape, "dtype": dtype}, n)


def begin(row, monkeypatch):
    """-> a fitted model, X and y in the form of `row`, and what the model says of the same X in its plainest form"""
    plain, kinds = _data(row["shape"], row["dtype"], {"48x48": 12, "3x32x32": 12, "28x28": 36}.get(row["shape"], 70))
    X, y = journeys.shown(row, plain), journeys.target(row, kinds)
    model = journeys.fitted(row, X, y, kinds)
    if row["way"] in ("refused", "interrupted"):
        before = journeys.answers(model, X)
        if row["way"] == "refused":
            with pytest.raises(ValueError):
                model.fit(journeys.shown(row, plain)[:5], y)
        else:
            model.warm_start = True
            with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
                patch.setattr(fitting, "train", interrupted_after(1))
                model.fit(X, y)
            model.warm_start = False
        assert_array_equal(journeys.answers(model, X), before)
    if not hasattr(model, "feature_names_in_"):
        found = journeys.answers(model, plain.reshape(len(plain), -1))
        assert_allclose(journeys.answers(model, X), found, rtol=1e-3, atol=1e-3 * np.abs(found).max(initial=1e-300))
    return model, X, y, plain


def go_on(model, row, X, y):
    """Train `model` further as `row` says."""
    if row["then"] == "partial_fit" and not model.early_stopping:
        model.partial_fit(X, y)
    elif row["then"] == "warm start":
        model.set_params(warm_start=True).fit(X, y)
    elif row["then"] == "fit":
        model.set_params(warm_start=False).fit(X, y)
    return journeys.answers(model, X)


def ended(model, row, X, y):
    """A model answers, and is trained further, as it should be after whatever was done with it."""
    assert np.isfinite(go_on(model, row, X, y)).all()
    assert np.shape(model.predict(X))[:1] == np.shape(X)[:1]


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row["afterwards"] not in APART], ids=lambda row: " | ".join(row.values())
)
def test_a_journey(row, tmp_path, monkeypatch):
    if not HAVE.get(row["form"], True):
        pytest.skip(f"needs {row['form']}")
    model, X, y, plain = begin(row, monkeypatch)
    before, how = journeys.answers(model, X), row["afterwards"]
    again = journeys.copied(model, how, tmp_path)
    assert_array_equal(journeys.answers(again, X), before)
    assert_array_equal(again.predict(X), model.predict(X))
    if how == "clone":
        again = clone(again).fit(X, y)
    elif how == "trace":
        net, (images, targets, loss) = again.network_, again.as_trained(X, y)
        assert_array_equal(explain.trace(net, images, targets, loss=loss)["input"], images)
    elif how == "ONNX":
        compare_with_onnx(again, plain, row, tmp_path / "model.onnx")
    elif how in ("pickle", "joblib", "deepcopy") and row["settings"] != "others":
        theirs, ours = go_on(copy.deepcopy(model), row, X, y), go_on(again, row, X, y)
        assert_array_equal(theirs, ours)
    ended(again, row, X, y)
    if row["target"] != "huge":  # r2_score squares numbers
        assert np.isfinite(again.score(X, y))


def compare_with_onnx(model, plain, row, path):
    onnxruntime = pytest.importorskip("onnxruntime")
    model.to_onnx(path)
    X = plain.reshape(len(plain), -1)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = dict(zip([output.name for output in session.get_outputs()], session.run(None, {"X": X.astype(np.float32)})))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        expected, decided = journeys.answers(model, X), model.predict(X)
    values = found["probabilities"] if "label" in found else found["variable"]
    assert_allclose(values, expected, rtol=1e-3, atol=1e-4 * max(1, np.abs(expected).max()))
    if "label" in found:
        assert (np.asarray(found["label"]) == decided).mean() > 0.95  # probabilities may be as good as equal


def _together(how):
    rows = [row for row in ROWS if row["afterwards"] == how and HAVE.get(row["form"], True)]
    assert rows
    return rows


PREDICT = """
import sys
sys.modules["numba"] = None
import warnings
from pathlib import Path
import numpy as np
import fastconv
warnings.filterwarnings("ignore", "X does not have valid feature names")
for path in sorted(Path(sys.argv[1]).glob("*.npz")):
    data = np.load(path)
    kind = getattr(fastconv, str(data["kind"]))
    model = kind.load(path.with_suffix(".safetensors"))
    found = getattr(model, str(data["method"]))(data["X"])
    tolerance = 1e-3 * max(1, np.abs(data["answers"]).max())
    assert np.abs(found - data["answers"]).max() < tolerance, path
    model.save(path.with_suffix(".again"))
    assert (kind.load(path.with_suffix(".again")).network_.buffer == model.network_.buffer).all()
    try:
        model.partial_fit(data["X"], model.predict(data["X"]))
    except (ModuleNotFoundError, ValueError) as error:
        assert "\\n" not in str(error)
    else:
        raise AssertionError(path)
"""


def test_journeys_to_where_numba_is_not_installed(tmp_path, monkeypatch):
    for index, row in enumerate(_together("without Numba")):
        model, X, y, plain = begin(row, monkeypatch)
        model.save(tmp_path / f"{index}.safetensors")
        method = "predict_proba" if hasattr(model, "predict_proba") else "predict"
        np.savez(
            tmp_path / f"{index}.npz",
            X=plain.reshape(len(plain), -1),
            answers=journeys.answers(model, X),
            kind=type(model).__name__,
            method=method,
        )
        ended(model, row, X, y)
    run = subprocess.run([sys.executable, "-c", PREDICT, tmp_path], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr


def _in_a_process(model, X, y, row):
    return journeys.answers(model, X), go_on(model, row, X, y)


def test_journeys_to_other_processes(monkeypatch):
    jobs = [(*begin(row, monkeypatch)[:3], row) for row in _together("two processes")]
    found = joblib.Parallel(n_jobs=2)(joblib.delayed(_in_a_process)(*job) for job in jobs)
    for (model, X, y, row), (answers, later) in zip(jobs, found):
        # joblib hands numbers of another byte order over in the machine's own, whose float32 stays float32.
        tolerance = 1e-4 if row["dtype"].startswith(">") else 0
        assert_allclose(answers, journeys.answers(model, X), rtol=tolerance)
        if row["settings"] != "others":
            assert_allclose(later, go_on(model, row, X, y), rtol=tolerance)
        ended(model, row, X, y)
