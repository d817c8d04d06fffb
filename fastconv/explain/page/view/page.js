// What the page holds: its element, its trace, its steps, and what is shown of them.

import { makeSteps } from "../trace/steps.js";
import { isGiven, makeTrace, recompute } from "../trace/trace.js";

/** The element that all this is inside of: this script's, or, of a script moved elsewhere to run, the first not started. */
export const root =
  document.currentScript?.closest(".fastconv") ?? document.querySelector(".fastconv:not([data-started])");

export const find = (part) => root.querySelector(`.${part}`);
export const trace = makeTrace(JSON.parse(find("data").textContent));
export const steps = makeSteps(trace);

/** What was clicked or focused stays `pinned`; `ledger` is of that, or of what the pointer is on. */
export const state = { step: 0, sample: 0, pinned: null, ledger: null, unfolded: new Set() };

const given = new Map(
  Object.values(trace.arrays).filter((tensor) => isGiven(trace, tensor)).map((tensor) => [tensor, tensor.data.slice()]),
);

/** All numbers as they were when the page was opened. */
export function restoreNumbers() {
  for (const [tensor, numbers] of given) tensor.data.set(numbers);
  recompute(trace);
}

/** Read a text out. */
export function say(text) {
  find("spoken").textContent = text;
}

/** New content for an element; focus stays on what is the same in it, or goes to its heading. */
export function redraw(element, html) {
  const { activeElement } = document;
  const held = element.contains(activeElement) && activeElement !== element ? activeElement : null;
  element.innerHTML = html;
  if (!held) return;
  const marks = Object.entries(held.dataset).map(([name, value]) => `[data-${name}="${value}"]`);
  const again = marks.length ? element.querySelector(held.tagName + marks.join("")) : null;
  (again ?? element.querySelector("h2") ?? find("lead").querySelector("h2")).focus({ preventScroll: true });
}

/** A line where a grid goes on: it ends at a whole cell, and shows by nothing else that there is more. */
export function markScrolling(part) {
  for (const plane of part.querySelectorAll(".plane")) plane.classList.toggle("scrolls", plane.scrollWidth > plane.clientWidth);
}
