// The page itself: steps, arrays as grids of numbers, and the account of the cell that is pointed at.

const PLANES = 32; // so many planes of an array at first
const TERMS = 40; // so many terms of a sum at first

const data = JSON.parse(document.getElementById("data").textContent);
const trace = makeTrace(data);
const steps = makeSteps(trace);
const given = new Map(Object.values(trace.arrays).filter(isGiven).map((tensor) => [tensor, tensor.data.slice()]));
const state = { step: 0, sample: 0, chosen: null, reading: undefined, unfolded: new Set() };
const find = (id) => document.getElementById(id);

/** As Python's ":.4g", with a true minus sign. */
function show(value, digits = 4) {
  if (!Number.isFinite(value)) return String(value).replace("Infinity", "∞").replace("-", "−");
  const rounded = Number(value.toPrecision(digits)) + 0;
  const far = rounded !== 0 && (Math.abs(rounded) >= 1e5 || Math.abs(rounded) < 1e-4);
  return (far ? rounded.toExponential(2) : String(rounded)).replace("-", "−");
}

// --- steps ---

function drawSteps() {
  const items = steps.map((step, k) => {
    const row = step.lane === "forward" ? 1 : 2;
    const current = k === state.step ? ' aria-current="step"' : "";
    return `<li class="${step.lane}" style="grid-row:${row};grid-column:${step.column + 1}"><button type="button" data-step="${k}"${current}>${escapeHtml(step.title)}</button></li>`;
  });
  find("steps").innerHTML = `<ol>${items.join("")}</ol>`;
  find("steps").querySelector("[aria-current]").scrollIntoView({ block: "nearest", inline: "nearest" });
}

/** Another step; what it makes is chosen, unless something is `kept`. */
function goTo(step, kept = null) {
  state.chosen = kept;
  state.step = Math.max(0, Math.min(step, steps.length - 1));
  drawSteps();
  drawStage();
}

function drawStage() {
  const { title, detail, words, code, from, to, lane } = steps[state.step];
  const side = (name, tensors) => (tensors.length ? `<div class="side"><p>${name}</p><div class="tensors">${tensors.map(drawTensor).join("")}</div></div>` : "");
  find("stage").innerHTML = `<div class="lead"><h2>${escapeHtml(title)} <span class="detail">${lane} ${detail ? `· ${escapeHtml(detail)}` : ""}</span></h2>
    <div class="moves"><button type="button" data-move="-1" aria-label="Previous step">‹</button><button type="button" data-move="1" aria-label="Next step">›</button></div></div>
    <p class="words">${escapeHtml(words)}</p><code class="code">${escapeHtml(code)}</code>${side("from", from)}${side("to", to)}`;
  find("loss").textContent = `loss ${show(trace.arrays.loss.data[0], 6)}`;
  for (const grid of find("stage").querySelectorAll("table")) grid.querySelector("td").tabIndex = 0;
  const first = (to.length ? to : from)[to.length > 1 && to[0].own === "open" ? to.length - 1 : 0];
  const visible = state.chosen && find("stage").querySelector(selectorOf(state.chosen));
  if (!visible) choose(first, firstShown(first));
  else light();
}

const firstShown = (tensor) => (hasSamples(tensor) ? offset(tensor, [state.sample, ...new Array(tensor.shape.length - 1).fill(0)]) : 0);

// --- arrays ---

const isWeight = ({ own }) => own === "weight" || own === "bias";
const hasSamples = (tensor) => !isWeight(tensor) && tensor.shape.length === 4;
const selectorOf = ({ tensor, at }) => `td[data-name="${tensor.name}"][data-at="${at}"]`;

function drawTensor(tensor) {
  const { name, shape, latex } = tensor;
  const size = shape.length ? ` (${shape.join(" × ")})` : "";
  const planes = planesOf(tensor);
  const shown = state.unfolded.has(name) ? planes : planes.slice(0, PLANES);
  const more = planes.length > shown.length ? `<button type="button" class="more" data-unfold="${name}">${planes.length - shown.length} more</button>` : "";
  const equation = isGiven(tensor) ? "" : `<div class="equation">${mathHtml(latex)}</div>`;
  return `<section class="tensor"><h3>${escapeHtml(plainName(trace, tensor))} <code>${escapeHtml(name)}${size}</code></h3>${equation}<div class="planes">${shown.join("")}${more}</div></section>`;
}

