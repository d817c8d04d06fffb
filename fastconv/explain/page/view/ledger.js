// The ledger of one number: the terms whose sum it is.

import { unravel } from "../basics/arrays.js";
import { escapeHtml, mathHtml } from "../basics/html.js";
import { entryName } from "../basics/names.js";
import { numberHtml, show } from "../basics/numbers.js";
import { factorOf, nameOf, termValue } from "../basics/terms.js";
import { isGiven, placeOf, readingsOf, rememberedOf, termsOf } from "../trace/trace.js";
import { plainName } from "../trace/words.js";
import { hasSamplePlanes } from "./grids.js";
import { lightUp } from "./lights.js";
import { find, markScrolling, redraw, say, state, trace } from "./page.js";

const TERMS = 40; // so many terms of a sum at first
const FEW = 8; // up to so many terms, those that are 0 are listed too

/** Show where an entry comes from; `speak` reads it out. */
export function present({ tensor, at }, speak = false) {
  const old = state.ledger;
  const same = old && old.tensor === tensor && old.at === at;
  const readings = Object.keys(readingsOf(trace, tensor));
  const reading = same && readings.includes(old.reading) ? old.reading : readings[0];
  const terms = termsOf(trace, tensor, at, reading);
  state.ledger = { tensor, at, readings, reading, terms, ...(same && { showsAll: old.showsAll, showsZeros: old.showsZeros }) };
  drawLedger();
  lightUp();
  if (!speak) return;
  const sum = terms.length ? `, a sum of ${terms.length} terms` : "";
  say(`${plainName(trace, tensor)}, ${entryName(tensor, at)}: ${show(tensor.data[at], 6)}${sum}`);
}

/** Another reading, all terms, or those that are 0: the ledger as before, with a change. */
export function revise(change) {
  Object.assign(state.ledger, change);
  present(state.ledger);
}

/** On a phone the ledger is one line until it is asked for. */
export function expandLedger() {
  find("ledger").classList.toggle("open");
  drawLedger();
}

function drawLedger() {
  const { tensor, at } = state.ledger;
  const ledger = find("ledger");
  redraw(ledger, `<p class="detail">${escapeHtml(plainName(trace, tensor))}</p>
    <h2 class="entry" tabindex="-1">${escapeHtml(entryName(tensor, at))} = ${numberHtml(tensor.data[at], 6)}</h2>
    <button type="button" class="expand" data-expand="" aria-expanded="${ledger.classList.contains("open")}">terms</button>
    <div class="body">${equationHtml(tensor)}${readingsHtml()}${sumHtml()}${termsHtml()}${ask("notes")}</div>`);
  markScrolling(ledger);
}

/** What the operation has to add: "notes" or "total". */
function ask(what) {
  const place = placeOf(trace, state.ledger.tensor);
  return place?.operation[what]?.(place, state.ledger) ?? "";
}

const equationHtml = (tensor) => (isGiven(trace, tensor) ? "" : `<div class="equation">${mathHtml(tensor.latex)}</div>`);

function readingsHtml() {
  const { tensor, readings, reading } = state.ledger;
  if (readings.length < 2) return "";
  const { operation } = placeOf(trace, tensor);
  const buttons = readings.map((name) => {
    const pressed = name === reading;
    return `<button type="button" data-reading="${name}" aria-pressed="${pressed}">${operation.readings[name]}</button>`;
  });
  return `<div class="readings" role="group" aria-label="Two readings of the same sum">${buttons.join("")}</div>`;
}

/** "48 terms, 5 not zero: sum −0.328" */
function sumHtml() {
  const { terms } = state.ledger;
  if (!terms.length) return `<p class="words">${whyNoTerms()}</p>`;
  const values = terms.map(termValue);
  const total = numberHtml(values.reduce((sum, value) => sum + value, 0), 6);
  const named = ask("total");
  if (named) return `<p class="total">${named}: ${total}</p>`;
  const here = terms.filter((sources) => sources.every(isOfSample)).length;
  const elsewhere = here < terms.length ? `<p class="detail">${here} of them from the sample shown</p>` : "";
  return `<p class="total">${countOf(values)}: sum ${total}</p>${elsewhere}`;
}

function whyNoTerms() {
  const { tensor } = state.ledger;
  if (isGiven(trace, tensor)) return "It is given, not computed.";
  const remembered = rememberedOf(trace, tensor);
  return remembered ? `It is read off: ${remembered.how}.` : "No window looked here: it is 0.";
}

function countOf(values) {
  const zeros = values.filter((value) => value === 0).length;
  const count = `${values.length} ${values.length === 1 ? "term" : "terms"}`;
  if (!zeros || values.length === 1) return count;
  return `${count}, ${zeros < values.length ? `${values.length - zeros} not zero` : "all 0"}`;
}

/** Whether a source is on stage, or for all samples. */
const isOfSample = ({ tensor, at }) =>
  !tensor || !hasSamplePlanes(tensor) || unravel(tensor.shape, at)[0] === state.sample;

function termsHtml() {
  const { terms, showsAll, showsZeros } = state.ledger;
  const numbered = terms.map((sources, k) => [sources, k]);
  const filled = numbered.filter(([sources]) => termValue(sources) !== 0);
  const listed = terms.length > FEW && !showsZeros ? filled : numbered;
  const shown = showsAll ? listed : listed.slice(0, TERMS);
  const [more, hidden] = [listed.length - shown.length, terms.length - listed.length];
  const buttons =
    (more ? `<button type="button" class="more" data-terms="all">${more} more terms</button>` : "") +
    (hidden ? `<button type="button" class="more" data-zeros="shown">${hidden} more, which are 0</button>` : "");
  return terms.length ? `<ol class="terms">${shown.map(termHtml).join("")}</ol>${buttons}` : "";
}

function termHtml([sources, k]) {
  const value = termValue(sources);
  const classes = value === 0 ? "term nothing" : "term";
  const product = sources.map(sourceHtml).join(" × ");
  return `<li class="${classes}" value="${k + 1}" data-term="${k}"><b>${numberHtml(value, 5)}</b>${product}</li>`;
}

function sourceHtml(source) {
  const name = escapeHtml(nameOf(source));
  const value = factorOf(source);
  const number = numberHtml(value, 5);
  if (source.constant === undefined) {
    const { tensor, at } = source;
    return `<button type="button" class="source" data-name="${tensor.name}" data-at="${at}">${name} ${number}</button>`;
  }
  const saysAll = source.constant.replace("-", "−") === show(value, 5);
  return `<span>${saysAll ? number : `${name} = ${number}`}</span>`;
}
