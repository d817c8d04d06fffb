// Mean squared error.

import { constant, entry } from "../basics/terms.js";
import { CRITERIA, mean } from "./loss.js";

CRITERIA.mse = {
  logits: "output",
  given: "target",
  names: { target: "target", error: "error", loss: "loss" },
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
  rules: {
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
