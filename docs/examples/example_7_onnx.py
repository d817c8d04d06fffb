"""
ONNX in production
==================

An exported estimator holds its preprocessing and its class labels: what serves it needs neither fastconv nor scikit-learn.
"""

# %%
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
from sklearn.datasets import load_digits

from fastconv import ConvNetClassifier

X, y = load_digits(return_X_y=True)
names = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])[y]
model = ConvNetClassifier(max_iter=10, random_state=0).fit(X[:1400], names[:1400])

# %%
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "digits.onnx"
    model.to_onnx(path)
    print(f"{path.stat().st_size / 1000:.0f} kB")
    session = onnxruntime.InferenceSession(path)

label, probabilities = session.run(["label", "probabilities"], {"X": X[1400:].astype(np.float32)})
print(label[:5], f"{(label == names[1400:]).mean():.3f}")
print(f"largest difference of the probabilities: {np.abs(probabilities - model.predict_proba(X[1400:])).max():.1e}")
