"""Displays in scikit-learn's form."""

import matplotlib.figure
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from fastconv import Conv2d, ConvNetClassifier, FilterDisplay, ReLU, TrainingCurveDisplay


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    X, y = rng.random((60, 2, 6, 8)), np.arange(60) % 3
    layers = [Conv2d(5, (2, 3)), ReLU(), Conv2d(4, 2)]
    return ConvNetClassifier(layers, max_iter=4, random_state=0).fit(X, y, X_val=X, y_val=y)


def test_curves_show_what_was_recorded(model):
    display = TrainingCurveDisplay.from_estimator(model)
    for line, values in zip(display.lines_, (model.loss_curve_, model.validation_loss_curve_, model.validation_scores_)):
        assert_array_equal(line.get_xdata(), [1, 2, 3, 4])
        assert_array_equal(line.get_ydata(), values)
    assert isinstance(display.figure_, matplotlib.figure.Figure) and display.score_ax_ is not None
    low, high = display.score_ax_.get_ylim()
    assert low <= np.quantile(model.validation_scores_, 0.1) < high


def test_displays_draw_on_given_axes_and_leave_pyplot_alone(model):
    left, right = matplotlib.figure.Figure().subplots(1, 2)
    assert TrainingCurveDisplay.from_estimator(model, ax=left).ax_ is left
    assert FilterDisplay.from_estimator(model, ax=right).figure_ is right.figure


def test_without_axes_they_are_figures_of_pyplot(model):
    from matplotlib import pyplot

    before = len(pyplot.get_fignums())
    TrainingCurveDisplay.from_estimator(model)
    FilterDisplay.from_estimator(make_pipeline(FunctionTransformer(), model))
    assert len(pyplot.get_fignums()) == before + 2
    pyplot.close("all")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_cannot_be_drawn_says_so(model, tmp_path):
    for display in (TrainingCurveDisplay, FilterDisplay):
        with pytest.raises(NotFittedError):
            display.from_estimator(ConvNetClassifier())
    model.save(tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="loaded from a file"):
        TrainingCurveDisplay.from_estimator(ConvNetClassifier.load(tmp_path / "model.safetensors"))
    perceptron = MLPClassifier(max_iter=3, early_stopping=True).fit(np.arange(80.0).reshape(40, 2), np.arange(40) % 2)
    assert len(TrainingCurveDisplay.from_estimator(perceptron, ax=matplotlib.figure.Figure().subplots()).lines_) == 2


def test_filters_are_laid_out_row_by_row(model):
    display = FilterDisplay.from_estimator(model, layer=1, channel=3)
    sheet = np.ma.filled(display.image_.get_array(), np.nan)
    weight = model.network_.params["2.weight"]
    assert sheet.shape == (5, 5)
    assert_array_equal(sheet[3:, :2], weight[2, 3])
    assert_array_equal(sheet[:2, 3:], weight[1, 3])
    with pytest.raises(ValueError, match="layer must be below 2"):
        FilterDisplay.from_estimator(model, layer=2)
    with pytest.raises(ValueError, match="channel must be below 2"):
        FilterDisplay.from_estimator(model, channel=2)
