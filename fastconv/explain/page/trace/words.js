// What arrays are in a reader's words.

import { lossOf } from "./trace.js";

export function plainName(trace, tensor) {
  const { gradient, layer, own } = tensor;
  if (gradient) return `gradient of the ${plainName(trace, { ...tensor, gradient: false })}`;
  if (own === "input") return "image";
  if (own === "out" && layer === trace.places.length - 1) return lossOf(trace).logits;
  return (trace.places[layer]?.operation ?? lossOf(trace)).names[own];
}
