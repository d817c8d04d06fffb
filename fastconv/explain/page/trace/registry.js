// What the page knows of operations. Each file in operations/ adds its own; nothing else names one.

/**
 * Layers by their class's name in Python. A rule is a generator of the terms whose sum an entry is, called with a place and an
 * index; a place is a layer in its trace (`makePlace`), with the arrays around it as x, y, dx, dy and under their own names.
 *
 *     title     of its steps
 *     names     what its arrays are in a reader's words: out, its parameters, what it keeps
 *     forward   { words, code }
 *     backward  { words, code, needs }, the last the arrays that it reads besides dy
 *     terms     a rule for out, for dx, for each parameter's gradient; { reading: rule } for a sum that is read in several ways
 *
 * and where it has them
 *
 *     readings  what the readings are in a reader's words
 *     keeps     the arrays kept for the backward pass: { compute(place), how: in words }, or {} for one that is given
 *     detail    (layer) -> what of it is not plain
 *     notes     (place, ledger) -> HTML below an entry's terms
 *     seen      (place, ledger) -> sources that had a say in an entry without being in its terms
 *     total     (place, ledger) -> what to call the terms' sum where it is no sum
 *     winners   (place) -> the positions in x that carry a dot
 */
export const layers = {};

/**
 * Losses by their name in Python. Their rules are called with the trace and an index.
 *
 *     logits    what the network's output is in a reader's words
 *     names     what the loss's arrays are
 *     given     the array of labels or targets
 *     forward   steps { title, words, code, from, to }, the last two arrays, or "logits"
 *     backward  the step { title, words, code, from } to the gradient of the logits
 *     terms     a rule for each array that is computed, and dy for the gradient of the logits
 */
export const losses = {};
