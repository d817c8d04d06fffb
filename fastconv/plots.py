"""Pictures of training: curves, filters, and both beside a confusion matrix. matplotlib is imported when one is drawn."""

import numpy as np

LOSS, SCORE = "#0072b2", "#d55e00"
"""Blue and vermilion: told apart by everyone."""


class TrainingCurveDisplay:
    """Loss, and where it was measured validation loss and score, epoch by epoch.

    Parameters
    ----------
    loss : list of float
    validation_loss, validation_scores : list of float
        Empty without a validation set.

    Attributes
    ----------
    ax_ : matplotlib Axes
    score_ax_ : matplotlib Axes or None
        The score's, on the right.
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D

    Examples
    --------
    >>> display = TrainingCurveDisplay([2.0, 1.0, 0.5]).plot()
    >>> [line.get_label() for line in display.lines_]
    ['training loss']
    """

    def __init__(self, loss, validation_loss=(), validation_scores=()):
        self.loss, self.validation_loss, self.validation_scores = loss, validation_loss, validation_scores

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, score_name="validation score"):
        """Draw what a fitted ConvNetClassifier or ConvNetRegressor recorded, or scikit-learn's MLPs, also at a Pipeline's end.

        Parameters
        ----------
        estimator : fitted estimator
        ax : matplotlib Axes, optional
        score_name : str

        Returns
        -------
        TrainingCurveDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If it recorded nothing, as after `load`: curves are not kept in files.
        """
        from sklearn.utils.validation import check_is_fitted

        model = _last_step(estimator)
        check_is_fitted(model, "loss_curve_")
        if not model.loss_curve_:
            raise ValueError(f"this {type(model).__name__} has no curve to draw: it was loaded from a file, which keeps none")
        curves = model.loss_curve_, getattr(model, "validation_loss_curve_", []), model.validation_scores_ or []
        return cls(*curves).plot(ax=ax, score_name=score_name)

    def plot(self, *, ax=None, score_name="validation score"):
        """Draw, on `ax` or a figure of its own; -> self."""
        self.ax_, self.figure_ = _axes(ax)
        self.lines_ = self._line(self.ax_, self.loss, color=LOSS, label="training loss")
        self.ax_.set(xlabel="epoch", ylabel="loss")
        if min(self.loss, default=0) > 0:
            self.ax_.set_yscale("log")
            self.ax_.yaxis.set_major_formatter("{x:g}")
            self.ax_.yaxis.set_minor_formatter("")
        self.score_ax_ = None
        if len(self.validation_loss):
            self.lines_ += self._line(self.ax_, self.validation_loss, color=LOSS, ls="--", label="validation loss")
        if len(self.validation_scores):
            self.score_ax_ = self.ax_.twinx()
            self.lines_ += self._line(self.score_ax_, self.validation_scores, color=SCORE, label=score_name)
            # From a round number a little below most of the curve: the first epochs would flatten the rest.
            low = np.floor(10 * np.quantile(self.validation_scores, 0.1)) / 10
            self.score_ax_.set(ylabel=score_name, ylim=(min(low, 0.9), 1))
            self.score_ax_.yaxis.label.set_color(SCORE)
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.12), "ncols": 3, "frameon": False}
        # A layout engine makes room below; without one the middle is empty, loss below and score above.
        self.ax_.legend(handles=self.lines_, **(below if self.figure_.get_layout_engine() else {"loc": "center right"}))
        self.ax_.xaxis.get_major_locator().set_params(integer=True)
        return self

    @staticmethod
    def _line(ax, values, **style):
        return ax.plot(np.arange(1, len(values) + 1), values, marker="." if len(values) == 1 else None, **style)


