// Softmax cross-entropy of labels.

import { applied, constant, entry } from "../basics/terms.js";
import { CRITERIA, exponentials, mean, SOFTMAX_NAMES } from "./loss.js";

CRITERIA.cross_entropy = {
  logits: "logits",
  given: "onehot",
  names: { ...SOFTMAX_NAMES, onehot: "label, one-hot", loss: "loss" },
  forward: [
    {
      title: "Softmax",
      words:
        "Subtract the largest logit, so that nothing overflows; take exponentials; divide by their sum. Out come " +
        "probabilities.",
      code: "p = exp(y - y.max()) / exp(y - y.max()).sum()",
      from: ["logits"],
      to: ["shifted", "exponentials", "sums", "probabilities"],
    },
    {
      title: "Cross-entropy",
      words:
        "Minus the logarithm of the probability that the right class was given, as a mean over the samples. The logarithm of " +
        "the sum less the label's shifted logit is the same, and never overflows.",
      code: "loss = (log(sums) - shifted[label]).mean()",
      from: ["probabilities", "onehot", "shifted", "sums"],
      to: ["losses", "loss"],
    },
  ],
  backward: {
    title: "Back to the logits",
    words:
      "Softmax and cross-entropy together have the plainest of gradients: what was said less what should have been said, " +
      "probability minus one-hot, divided by the number of samples.",
    code: "dy = (p - onehot) / N",
    from: ["probabilities", "onehot"],
  },
  rules: {
    *shifted(trace, [n, k]) {
      yield [entry(trace.logits, n, k)];
      yield [constant(trace, "-1"), entry(trace.logits, n, largestOf(trace.logits, n))];
    },
    exponentials,
    *sums({ arrays }, [n]) {
      for (let k = 0; k < arrays.exponentials.shape[1]; k++) yield [entry(arrays.exponentials, n, k)];
    },
    *probabilities({ arrays }, [n, k]) {
      yield [entry(arrays.exponentials, n, k), applied("1/", entry(arrays.sums, n))];
    },
    *losses(trace, [n]) {
      const { sums, shifted, onehot } = trace.arrays;
      yield [applied("log", entry(sums, n))];
      yield [constant(trace, "-1"), entry(shifted, n, largestOf(onehot, n))];
    },
    loss: (trace) => mean(trace, trace.arrays.losses, "1/N"),
    *dy(trace, index) {
      yield [entry(trace.arrays.probabilities, ...index), constant(trace, "1/N")];
      yield [constant(trace, "-1"), entry(trace.arrays.onehot, ...index), constant(trace, "1/N")];
    },
  },
};

/** Where the largest number of row `n` stands, the first of equals. */
function largestOf({ data, shape }, n) {
  const row = data.subarray(n * shape[1], (n + 1) * shape[1]);
  return row.reduce((best, value, k) => (value > row[best] ? k : best), 0);
}
