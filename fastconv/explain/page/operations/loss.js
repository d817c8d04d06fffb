// What a loss says of itself, and what losses have in common.

import { applied, constant, entry } from "../basics/terms.js";

/**
 * By the loss's name in Python; each file here adds its own. Rules are called with the trace and an index.
 *
 *     logits    what the network's output is in a reader's words
 *     given     the array of labels or targets
 *     names     what its arrays are in a reader's words
 *     forward   steps { title, words, code, from, to }, the last two arrays, or "logits"
 *     backward  the step { title, words, code, from } to the gradient of the logits
 *     rules     for each array that is computed, and dy for the gradient of the logits
 */
export const CRITERIA = {};

/** What lies between logits and loss where a softmax does. */
export const SOFTMAX_NAMES = {
  shifted: "shifted logits", exponentials: "exponentials", sums: "sums", probabilities: "probabilities", losses: "losses",
};

export function* exponentials(trace, index) {
  yield [applied("exp", entry(trace.arrays.shifted, ...index))];
}

export function* mean(trace, tensor, share) {
  for (let at = 0; at < tensor.data.length; at++) yield [{ tensor, at }, constant(trace, share)];
}
