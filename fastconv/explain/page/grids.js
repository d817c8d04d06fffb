// Arrays as grids of numbers.

const PLANES = 32; // so many planes of an array at first

const isWeight = ({ own }) => own === "weight" || own === "bias";
const hasSamples = (tensor) => !isWeight(tensor) && tensor.shape.length === 4;
const hasSampleRows = (tensor) => !isWeight(tensor) && tensor.shape.length === 2;
const isEditable = (tensor) => trace.editable && (tensor.name === "input" || isParameter(tensor));

/** Where a source or a chosen entry stands on the stage. */
const cells = new Map();
const keyOf = ({ tensor, at }) => `${tensor.name}@${at}`;
const cellFor = (source) => cells.get(keyOf(source));

function collectCells(root) {
  cells.clear();
  for (const td of root.querySelectorAll("td")) cells.set(`${td.dataset.name}@${td.dataset.at}`, td);
}

/** As Python's ":.4g", with a true minus sign. */
function show(value, digits = 4) {
  if (!Number.isFinite(value)) return String(value).replace("Infinity", "∞").replace("-", "−");
  const rounded = Number(value.toPrecision(digits)) + 0;
  const far = rounded !== 0 && (Math.abs(rounded) >= 1e5 || Math.abs(rounded) < 1e-4);
  return (far ? value.toExponential(2) : String(rounded)).replaceAll("-", "−");
}

/** A number as it is shown, which knows all its digits. */
function numberHtml(value, digits) {
  return `<data class="number" value="${Object.is(value, -0) ? "-0" : value}">${show(value, digits)}</data>`;
}

// --- sizes, of which the style makes cells that numbers fit into ---

const widest = (numbers) => numbers.reduce((most, value) => Math.max(most, show(value).length), 1);
const hasRowHeads = (tensor) => hasSampleRows(tensor) && tensor.shape[0] > 1;

/** { rows, columns } of one plane of an array, the { leadings } of those on stage, and how many characters { wide } their numbers are. */
function extentOf(tensor) {
  const { shape, data } = tensor;
  const [rows, columns] = shape.length === 0 ? [1, 1] : shape.length === 1 ? [1, shape[0]] : shape.slice(-2);
  const leadings = [...indices(shape.slice(0, -2))].filter(([n]) => !hasSamples(tensor) || n === state.sample);
  const first = hasSamples(tensor) ? offset(tensor, [state.sample, 0, 0, 0]) : 0;
  const wide = widest(data.subarray(first, first + leadings.length * rows * columns));
  return { rows, columns, leadings, wide, heads: hasRowHeads(tensor), dots: winnersIn(tensor).size > 0 };
}

const sizesOf = ({ columns, wide, heads, dots }) => `--columns:${columns};--wide:${wide};--head:${heads ? "2.5em" : "0px"};--dot:${dots ? "9px" : "0px"}`;

/** The sizes of the widest of several arrays: what stands beside it must leave it that much. */
function widestOf(tensors) {
  const width = ({ columns, wide }) => columns * (wide + 2);
  return sizesOf(tensors.map(extentOf).reduce((most, extent) => (width(extent) > width(most) ? extent : most)));
}

// --- grids ---

function tensorHtml(tensor, withEquation) {
  const { name, shape, latex } = tensor;
  const size = shape.length ? ` (${shape.join(" × ")})` : "";
  const planes = planesOf(tensor);
  const shown = state.unfolded.has(name) ? planes : planes.slice(0, PLANES);
  const more = planes.length > shown.length ? `<button type="button" class="more" data-unfold="${name}">${planes.length - shown.length} more</button>` : "";
  const equation = withEquation && !isGiven(tensor) ? `<div class="equation">${mathHtml(latex)}</div>` : "";
  return `<section class="tensor"><h3>${escapeHtml(plainName(trace, tensor))} <code>${escapeHtml(name)}${size}</code></h3>${equation}<div class="planes">${shown.join("")}${more}</div></section>`;
}

/** The tables of an array: of an activation, those of one sample. */
function planesOf(tensor) {
  const { data } = tensor;
  const extent = extentOf(tensor);
  const { rows, columns, leadings } = extent;
  const scale = data.reduce((most, value) => Math.max(most, Number.isFinite(value) ? Math.abs(value) : 0), 0) || 1;
  const won = winnersIn(tensor);
  return leadings.map((leading) => {
    const first = leading.length ? offset(tensor, [...leading, 0, 0]) : 0;
    const row = (i) => Array.from({ length: columns }, (_, j) => cellHtml(tensor, first + i * columns + j, scale, won)).join("");
    const body = Array.from({ length: rows }, (_, i) => `<tr role="row">${rowHead(tensor, i)}${row(i)}</tr>`);
    const label = leading.length > 0 && leadings.length > 1 ? `<span>[${leading}]</span>` : "";
    const index = leading.length ? `[${leading}]` : "";
    const name = `${plainName(trace, tensor)} ${tensor.name}${index}${isEditable(tensor) ? ", editable" : ""}`;
    return `<div class="plane" style="${sizesOf(extent)}">${label}<table role="grid" aria-label="${escapeHtml(name)}">${body.join("")}</table></div>`;
  });
}

/** Which sample a row belongs to, where there are several. */
function rowHead(tensor, row) {
  if (!hasRowHeads(tensor)) return "";
  const current = row === state.sample ? ' class="current"' : "";
  return `<th role="rowheader"${current}>${row}</th>`;
}

function cellHtml(tensor, at, scale, won) {
  const value = tensor.data[at];
  const classes = [value > 0 ? "plus" : value < 0 ? "minus" : "", won.has(at) ? "won" : "", isEditable(tensor) ? "editable" : ""].filter(Boolean).join(" ");
  const alpha = (0.06 + 0.5 * Math.min(1, Math.abs(value) / scale || 0)).toFixed(3);
  const label = `${entryName(tensor, at)} ${show(value)}${won.has(at) ? ", won a window" : ""}`;
  return `<td role="gridcell" tabindex="-1" class="${classes}" style="--alpha:${alpha}" data-name="${tensor.name}" data-at="${at}" aria-label="${escapeHtml(label)}">${numberHtml(value)}</td>`;
}

/** Where the winners stand, in the input of a pool that is on stage. */
function winnersIn(tensor) {
  const { place } = steps[state.step];
  const won = new Set();
  if (place?.layer.type !== "MaxPool2d" || tensor !== place.x) return won;
  let k = 0;
  for (const [n, c] of indices(place.argmax.shape)) {
    won.add(offset(tensor, [n, c, 0, 0]) + place.argmax.data[k++]);
  }
  return won;
}
