// Dropout: the same mask and scale both ways; none where the trace was made without random numbers.

import { constant, entry, gate } from "../basics/terms.js";
import { elementwise, OPERATIONS } from "./operation.js";

OPERATIONS.Dropout = {
  title: "Dropout",
  detail: ({ p }) => `p = ${p}`,
  names: { out: "thinned units", kept: "kept units" },
  forward: {
    words: "Some units are switched off for this step; those that stay are scaled up to make up for it.",
    code: "y = x * kept / (1 - p)",
  },
  backward: {
    words: "The same mask and the same scale: a unit that was off gets no gradient.",
    code: "dx = dy * kept / (1 - p)",
    needs: ["kept"],
  },
  rules: elementwise(({ trace, layer, kept }, index) =>
    kept ? [gate(entry(kept, ...index)), constant(trace, layer.scale)] : []),
  remembered: { kept: {} },
};
