// The names of arrays and of their entries, as Python makes them.

import { unravel } from "./arrays.js";

/** The name of what a layer hands on; below the first layer that is the input. */
export const output = (layer) => (layer >= 0 ? `${layer}.out` : "input");

export const gradientOf = (name) => `d ${name}`;

/** "d 4.weight" -> { gradient: true, layer: 4, own: "weight" }; "input" is of layer -1, what the loss computes of none. */
export function parseName(name) {
  const { gradient, layer, own } = name.match(/^(?<gradient>d )?((?<layer>\d+)\.)?(?<own>.+)$/).groups;
  return { gradient: Boolean(gradient), layer: layer ? Number(layer) : own === "input" ? -1 : undefined, own };
}

/** "0.out[1,0,2,3]" */
export function entryName(tensor, at) {
  return tensor.shape.length ? `${tensor.name}[${unravel(tensor.shape, at)}]` : tensor.name;
}
