// Dropout: the same mask and scale both ways; none where the trace was made without random numbers.

import { layers } from "../trace/registry.js";
import { constant, entry, gate } from "../trace/terms.js";

layers.Dropout = {
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
  terms: {
    *out(place, index) {
      yield thinned(place, place.x, index);
    },
    *dx(place, index) {
      yield thinned(place, place.dy, index);
    },
  },
  keeps: { kept: {} },
};

function thinned({ trace, layer, kept }, tensor, index) {
  const whole = entry(tensor, ...index);
  return kept ? [whole, gate(entry(kept, ...index)), constant(trace, layer.scale)] : [whole];
}