/** The tables of an array: of an activation, those of one sample. */
function planesOf(tensor) {
  const { shape } = tensor;
  const [rows, columns] = shape.length === 0 ? [1, 1] : shape.length === 1 ? [1, shape[0]] : shape.slice(-2);
  const scale = tensor.data.reduce((most, value) => Math.max(most, Number.isFinite(value) ? Math.abs(value) : 0), 0) || 1;
  const won = winnersIn(tensor);
  const tables = [];
  for (const leading of indices(shape.slice(0, -2))) {
    if (hasSamples(tensor) && leading[0] !== state.sample) continue;
    const label = leading.length ? `[${leading.join(",")}]` : "";
    const body = Array.from({ length: rows }, (_, i) =>
      `<tr role="row">${Array.from({ length: columns }, (_, j) => cell(tensor, offset(tensor, [...leading, i, j].slice(-Math.max(shape.length, 0)).slice(0, shape.length)), scale, won)).join("")}</tr>`);
    tables.push(`<div class="plane"><span>${label}</span><table role="grid" aria-label="${escapeHtml(plainName(trace, tensor))} ${tensor.name}${label}${trace.editable && isEditable(tensor) ? ", editable" : ""}">${body.join("")}</table></div>`);
  }
  return tables;
}

function cell(tensor, at, scale, won) {
  const value = tensor.data[at];
  const classes = [value > 0 ? "plus" : value < 0 ? "minus" : "", won.has(at) ? "won" : "", isEditable(tensor) ? "editable" : ""].filter(Boolean).join(" ");
  const alpha = (0.06 + 0.5 * Math.min(1, Math.abs(value) / scale || 0)).toFixed(3);
  const label = `${entryName(tensor, at)} ${show(value)}${won.has(at) ? ", won a window" : ""}`;
  return `<td role="gridcell" tabindex="-1" class="${classes}" style="--alpha:${alpha}" data-name="${tensor.name}" data-at="${at}" aria-label="${escapeHtml(label)}">${show(value)}</td>`;
}

/** Where the winners stand, in the input of a pool that is on stage. */
function winnersIn(tensor) {
  const { place } = steps[state.step];
  const won = new Set();
  if (place?.layer.type !== "MaxPool2d" || tensor !== place.x) return won;
  let k = 0;
  for (const [n, c] of indices(place.argmax.shape)) won.add(offset(tensor, [n, c, 0, 0]) + place.argmax.data[k++]);
  return won;
}

// --- the account of one number ---

function choose(tensor, at, speak = false) {
  if (state.chosen?.tensor !== tensor || state.chosen.at !== at) state.reading = undefined;
  state.chosen = { tensor, at };
  state.allTerms = false;
  drawAccount(speak);
  light();
}

