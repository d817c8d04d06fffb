// The trace as the browser holds it: every array by name, in the order of computation, what its entries are sums of, and how to
// compute them again.

import { indices, unravel } from "../basics/arrays.js";
import { gradientOf, output, parseName } from "../basics/names.js";
import { constant, termValue } from "../basics/terms.js";
import "../operations/*.js"; // every file there, so that a new one is found (bundling.py)
import { CRITERIA } from "../operations/loss.js";
import { OPERATIONS } from "../operations/operation.js";

/** The data that Python embedded -> a trace. */
export function makeTrace(data) {
  const Numbers = data.dtype === "float32" ? Float32Array : Float64Array;
  const trace = { layers: data.layers, loss: data.loss, editable: data.editable, constants: data.constants, arrays: {} };
  for (const { name, shape, values, latex, equation } of data.arrays) {
    trace.arrays[name] = { name, shape, data: Numbers.from(values, Number), latex, equation, ...parseName(name) };
  }
  trace.logits = trace.arrays[output(data.layers.length - 1)];
  trace.places = data.layers.map((_, index) => makePlace(trace, index));
  return trace;
}

/** One layer, what the page knows of its operation, and the arrays around it under the names that its rules use. */
function makePlace(trace, index) {
  const { arrays } = trace;
  const [x, y, layer] = [output(index - 1), output(index), trace.layers[index]];
  const own = Object.values(arrays).filter((tensor) => tensor.layer === index && tensor.own !== "out");
  const [named, gradients] = [false, true].map((gradient) =>
    Object.fromEntries(own.filter((tensor) => tensor.gradient === gradient).map((tensor) => [tensor.own, tensor])));
  return {
    trace, index, layer, window: layer.window, operation: OPERATIONS[layer.type],
    x: arrays[x], y: arrays[y], dx: arrays[gradientOf(x)], dy: arrays[gradientOf(y)], ...named, gradients,
  };
}

/** What the page knows of the trace's loss. */
export const lossOf = (trace) => CRITERIA[trace.loss];

const isActivation = ({ own }) => own === "out" || own === "input";

/** The layer whose arrays the terms of `tensor` speak of; none for what the loss computes. */
export function placeOf(trace, tensor) {
  const { gradient, layer } = tensor;
  return trace.places[gradient && isActivation(tensor) ? layer + 1 : layer];
}

/** reading -> rule. The first is the sum itself, a second the same sum read otherwise; a single one has no name. */
export function readingsOf(trace, tensor) {
  const rule = ruleOf(trace, tensor);
  return typeof rule === "object" ? rule : rule ? { "": rule } : {};
}

function ruleOf(trace, tensor) {
  const { name, gradient, own } = tensor;
  if (name === "d loss") return () => [[constant(trace, "1")]];
  const place = placeOf(trace, tensor);
  if (!place) return lossOf(trace).rules[gradient ? "dy" : name];
  if (gradient) return place.operation.rules[isActivation(tensor) ? "dx" : own];
  return own === "out" ? place.operation.rules.out : undefined;
}

/** -> the terms of one entry, by the first reading or the one named */
export function termsOf(trace, tensor, at, reading) {
  const rules = readingsOf(trace, tensor);
  const rule = rules[reading ?? Object.keys(rules)[0]];
  return rule ? [...rule(placeOf(trace, tensor) ?? trace, unravel(tensor.shape, at))] : [];
}

// --- what is given, and what is computed anew ---

/** Whether an array is a parameter or the gradient of one. */
export const isOfParameter = (trace, { layer, own }) => own in (trace.places[layer]?.gradients ?? {});

export const isParameter = (trace, tensor) => !tensor.gradient && isOfParameter(trace, tensor);

/** What the operation says of an array that it remembers for its backward pass; of any other one nothing. */
export const rememberedOf = (trace, tensor) => placeOf(trace, tensor)?.operation.remembered?.[tensor.own];

/** Whether an array comes from outside of the sums: inputs, parameters, labels, what was drawn by lot. */
export function isGiven(trace, tensor) {
  const remembered = rememberedOf(trace, tensor);
  if (remembered) return !remembered.compute;
  return isParameter(trace, tensor) || tensor.name === "input" || tensor.name === lossOf(trace).given;
}

/** Every number anew, each as the sum of its terms; what is given stays. */
export function recompute(trace) {
  for (const tensor of Object.values(trace.arrays)) {
    if (isGiven(trace, tensor)) continue;
    const remembered = rememberedOf(trace, tensor);
    if (remembered) remembered.compute(placeOf(trace, tensor));
    else sumTerms(trace, tensor);
  }
}

function sumTerms(trace, tensor) {
  const [rule] = Object.values(readingsOf(trace, tensor));
  const place = placeOf(trace, tensor) ?? trace;
  let at = 0;
  for (const index of indices(tensor.shape)) {
    let sum = 0;
    for (const sources of rule(place, index)) sum += termValue(sources);
    tensor.data[at++] = sum;
  }
}
