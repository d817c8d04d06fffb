// The steps of the page: forward through the layers to the loss, and back; and what an array is in a reader's words.

import { lossOf } from "./trace.js";

/** -> steps in order: { title, words, code, lane, column, from: tensors, to: tensors }, of layers with { detail, place } */
export function makeSteps(trace) {
  const { places } = trace;
  const named = (names) => names.map((name) => (name === "logits" ? trace.logits : trace.arrays[name]));
  const { given, forward, backward } = lossOf(trace);
  const input = {
    title: "Input", words: "The image, and what the network should say about it.", code: "x, labels",
    from: [], to: named(["input", given]), lane: "forward", column: 0,
  };
  const column = places.length + 1;
  const loss = forward.map((step, k) => ({
    ...step, from: named(step.from), to: named(step.to), lane: "forward", column: column + k,
  }));
  const turn = { ...backward, from: named(backward.from), to: [places.at(-1).dy], lane: "backward", column };
  return [input, ...places.map(forwardStep), ...loss, turn, ...places.map(backwardStep).reverse()];
}

function forwardStep(place) {
  const { x, y, weight, bias } = place;
  return layerStep(place, "forward", [x, weight, bias], [...rememberedBy(place), y]);
}

function backwardStep(place) {
  const { dx, dy, index, trace, operation } = place;
  const gradients = ["weight", "bias"].map((name) => trace.arrays[`d ${index}.${name}`]);
  return layerStep(place, "backward", [dy, ...operation.backward.needs.map((name) => place[name])], [...gradients, dx]);
}

const rememberedBy = (place) => Object.keys(place.operation.remembered ?? {}).map((name) => place[name]);

/** Arrays that a layer goes without, such as the bias, are undefined in `from` and `to`. */
function layerStep(place, lane, from, to) {
  const { layer, index, operation } = place;
  const { title, detail } = operation;
  const { words, code } = operation[lane];
  return {
    title, words, code, lane, column: index + 1, detail: detail ? detail(layer) : "", place,
    from: from.filter(Boolean), to: to.filter(Boolean),
  };
}

/** What an array is, in a reader's words. */
export function plainName(trace, tensor) {
  const { gradient, layer, own, name } = tensor;
  if (gradient) return `gradient of the ${plainName(trace, trace.arrays[name.slice(2)])}`;
  if (own === "input") return "image";
  if (tensor === trace.logits) return lossOf(trace).logits;
  return (trace.places[layer]?.operation ?? lossOf(trace)).names[own];
}
