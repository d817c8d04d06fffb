// The steps of the page: forward through the layers to the loss, and back.

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
  const own = (names) => names.map((name) => place[name]);
  const { x, y, gradients, operation } = place;
  return layerStep(place, "forward", [x, ...own(Object.keys(gradients))], [...own(Object.keys(operation.remembered ?? {})), y]);
}

function backwardStep(place) {
  const { dx, dy, gradients, operation } = place;
  const needed = operation.backward.needs.map((name) => place[name]);
  return layerStep(place, "backward", [dy, ...needed], [...Object.values(gradients), dx]);
}

/** What Dropout remembers is undefined where nothing was drawn. */
function layerStep(place, lane, from, to) {
  const { layer, index, operation } = place;
  const { title, detail } = operation;
  const { words, code } = operation[lane];
  return {
    title, words, code, lane, column: index + 1, detail: detail ? detail(layer) : "", place,
    from: from.filter(Boolean), to: to.filter(Boolean),
  };
}