class FilterDisplay:
    """A convolution's filters, side by side, zero in white.

    Parameters
    ----------
    weight : array (F, C, KH, KW)
    channel : int
        Of the input; a filter has one kernel for each.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    image_ : matplotlib AxesImage

    Examples
    --------
    >>> FilterDisplay(np.ones((5, 1, 2, 3))).plot().image_.get_array().shape
    (5, 11)
    """

    def __init__(self, weight, channel=0):
        self.weight, self.channel = weight, channel

    @classmethod
    def from_estimator(cls, estimator, *, layer=0, channel=0, ax=None):
        """Draw the filters of a fitted estimator, or of a `Sequential`.

        Parameters
        ----------
        estimator : fitted estimator, Pipeline that ends with one, or Sequential
        layer : int
            Which of the convolutions, counted from 0.
        channel : int
            Of its input.
        ax : matplotlib Axes, optional

        Returns
        -------
        FilterDisplay

        Raises
        ------
        ValueError
            If there is no such convolution or channel.
        NotFittedError
            If the estimator is not fitted.
        """
        from sklearn.utils.validation import check_is_fitted

        model = _last_step(estimator)
        if not hasattr(model, "params"):
            check_is_fitted(model, "network_")
        net = getattr(model, "network_", model)
        weights = [value for value in net.params.values() if value.ndim == 4]
        if not 0 <= layer < len(weights):
            raise ValueError(f"layer must be below {len(weights)}, the number of convolutions, got {layer}")
        if not 0 <= channel < weights[layer].shape[1]:
            raise ValueError(f"channel must be below {weights[layer].shape[1]}, got {channel}")
        return cls(weights[layer], channel).plot(ax=ax)

    def plot(self, *, ax=None):
        """Draw, on `ax` or a figure of its own; -> self."""
        from matplotlib import colormaps

        self.ax_, self.figure_ = _axes(ax)
        kernels = self.weight[:, self.channel]  # (F, KH, KW)
        F, KH, KW = kernels.shape
        columns = int(np.ceil(np.sqrt(F)))
        rows = -(-F // columns)
        sheet = np.full((rows * (KH + 1) - 1, columns * (KW + 1) - 1), np.nan)
        for f, kernel in enumerate(kernels):
            top, left = f // columns * (KH + 1), f % columns * (KW + 1)
            sheet[top : top + KH, left : left + KW] = kernel
        bound = np.abs(kernels).max() or 1
        # What lies between filters is grey, for a weight near 0 is white.
        self.image_ = self.ax_.imshow(sheet, cmap=colormaps["RdBu_r"].with_extremes(bad="0.8"), vmin=-bound, vmax=bound)
        self.figure_.colorbar(self.image_, ax=self.ax_, shrink=0.7, label="weight")
        self.ax_.set(title=f"{F} filters of {KH}x{KW}", xticks=[], yticks=[])
        self.ax_.spines[:].set_visible(False)
        return self


def plot_training(net, history, X, y, path):
    """Write the learning curve, the first convolution's filters and the confusion matrix into one picture.

    Parameters
    ----------
    net : Sequential
    history : History
        With validation_accuracy, a share of right answers an epoch.
    X : array (n, C, H, W)
        Held-out images.
    y : integer array (n,)
    path : str or path
        Of the .png file.
    """
    from matplotlib.figure import Figure
    from sklearn.metrics import ConfusionMatrixDisplay

    # A Figure of its own, not pyplot: no display, no global state.
    figure = Figure(figsize=(13.5, 4.2), layout="constrained")
    figure.get_layout_engine().set(wspace=0.06)
    curve, filters, confusion = figure.subplots(1, 3, width_ratios=[1.2, 0.8, 1])
    curves = history.loss, history.validation_loss, history.validation_accuracy
    TrainingCurveDisplay(*curves).plot(ax=curve, score_name="test accuracy")
    FilterDisplay.from_estimator(net, ax=filters)
    guess = net.predict(X).argmax(axis=1)
    ConfusionMatrixDisplay.from_predictions(y, guess, ax=confusion, cmap="Blues", colorbar=False)
    curve.set_title("Learning curve")
    confusion.set_title(f"Test accuracy {(guess == y).mean():.3f}")
    figure.savefig(path, dpi=130)


def _axes(ax):
    """-> axes, those of a new pyplot figure where none are given, and their figure"""
    if ax is None:
        from matplotlib import pyplot

        ax = pyplot.subplots(layout="constrained")[1]
    return ax, ax.figure


def _last_step(estimator):
    """An estimator, or the one at the end of a Pipeline."""
    return estimator[-1] if hasattr(estimator, "steps") else estimator
