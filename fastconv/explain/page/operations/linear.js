// The fully connected layer.

import { entry } from "../basics/terms.js";
import { OPERATIONS } from "./operation.js";

OPERATIONS.Linear = {
  title: "Fully connected",
  names: { out: "hidden units", weight: "weights", bias: "bias" },
  forward: {
    words: "Each output is a weighted sum of all inputs, and its bias.",
    code: "y = x · wᵀ + b",
  },
  backward: {
    words:
      "A weight joined one input to one output: its gradient is that input times that output's gradient, added over the " +
      "samples. An input fed every output: it adds weight times gradient over all of them, which is the transposed weights " +
      "at work.",
    code: "dw = dyᵀ · x,  db = dy.sum(axis=0),  dx = dy · w",
    needs: ["x", "weight"],
  },
  rules: {
    *out({ weight, bias, x }, [n, k]) {
      for (let m = 0; m < weight.shape[1]; m++) yield [entry(weight, k, m), entry(x, n, m)];
      if (bias) yield [entry(bias, k)];
    },
    *dx({ weight, dy }, [n, m]) {
      for (let k = 0; k < weight.shape[0]; k++) yield [entry(weight, k, m), entry(dy, n, k)];
    },
    *weight({ x, dy }, [k, m]) {
      for (let n = 0; n < x.shape[0]; n++) yield [entry(x, n, m), entry(dy, n, k)];
    },
    *bias({ dy }, [k]) {
      for (let n = 0; n < dy.shape[0]; n++) yield [entry(dy, n, k)];
    },
  },
};
