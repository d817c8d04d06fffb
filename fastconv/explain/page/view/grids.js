// Arrays as grids of numbers.

import { indices, offset } from "../basics/arrays.js";
import { escapeHtml, mathHtml } from "../basics/html.js";
import { entryName } from "../basics/names.js";
import { numberHtml, show, sizesOf, widest } from "../basics/numbers.js";
import { isGiven, isOfParameter, isParameter } from "../trace/trace.js";
import { plainName } from "../trace/words.js";
import { state, steps, trace } from "./page.js";

const PLANES = 32; // so many planes of an array at first

/** Whether an array is shown one sample at a time. */
export const hasSamplePlanes = (tensor) => tensor.shape.length === 4 && !isOfParameter(trace, tensor);

const hasSampleRows = (tensor) => tensor.shape.length === 2 && !isOfParameter(trace, tensor);

/** Whether an array's first index is the sample's. */
export const hasSamples = (tensor) => hasSamplePlanes(tensor) || hasSampleRows(tensor);

export const isEditable = (tensor) => trace.editable && (tensor.name === "input" || isParameter(trace, tensor));

// --- where things stand ---

const cells = new Map();

/** The cell of a source or a chosen entry that is on stage. */
export const cellFor = ({ tensor, at }) => cells.get(`${tensor.name}@${at}`);

export function collectCells(stage) {
  cells.clear();
  for (const td of stage.querySelectorAll("td")) cells.set(`${td.dataset.name}@${td.dataset.at}`, td);
}

// --- sizes ---

const hasRowHeads = (tensor) => hasSampleRows(tensor) && tensor.shape[0] > 1;

/** { rows, columns } of one plane of an array, the { leadings } of those on stage, and what `sizesOf` asks for. */
function extentOf(tensor) {
  const { shape, data } = tensor;
  const [rows, columns] = shape.length === 0 ? [1, 1] : shape.length === 1 ? [1, shape[0]] : shape.slice(-2);
  const leadings = [...indices(shape.slice(0, -2))].filter(([n]) => !hasSamplePlanes(tensor) || n === state.sample);
  const first = hasSamplePlanes(tensor) ? offset(tensor, [state.sample, 0, 0, 0]) : 0;
  const wide = widest(data.subarray(first, first + leadings.length * rows * columns));
  return { rows, columns, leadings, wide, heads: hasRowHeads(tensor), dots: winnersIn(tensor).size > 0 };
}

/** The sizes of the widest of several arrays: what stands beside it must leave it that much. */
export function widestOf(tensors) {
  const width = ({ columns, wide }) => columns * (wide + 2);
  return sizesOf(tensors.map(extentOf).reduce((most, extent) => (width(extent) > width(most) ? extent : most)));
}

// --- grids ---

/** All of an array. */
export function tensorHtml(tensor, withEquation) {
  const { name, shape, latex } = tensor;
  const size = shape.length ? ` (${shape.join(" × ")})` : "";
  const planes = planesOf(tensor);
  const shown = state.unfolded.has(name) ? planes : planes.slice(0, PLANES);
  const hidden = planes.length - shown.length;
  const more = hidden ? `<button type="button" class="more" data-unfold="${name}">${hidden} more</button>` : "";
  const equation = withEquation && !isGiven(trace, tensor) ? `<div class="equation">${mathHtml(latex)}</div>` : "";
  const heading = `<h3>${escapeHtml(plainName(trace, tensor))} <code>${escapeHtml(name)}${size}</code></h3>`;
  return `<section class="tensor">${heading}${equation}<div class="planes">${shown.join("")}${more}</div></section>`;
}

/** The tables of an array: of an activation, those of one sample. */
function planesOf(tensor) {
  const extent = extentOf(tensor);
  const { rows, columns, leadings } = extent;
  const scale = tensor.data.reduce((most, value) => Math.max(most, Number.isFinite(value) ? Math.abs(value) : 0), 0) || 1;
  const won = winnersIn(tensor);
  return leadings.map((leading) => {
    const first = leading.length ? offset(tensor, [...leading, 0, 0]) : 0;
    const cellsOf = (i) => Array.from({ length: columns }, (_, j) => cellHtml(tensor, first + i * columns + j, scale, won));
    const body = Array.from({ length: rows }, (_, i) => `<tr role="row">${rowHead(tensor, i)}${cellsOf(i).join("")}</tr>`);
    const label = leading.length > 0 && leadings.length > 1 ? `<span>[${leading}]</span>` : "";
    const table = `<table role="grid" aria-label="${escapeHtml(planeName(tensor, leading))}">${body.join("")}</table>`;
    return `<div class="plane" style="${sizesOf(extent)}">${label}${table}</div>`;
  });
}

function planeName(tensor, leading) {
  const index = leading.length ? `[${leading}]` : "";
  return `${plainName(trace, tensor)} ${tensor.name}${index}${isEditable(tensor) ? ", editable" : ""}`;
}

/** Which sample a row belongs to, where there are several. */
function rowHead(tensor, row) {
  if (!hasRowHeads(tensor)) return "";
  const current = row === state.sample ? ' class="current"' : "";
  return `<th role="rowheader"${current}>${row}</th>`;
}

function cellHtml(tensor, at, scale, won) {
  const value = tensor.data[at];
  const sign = value > 0 ? "plus" : value < 0 ? "minus" : "";
  const classes = [sign, won.has(at) ? "won" : "", isEditable(tensor) ? "editable" : ""].filter(Boolean).join(" ");
  const alpha = (0.06 + 0.5 * Math.min(1, Math.abs(value) / scale || 0)).toFixed(3);
  const label = escapeHtml(`${entryName(tensor, at)} ${show(value)}${won.has(at) ? ", won a window" : ""}`);
  return `<td role="gridcell" tabindex="-1" class="${classes}" style="--alpha:${alpha}" data-name="${tensor.name}" ` +
    `data-at="${at}" aria-label="${label}">${numberHtml(value)}</td>`;
}

/** Where the winners stand, in the input of a pool that is on stage. */
function winnersIn(tensor) {
  const { place } = steps[state.step];
  return (tensor === place?.x && place.operation.winners?.(place)) || new Set();
}
