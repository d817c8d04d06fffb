// What is on stage, step by step.

import { unravel } from "../basics/arrays.js";
import { escapeHtml } from "../basics/html.js";
import { numberHtml } from "../basics/numbers.js";
import { termValue } from "../basics/terms.js";
import { rememberedOf, termsOf } from "../trace/trace.js";
import { cellFor, collectCells, hasSamples, tensorHtml, widestOf } from "./grids.js";
import { present } from "./ledger.js";
import { lightUp } from "./lights.js";
import { find, markScrolling, redraw, say, state, steps, trace } from "./page.js";

/** Another step; what it makes is chosen, unless an `entry` is. */
export function goTo(step, entry = null) {
  state.step = Math.max(0, Math.min(step, steps.length - 1));
  const { title, lane } = steps[state.step];
  drawSteps();
  drawLead();
  drawSides();
  pin(entry ?? firstChoice());
  say(`${title}, ${lane}, step ${state.step + 1} of ${steps.length}`);
}

function drawSteps() {
  const items = steps.map(({ title, lane, column }, k) => {
    const place = `grid-row:${lane === "forward" ? 1 : 2};grid-column:${column + 1}`;
    const current = k === state.step ? ' aria-current="step"' : "";
    const button = `<button type="button" data-step="${k}"${current}>${escapeHtml(title)}</button>`;
    return `<li class="${lane}" style="${place}">${button}</li>`;
  });
  const nav = find("steps");
  redraw(nav, `<ol>${items.join("")}</ol>`);
  // Not scrollIntoView, which scrolls the page around an embedding frame, too.
  const current = nav.querySelector("[aria-current]");
  const left = current.offsetLeft - nav.offsetLeft;
  if (left < nav.scrollLeft || left + current.offsetWidth > nav.scrollLeft + nav.clientWidth) nav.scrollLeft = left - 40;
}

function drawLead() {
  const { title, detail, words, code, lane } = steps[state.step];
  const more = `<span class="detail">${lane} ${detail ? `· ${escapeHtml(detail)}` : ""}</span>`;
  redraw(find("lead"), `<h2 tabindex="-1">${escapeHtml(title)} ${more}</h2>
    <div class="moves"><button type="button" data-move="-1" aria-label="Previous step">‹</button>` +
    '<button type="button" data-move="1" aria-label="Next step">›</button></div>');
  find("story").innerHTML = `<p class="words">${escapeHtml(words)}</p><code class="code">${escapeHtml(code)}</code>`;
}

/** The arrays that the step reads, and those that it makes. */
export function drawSides() {
  const { from, to } = steps[state.step];
  redraw(find("sides"), sideHtml("from", from) + sideHtml("to", to));
  collectCells(find("sides"));
  for (const grid of find("sides").querySelectorAll("table")) grid.querySelector("td").tabIndex = 0;
  markScrolling(find("sides"));
  find("loss").innerHTML = `loss ${numberHtml(trace.arrays.loss.data[0], 6)}`;
}

function sideHtml(name, tensors) {
  if (!tensors.length) return "";
  const grids = tensors.map((tensor) => tensorHtml(tensor, name === "to"));
  return `<div class="side ${name}" style="${widestOf(tensors)}">` +
    `<p>${name}</p><div class="tensors">${grids.join("")}</div></div>`;
}

/** Show an array that is not shown to its end. */
export function unfold(name) {
  state.unfolded.add(name);
  drawSides();
  lightUp();
}

/** Another sample is shown from now on. */
export function setSample(sample) {
  state.sample = sample;
  const select = find("samples").querySelector("select");
  if (select.options.length) select.value = sample;
}

// --- what is chosen ---

const CHOICES = 25; // so many first entries are looked at

/** Of what the step makes, the entry among the first ones with the most terms that are not 0. */
export function firstChoice() {
  const { from, to } = steps[state.step];
  const made = to.length ? to : from;
  const tensor = made.find((candidate) => !rememberedOf(trace, candidate)) ?? made[0];
  const first = hasSamples(tensor) ? state.sample * (tensor.data.length / tensor.shape[0]) : 0;
  const filled = (at) => termsOf(trace, tensor, at).filter((sources) => termValue(sources) !== 0).length;
  let best = { at: first, count: -1 };
  for (let at = first; at < Math.min(first + CHOICES, tensor.data.length); at++) {
    const count = filled(at);
    if (count > best.count) best = { at, count };
  }
  return { tensor, at: best.at };
}

/** Keep an entry's ledger until another is clicked or focused. */
export function pin({ tensor, at }, speak = false) {
  state.pinned = { tensor, at };
  present(state.pinned, speak);
}

/** To where an entry was made. */
export function follow(tensor, at) {
  if (hasSamples(tensor)) setSample(unravel(tensor.shape, at)[0]);
  state.unfolded.add(tensor.name);
  const makes = steps.findIndex(({ to }) => to.includes(tensor));
  const needs = steps.findIndex(({ from }) => from.includes(tensor));
  goTo(makes >= 0 ? makes : needs, { tensor, at });
  focusCell(cellFor({ tensor, at }));
}

/** The focus on a cell, which is then its grid's one tab stop. */
export function focusCell(td) {
  if (!td) return;
  for (const other of td.closest("table").querySelectorAll('td[tabindex="0"]')) other.tabIndex = -1;
  td.tabIndex = 0;
  td.focus();
}
