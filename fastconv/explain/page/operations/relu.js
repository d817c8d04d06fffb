// ReLU: a gate that is open above zero.

import { escapeHtml } from "../basics/html.js";
import { entryName } from "../basics/names.js";
import { numberHtml } from "../basics/numbers.js";
import { entry, gate } from "../basics/terms.js";
import { elementwise, OPERATIONS } from "./operation.js";

OPERATIONS.ReLU = {
  title: "ReLU",
  names: { out: "ReLU's output", open: "open gates" },
  forward: {
    words: "What is above zero passes, everything else becomes zero. The gate's state is kept for the way back.",
    code: "y = x * (x > 0)",
  },
  backward: {
    words: "The gradient passes where the gate was open and stops where it was shut. At exactly zero it was shut.",
    code: "dx = dy * (x > 0)",
    needs: ["open"],
  },
  rules: elementwise(({ open }, index) => [gate(entry(open, ...index))]),
  remembered: {
    open: {
      compute: ({ x, open }) => open.data.set(x.data.map((value) => (value <= 0 ? 0 : 1))), // a NaN passes
      how: "1 where the input is above 0",
    },
  },
  notes({ x, open }, { tensor, at }) {
    if (tensor === open) return "";
    const state = open.data[at] ? "open" : "shut";
    return `<p class="look">The gate is ${state}: ${escapeHtml(entryName(x, at))} is ${numberHtml(x.data[at])}.</p>`;
  },
};