function drawAccount(speak = false) {
  const { tensor, at } = state.chosen;
  const readings = Object.keys(readingsOf(trace, tensor));
  const reading = state.reading ?? readings[0];
  const terms = readings.length ? termsOf(trace, tensor, at, reading) : [];
  const value = tensor.data[at];
  const total = terms.reduce((sum, sources) => sum + termValue(sources), 0);
  const tabs = readings.length > 1 ? `<div class="readings" role="group" aria-label="Two readings of the same sum">${readings.map((name) => `<button type="button" data-reading="${name}" aria-pressed="${name === reading}">${name === "scatter" ? "scatter (col2im)" : "correlation, rotated kernel"}</button>`).join("")}</div>` : "";
  const shown = state.allTerms ? terms : terms.slice(0, TERMS);
  const more = terms.length > shown.length ? `<button type="button" class="more" data-terms="all">${terms.length - shown.length} more terms</button>` : "";
  const list = terms.length ? `<ol class="terms">${shown.map(termHtml).join("")}</ol>${more}<p class="total">sum of ${terms.length} ${terms.length === 1 ? "term" : "terms"}: ${show(total, 6)}</p>` : `<p class="words">${isGiven(tensor) ? "It is given" : "It is read off"}, not computed as a sum.</p>`;
  find("account").innerHTML = `<p class="detail">${escapeHtml(plainName(trace, tensor))}</p><h2 class="entry">${escapeHtml(entryName(tensor, at))} = <span class="number">${show(value, 6)}</span></h2>
    ${isGiven(tensor) ? "" : `<div class="equation">${mathHtml(tensor.latex)}</div>`}${tabs}${list}${gateHtml(tensor, at)}${looksOf(trace, tensor, at).map(lookHtml).join("")}`;
  if (speak) find("spoken").textContent = `${plainName(trace, tensor)}, ${entryName(tensor, at)}: ${show(value, 6)}${terms.length ? `, a sum of ${terms.length} terms` : ""}`;
}

function termHtml(sources) {
  const value = termValue(sources);
  const parts = sources.map((source) => `${sourceHtml(source)}`).join(" × ");
  return `<li class="term${value === 0 ? " nothing" : ""}"><b>${show(value, 5)}</b>${parts}</li>`;
}

function sourceHtml(source) {
  const name = escapeHtml(nameOf(source));
  const value = `<span class="value">${show(factorOf(source), 5)}</span>`;
  if (source.constant !== undefined) return `<span>${name} ${value}</span>`;
  return `<button type="button" class="source" data-name="${source.tensor.name}" data-at="${source.at}">${name} ${value}</button>`;
}

function gateHtml(tensor, at) {
  const place = placeOf(trace, tensor);
  if (place?.layer.type !== "ReLU" || !place.open || !(tensor.own === "out" || tensor.own === "input")) return "";
  const source = entryName(place.x, at);
  return `<p class="look">The gate is ${place.open.data[at] ? "open" : "shut"}: ${escapeHtml(source)} is ${show(place.x.data[at])}.</p>`;
}

function lookHtml({ window, winner, tied, seen }) {
  const values = seen.map((source) => show(factorOf(source))).join(", ");
  const tie = tied.length ? `, by a tie with ${tied.map(nameOf).join(", ")}: it stands first` : "";
  return `<p class="look">${escapeHtml(nameOf(window))} looks at ${values}. ${escapeHtml(nameOf(winner))} wins${escapeHtml(tie)}.</p>`;
}

/** Light up the cells that the chosen number comes from. */
function light() {
  for (const lit of document.querySelectorAll("td.lit, td.chosen")) lit.classList.remove("lit", "chosen");
  const { tensor, at } = state.chosen;
  find("stage").querySelector(selectorOf(state.chosen))?.classList.add("chosen");
  const lit = termsOf(trace, tensor, at, state.reading).flat().filter((source) => source.tensor);
  for (const { seen } of looksOf(trace, tensor, at)) lit.push(...seen);
  for (const source of lit) find("stage").querySelector(selectorOf(source))?.classList.add("lit");
}

/** To where an entry was made. */
function follow(tensor, at) {
  if (hasSamples(tensor)) setSample(unravel(tensor.shape, at)[0]);
  state.unfolded.add(tensor.name);
  const makes = steps.findIndex(({ to }) => to.includes(tensor));
  const needs = steps.findIndex(({ from }) => from.includes(tensor));
  goTo(makes >= 0 ? makes : needs, { tensor, at });
  focusCell(find("stage").querySelector(selectorOf({ tensor, at })));
}

// --- changing numbers ---

const isEditable = (tensor) => trace.editable && (tensor.name === "input" || isParameter(tensor));

