// Binary cross-entropy with logits: each output a yes or no of its own.

import { applied, constant, entry, factorOf } from "../basics/terms.js";
import { CRITERIA, exponentials, mean, SOFTMAX_NAMES } from "./loss.js";

CRITERIA.binary_cross_entropy_with_logits = {
  logits: "logits",
  given: "target",
  names: { ...SOFTMAX_NAMES, target: "target", loss: "loss" },
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
  rules: {
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
      const share = applied("1/", entry(arrays.sums, ...index));
      yield isAbove0(entry(logits, ...index)) ? [share] : [entry(arrays.exponentials, ...index), share];
    },
    *losses(trace, index) {
      const logit = entry(trace.logits, ...index);
      yield [applied("log1p", entry(trace.arrays.exponentials, ...index))];
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

const isAbove0 = (source) => factorOf(source) > 0;
