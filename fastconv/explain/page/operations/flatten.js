// Flatten: the same numbers at other places.

import { offset, unravel } from "../basics/arrays.js";
import { entry } from "../basics/terms.js";
import { OPERATIONS } from "./operation.js";

OPERATIONS.Flatten = {
  title: "Flatten",
  names: { out: "flat row" },
  forward: {
    words: "The same numbers in one row: channel by channel, row by row.",
    code: "y = x.reshape(N, -1)",
  },
  backward: {
    words: "The gradients go back to the places their numbers came from, in the same order.",
    code: "dx = dy.reshape(x.shape)",
    needs: [],
  },
  rules: {
    *out({ x }, [n, k]) {
      yield [entry(x, n, ...unravel(x.shape.slice(1), k))];
    },
    *dx({ x, dy }, [n, ...index]) {
      yield [entry(dy, n, offset({ shape: x.shape.slice(1) }, index))];
    },
  },
};
