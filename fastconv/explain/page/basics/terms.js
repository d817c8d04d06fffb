// A term is a list of sources, its value the product of their factors. Python's Ledger has the same terms, in the same
// order, under the same names.

import { offset } from "./arrays.js";
import { entryName } from "./names.js";

/** An entry of an array as a source. */
export const entry = (tensor, ...index) => ({ tensor, at: offset(tensor, index) });

/** A source to which one of FUNCTIONS is applied. */
export const applied = (name, source) => ({ ...source, applied: name });

/** One of the numbers that have a name: "1/N", "padding". */
export const constant = (trace, name) => ({ constant: name, value: trace.constants[name] });

/** A source that, where it is 0, stops everything, infinity too. */
export const gate = (source) => ({ ...source, isGate: true });

const FUNCTIONS = { exp: Math.exp, log: Math.log, log1p: Math.log1p, "1/": (x) => 1 / x };

/** The number that a source stands for. */
export function factorOf(source) {
  if (source.constant !== undefined) return source.value;
  const value = source.tensor.data[source.at];
  return source.applied ? FUNCTIONS[source.applied](value) : value;
}

/** "input[0,0,2,3]", "1/N", "log(sums[0])" */
export function nameOf(source) {
  if (source.constant !== undefined) return source.constant;
  const name = entryName(source.tensor, source.at);
  if (!source.applied) return name;
  return source.applied === "1/" ? `1/${name}` : `${source.applied}(${name})`;
}

const isShut = (source) => source.isGate && factorOf(source) === 0;

/** The product of the factors. */
export const termValue = (sources) =>
  sources.some(isShut) ? 0 : sources.reduce((product, source) => product * factorOf(source), 1);
