// What a layer's operation says of itself, and what elementwise ones have in common.

import { entry } from "../basics/terms.js";

/**
 * By the name of the layer's class in Python; each file here adds its own. A rule gives the terms whose sum an entry is, and is
 * called with a place and an index; a place is a layer in its trace (`makePlace`), with the arrays around it: x, y, dx, dy, its
 * own under their names, and the gradients of its parameters.
 *
 *     title       of its steps
 *     names       what its arrays are in a reader's words: out, its parameters, what it remembers
 *     forward     { words, code }
 *     backward    { words, code, needs }, the last the arrays that it reads besides dy
 *     rules       for out, for dx, for each parameter's gradient; { reading: rule } for a sum that is read in several ways
 *
 * and where it has them
 *
 *     readings    what the readings are in a reader's words
 *     remembered  the arrays kept for the backward pass: { compute(place), how: in words }, or {} for one that is given
 *     detail      (layer) -> what of it is not plain
 *     notes       (place, ledger) -> HTML below an entry's terms
 *     seen        (place, ledger) -> sources that had a say in an entry without being in its terms
 *     total       (place, ledger) -> what to call the terms' sum where it is no sum
 *     winners     (place) -> the positions in x that carry a dot
 */
export const OPERATIONS = {};

/** The rules of y = x * factors, whose gradient passes through the same factors. */
export function elementwise(factors) {
  const product = (place, tensor, index) => [[entry(tensor, ...index), ...factors(place, index)]];
  return {
    out: (place, index) => product(place, place.x, index),
    dx: (place, index) => product(place, place.dy, index),
  };
}
