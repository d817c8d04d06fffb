// The losses: what lies between the network's output and one number, and the gradient that goes back.

import { losses } from "../trace/registry.js";
import { constant, entry, factorOf, through } from "../trace/terms.js";

const NAMES = {
  onehot: "label, one-hot", target: "target", shifted: "shifted logits", exponentials: "exponentials", sums: "sums",
  probabilities: "probabilities", losses: "losses", loss: "loss", error: "error",
};

losses.cross_entropy = {
  logits: "logits",
  given: "onehot",
  names: NAMES,
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
  terms: {
    *shifted(trace, [n, k]) {
      yield [entry(trace.logits, n, k)];
      yield [constant(trace, "-1"), entry(trace.logits, n, largestOf(trace.logits, n))];
    },
    exponentials,
    *sums({ arrays }, [n]) {
      for (let k = 0; k < arrays.exponentials.shape[1]; k++) yield [entry(arrays.exponentials, n, k)];
    },
    *probabilities({ arrays }, [n, k]) {
      yield [entry(arrays.exponentials, n, k), through("1/", entry(arrays.sums, n))];
    },
    *losses(trace, [n]) {
      const { sums, shifted, onehot } = trace.arrays;
      yield [through("log", entry(sums, n))];
      yield [constant(trace, "-1"), entry(shifted, n, largestOf(onehot, n))];
    },
    loss: (trace) => mean(trace, trace.arrays.losses, "1/N"),
    *dy(trace, index) {
      yield [entry(trace.arrays.probabilities, ...index), constant(trace, "1/N")];
      yield [constant(trace, "-1"), entry(trace.arrays.onehot, ...index), constant(trace, "1/N")];
    },
  },
};

losses.binary_cross_entropy_with_logits = {
  logits: "logits",
  given: "target",
  names: NAMES,
  forward: [
    {
      title: "Sigmoid",
      words:
        "Each output is a yes or no of its own: a softmax over its logit and 0. The larger of the two is subtracted, so that " +
        "nothing overflows. Out come probabilities, which need not add up to 1.",
      code: "e = exp(-abs(y));  p = where(y > 0, 1, e) / (1 + e)",
      from: ["logits"],
      to: ["shifted", "exponentials", "sums", "probabilities"],
    },
    {
      title: "Cross-entropy",
      words: "Minus the logarithm of the probability that the right answer was given, as a mean over samples and outputs.",
      code: "loss = (log1p(e) + maximum(y, 0) - target * y).mean()",
      from: ["logits", "exponentials", "target"],
      to: ["losses", "loss"],
    },
  ],
  backward: {
    title: "Back to the logits",
    words: "As with softmax: what was said less what should have been said, divided by what the mean was taken over.",
    code: "dy = (p - target) / y.size",
    from: ["probabilities", "target"],
  },
  terms: {
    *shifted(trace, index) {
      const logit = entry(trace.logits, ...index);
      yield isAbove0(logit) ? [constant(trace, "-1"), logit] : [logit];
    },
    exponentials,
    *sums(trace, index) {
      yield [constant(trace, "1")];
      yield [entry(trace.arrays.exponentials, ...index)];
    },
    *probabilities({ arrays, logits }, index) {
      const share = through("1/", entry(arrays.sums, ...index));
      yield isAbove0(entry(logits, ...index)) ? [share] : [entry(arrays.exponentials, ...index), share];
    },
    *losses(trace, index) {
      const logit = entry(trace.logits, ...index);
      yield [through("log1p", entry(trace.arrays.exponentials, ...index))];
      if (isAbove0(logit)) yield [logit];
      yield [constant(trace, "-1"), entry(trace.arrays.target, ...index), logit];
    },
    loss: (trace) => mean(trace, trace.arrays.losses, "1/(N*K)"),
    *dy(trace, index) {
      yield [entry(trace.arrays.probabilities, ...index), constant(trace, "1/(N*K)")];
      yield [constant(trace, "-1"), entry(trace.arrays.target, ...index), constant(trace, "1/(N*K)")];
    },
  },
};

losses.mse = {
  logits: "output",
  given: "target",
  names: NAMES,
  forward: [
    {
      title: "Squared error",
      words: "The difference from the target, squared, as a mean over samples and outputs.",
      code: "loss = ((y - target) ** 2).mean()",
      from: ["logits", "target"],
      to: ["error", "loss"],
    },
  ],
  backward: {
    title: "Back to the output",
    words: "A square's slope is twice what is squared: twice the error, divided by what the mean was taken over.",
    code: "dy = 2 * (y - target) / y.size",
    from: ["error"],
  },
  terms: {
    *error(trace, index) {
      yield [entry(trace.logits, ...index)];
      yield [constant(trace, "-1"), entry(trace.arrays.target, ...index)];
    },
    *loss(trace) {
      for (const [error, share] of mean(trace, trace.arrays.error, "1/(N*K)")) yield [error, error, share];
    },
    *dy(trace, index) {
      yield [entry(trace.arrays.error, ...index), constant(trace, "2/(N*K)")];
    },
  },
};

function* exponentials(trace, index) {
  yield [through("exp", entry(trace.arrays.shifted, ...index))];
}

function* mean(trace, tensor, share) {
  for (let at = 0; at < tensor.data.length; at++) yield [{ tensor, at }, constant(trace, share)];
}

const isAbove0 = (source) => factorOf(source) > 0;

/** Where the largest number of row `n` stands, the first of equals. */
function largestOf({ data, shape }, n) {
  const row = data.subarray(n * shape[1], (n + 1) * shape[1]);
  return row.reduce((best, value, k) => (value > row[best] ? k : best), 0);
}
