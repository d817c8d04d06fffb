"""Pictures of a trained network: learning curve, filters, confusion matrix."""

import numpy as np


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

    # A Figure of its own, not pyplot: no display, no global state.
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    curve, filters, confusion = figure.subplots(1, 3, width_ratios=[1.2, 0.8, 1])
    _draw_curve(curve, history)
    _draw_filters(filters, net)
    _draw_confusion(confusion, net.predict(X).argmax(axis=1), y)
    figure.savefig(path, dpi=130)


def _draw_curve(axes, history):
    epochs = np.arange(1, len(history.loss) + 1)
    axes.plot(epochs, history.loss, color="#0072b2", label="training loss (nats)")
    axes.plot(epochs, history.validation_loss, color="#0072b2", ls="--", label="test loss (nats)")
    axes.set(xlabel="epoch", ylabel="loss (nats)", yscale="log", title="Learning curve")
    share = axes.twinx()
    share.plot(epochs, history.validation_accuracy, color="#d55e00", label="test accuracy")
    share.set(ylabel="accuracy", ylim=(min(0.8, *history.validation_accuracy), 1))
    lines = axes.get_lines() + share.get_lines()
    axes.legend(lines, [line.get_label() for line in lines], loc="center right", frameon=False)
    axes.xaxis.get_major_locator().set_params(integer=True)


def _draw_filters(axes, net):
    weight = next(value for value in net.params.values() if value.ndim == 4)
    kernels = weight[:, 0]  # (F, KH, KW): what the first channel is looked at with
    F, KH, KW = kernels.shape
    columns = int(np.ceil(np.sqrt(F)))
    rows = -(-F // columns)
    sheet = np.full((rows * (KH + 1) - 1, columns * (KW + 1) - 1), np.nan)
    for f, kernel in enumerate(kernels):
        top, left = f // columns * (KH + 1), f % columns * (KW + 1)
        sheet[top : top + KH, left : left + KW] = kernel
    bound = np.abs(kernels).max() or 1
    image = axes.imshow(sheet, cmap="RdBu_r", vmin=-bound, vmax=bound)
    axes.figure.colorbar(image, ax=axes, shrink=0.7, label="weight")
    axes.set(title=f"First layer: {F} filters of {KH}x{KW}", xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _draw_confusion(axes, predicted, y):
    classes = int(max(y.max(), predicted.max())) + 1
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (y, predicted), 1)
    mistakes = counts - np.diag(np.diag(counts))
    axes.imshow(mistakes, cmap="Oranges", vmax=max(mistakes.max(), 1) * 1.5)
    for true, guess in zip(*np.nonzero(counts)):
        axes.text(guess, true, counts[true, guess], ha="center", va="center", fontsize=8)
    axes.set(title=f"Test accuracy {(predicted == y).mean():.3f}", xlabel="predicted digit", ylabel="true digit")
    axes.set(xticks=range(classes), yticks=range(classes))
