"""Train a small convolutional network on scikit-learn's handwritten digits, 8x8 or averaged down to 5x5."""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

import fastconv
from fastconv import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential

TEST_SAMPLES = 360


def build(name, size, seed):
    """The network called `name` for size x size images of one channel."""
    layers = {
        "tiny": [Conv2d(32, 2), ReLU(), MaxPool2d(2), Flatten(), Linear(10)],
        "small": [Conv2d(16, 3, padding=1), ReLU(), MaxPool2d(2), Flatten(), Linear(10)],
        "deep": [
            *[Conv2d(16, 3, padding=1), ReLU(), Conv2d(32, 3, padding=1), ReLU()],
            *[MaxPool2d(2), Flatten(), Linear(64), ReLU(), Linear(10)],
        ],
    }
    return Sequential(layers[name], input_shape=(1, size, size), random_state=seed)


def split(X, y, seed):
    """-> X_train, y_train, X_test, y_test: the same split for the same seed."""
    order = np.random.default_rng(seed).permutation(len(X))
    test, training = order[:TEST_SAMPLES], order[TEST_SAMPLES:]
    return X[training], y[training], X[test], y[test]


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, choices=(5, 8), default=8, help="height and width of the images")
    parser.add_argument("--net", choices=("tiny", "small", "deep"), help="default: deep for size 8, tiny for size 5")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=0.05, help="learning rate of SGD with momentum 0.9")
    parser.add_argument("--seed", type=int, default=0, help="of the split, the first weights and the order")
    parser.add_argument("--backend", choices=("loop", "im2col", "compiled"), help="default: the fastest that suits the network")
    parser.add_argument("--save", metavar="FILE", type=Path, help="the trained network, a .safetensors file")
    parser.add_argument("--plot", metavar="FILE.png", type=Path, help="learning curve, filters and confusion matrix")
    parser.add_argument("--json", metavar="FILE", type=Path, help="results as JSON")
    options = parser.parse_args(arguments)
    for name, least in (("epochs", 1), ("batch_size", 1), ("lr", 0), ("seed", 0)):
        if getattr(options, name) < least:
            parser.error(f"--{name.replace('_', '-')} must be at least {least}, got {getattr(options, name)}")
    for path in (options.save, options.plot, options.json):
        if path is not None and not path.absolute().parent.is_dir():
            parser.error(f"{path}: its folder does not exist")
    options.net = options.net or ("tiny" if options.size == 5 else "deep")
    return options


def progress(epochs):
    """A callback that prints one line an epoch, under a bar where there is a terminal."""
    from tqdm import tqdm

    bar = tqdm(total=epochs, unit="epoch", leave=False, disable=None)

    def report(epoch, history):
        bar.update()
        bar.clear()
        print(
            f"epoch {epoch + 1:3d}  loss {history.loss[-1]:.4f}  test loss {history.validation_loss[-1]:.4f}  "
            f"test accuracy {history.validation_accuracy[-1]:.4f}",
            flush=True,
        )
        bar.refresh()

    return report, bar.close


def main(arguments=None):
    options = parse(arguments)
    X_train, y_train, X_test, y_test = split(*fastconv.load_digits(options.size), options.seed)
    net = build(options.net, options.size, options.seed)
    print(net.summary(), end="\n\n")
    report, close = progress(options.epochs)
    started = time.perf_counter()
    history = fastconv.train(
        *(net, X_train, y_train),
        epochs=options.epochs,
        batch_size=options.batch_size,
        optimizer=fastconv.SGD(options.lr, momentum=0.9),
        validation=(X_test, y_test),
        random_state=options.seed,
        backend=options.backend,
        callback=report,
    )
    seconds = time.perf_counter() - started
    close()
    accuracy = history.validation_accuracy[-1]
    if options.save:
        net.save(options.save)
        print(f"network: {options.save}")
    if options.plot:
        from fastconv.plots import plot_training

        plot_training(net, history, X_test, y_test, options.plot)
        print(f"picture: {options.plot}")
    if options.json:
        results = {
            **{"test_accuracy": accuracy, "train_seconds": seconds, "epochs": options.epochs},
            **{"backend": options.backend or "compiled", "size": options.size, "net": options.net, "seed": options.seed},
            **{"batch_size": options.batch_size, "lr": options.lr, "history": vars(history)},
        }
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    print(f"trained in {seconds:.2f} s")
    print(f"test accuracy: {accuracy:.4f}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