function edit(td) {
  const tensor = trace.arrays[td.dataset.name];
  const at = Number(td.dataset.at);
  if (!isEditable(tensor) || td.querySelector("input")) return;
  td.innerHTML = `<input inputmode="decimal" aria-label="${entryName(tensor, at)}" value="${tensor.data[at]}">`;
  const input = td.firstChild;
  let ended = false;
  const end = (takes) => {
    if (ended) return;
    ended = true;
    const value = Number(input.value.replace("−", "-").replace(",", "."));
    if (takes && input.value.trim() && Number.isFinite(value)) change(tensor, at, value);
    else drawStage();
    focusCell(find("stage").querySelector(selectorOf({ tensor, at })));
  };
  input.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter") end(true);
    if (event.key === "Escape") end(false);
  });
  input.addEventListener("blur", () => end(true));
  input.select();
}

function change(tensor, at, value) {
  tensor.data[at] = value;
  recompute(trace);
  find("reset").hidden = false;
  drawStage();
  drawAccount(true);
}

function reset() {
  for (const [tensor, numbers] of given) tensor.data.set(numbers);
  recompute(trace);
  find("reset").hidden = true;
  drawStage();
  drawAccount();
}

// --- pointer and keyboard ---

function focusCell(td) {
  if (!td) return;
  for (const other of td.closest("table").querySelectorAll('td[tabindex="0"]')) other.tabIndex = -1;
  td.tabIndex = 0;
  td.focus();
}

function moveInGrid(event, td) {
  const row = td.parentElement;
  const body = row.parentElement;
  const [i, j] = [row.rowIndex, td.cellIndex];
  const target = {
    ArrowLeft: row.cells[j - 1], ArrowRight: row.cells[j + 1], ArrowUp: body.rows[i - 1]?.cells[j], ArrowDown: body.rows[i + 1]?.cells[j],
    Home: row.cells[0], End: row.cells[row.cells.length - 1],
  }[event.key];
  if (event.key === "Enter" || event.key === "F2") edit(td);
  else if (target) focusCell(target);
  else return;
  event.preventDefault();
}

function setSample(sample) {
  state.sample = sample;
  const select = find("samples").querySelector("select");
  if (select.options.length) select.value = sample;
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
}

const cellOf = (event) => (event.target.closest ? event.target.closest("td") : null);
const pick = (td, speak) => choose(trace.arrays[td.dataset.name], Number(td.dataset.at), speak);

function listen() {
  const stage = find("stage");
  stage.addEventListener("pointerover", (event) => cellOf(event) && pick(cellOf(event)));
  stage.addEventListener("focusin", (event) => cellOf(event) && pick(cellOf(event), true));
  stage.addEventListener("click", (event) => cellOf(event) && !event.target.closest("input") && focusCell(cellOf(event)));
  stage.addEventListener("dblclick", (event) => cellOf(event) && edit(cellOf(event)));
  stage.addEventListener("keydown", (event) => cellOf(event) && moveInGrid(event, cellOf(event)));
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const { step, move, reading, name, at, unfold, terms } = button.dataset;
    if (step !== undefined) goTo(Number(step));
    else if (move !== undefined) goTo(state.step + Number(move));
    else if (reading !== undefined) { state.reading = reading; drawAccount(); light(); }
    else if (unfold !== undefined) { state.unfolded.add(unfold); drawStage(); }
    else if (terms !== undefined) { state.allTerms = true; drawAccount(); }
    else if (name !== undefined) follow(trace.arrays[name], Number(at));
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select")) return;
    if (event.key === "n") goTo(state.step + 1);
    if (event.key === "p") goTo(state.step - 1);
  });
  find("theme").addEventListener("click", () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
  find("reset").addEventListener("click", reset);
  find("samples").addEventListener("change", (event) => { setSample(Number(event.target.value)); drawStage(); });
}

function start() {
  trace.editable = data.editable;
  setTheme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  const count = trace.arrays.input.shape[0];
  if (count > 1) {
    find("samples").hidden = false;
    find("samples").querySelector("select").innerHTML = Array.from({ length: count }, (_, n) => `<option>${n}</option>`).join("");
  }
  find("edits").textContent = data.editable ? "Enter or a double click on an underlined number changes it, and everything is computed again." : "This network is too large to be computed again here: its numbers are fixed.";
  listen();
  goTo(0);
}

start();
