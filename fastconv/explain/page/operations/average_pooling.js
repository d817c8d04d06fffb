// Average pooling: equal shares, of the padding too.

import { indices } from "../basics/arrays.js";
import { constant, entry } from "../basics/terms.js";
import { OPERATIONS } from "./operation.js";
import { describe, looking, tap } from "./windows.js";

const share = ({ trace, window }) => constant(trace, `1/${window.KH * window.KW}`);

OPERATIONS.AvgPool2d = {
  title: "Average pool",
  detail: ({ window }) => describe(window),
  names: { out: "pooled map" },
  forward: {
    words: "Each window keeps the mean of what it sees; padding counts as zeros.",
    code: "y = x[window].mean()",
  },
  backward: {
    words: "Every member of a window takes an equal share of its gradient. Where windows overlap, the shares add up.",
    code: "dx[window] += dy / window.size",
    needs: [],
  },
  rules: {
    *out(place, [n, c, i, j]) {
      const { KH, KW } = place.window;
      for (const [u, v] of indices([KH, KW])) yield [tap(place, n, c, i, j, u, v), share(place)];
    },
    *dx(place, [n, c, h, w]) {
      for (const [i, j] of looking(place.window, h, w)) yield [entry(place.dy, n, c, i, j), share(place)];
    },
  },
};
