// The account of one number: its terms, beside the stage, and lit up on it.

const TERMS = 40; // so many terms of a sum at first
const FEW = 8; // up to so many terms, those that are 0 are listed too

let lit = [];

/** Show where an entry comes from; `speak` reads it out. */
function present({ tensor, at }, speak = false) {
  const old = state.account;
  const same = old && old.tensor === tensor && old.at === at;
  const readings = Object.keys(readingsOf(trace, tensor));
  const reading = same && readings.includes(old.reading) ? old.reading : readings[0];
  const terms = readings.length ? termsOf(trace, tensor, at, reading) : [];
  state.account = { tensor, at, readings, reading, terms, looks: looksOf(trace, tensor, at), ...(same && { all: old.all, zeros: old.zeros }) };
  drawAccount();
  light();
  if (speak) say(`${plainName(trace, tensor)}, ${entryName(tensor, at)}: ${show(tensor.data[at], 6)}${terms.length ? `, a sum of ${terms.length} terms` : ""}`);
}

/** Another reading, all terms, or those that are 0: the account as before, with a change. */
function revise(change) {
  Object.assign(state.account, change);
  present(state.account);
}

function drawAccount() {
  const { tensor, at, readings, reading } = state.account;
  const equation = isGiven(tensor) ? "" : `<div class="equation">${mathHtml(tensor.latex)}</div>`;
  const tabs = readings.length > 1 ? `<div class="readings" role="group" aria-label="Two readings of the same sum">${readings.map((name) => `<button type="button" data-reading="${name}" aria-pressed="${name === reading}">${READINGS[name]}</button>`).join("")}</div>` : "";
  redraw(find("account"), `<p class="detail">${escapeHtml(plainName(trace, tensor))}</p>
    <h2 class="entry" tabindex="-1">${escapeHtml(entryName(tensor, at))} = ${numberHtml(tensor.data[at], 6)}</h2>
    <button type="button" class="expand" data-expand="" aria-expanded="${find("account").classList.contains("open")}">terms</button>
    <div class="body">${equation}${tabs}${sumHtml()}${termsHtml()}${gateHtml(tensor, at)}${state.account.looks.map(lookHtml).join("")}${rotatedHtml()}</div>`);
  markScrolling(find("account"));
}

const READINGS = { scatter: "scatter (col2im)", correlation: "correlation, rotated kernel" };

/** "48 terms, 5 not zero: sum −0.328" */
function sumHtml() {
  const { tensor, terms, looks } = state.account;
  if (!terms.length) {
    const reason = isGiven(tensor) ? "It is given, not computed." : tensor.own in READ_OFF ? `It is read off: ${READ_OFF[tensor.own]}.` : "No window looked here: it is 0.";
    return `<p class="words">${reason}</p>`;
  }
  const values = terms.map(termValue);
  const total = numberHtml(values.reduce((sum, value) => sum + value, 0), 6);
  if (!tensor.gradient && looks.length) return `<p class="total">the largest of ${looks[0].seen.length}: ${total}</p>`;
  const zeros = values.filter((value) => value === 0).length;
  const filled = zeros < terms.length ? `${terms.length - zeros} not zero` : "all 0";
  const count = `${terms.length} ${terms.length === 1 ? "term" : "terms"}${zeros && terms.length > 1 ? `, ${filled}` : ""}`;
  const here = terms.filter((sources) => sources.every(isOfSample)).length;
  const elsewhere = here < terms.length ? `<p class="detail">${here} of them from the sample shown</p>` : "";
  return `<p class="total">${count}: sum ${total}</p>${elsewhere}`;
}

const READ_OFF = { argmax: "where the largest stands, row × width + column", open: "1 where the input is above 0" };
const isOfSample = ({ tensor, at }) => !tensor || !hasSamples(tensor) || unravel(tensor.shape, at)[0] === state.sample;

function termsHtml() {
  const { terms, all, zeros } = state.account;
  const numbered = terms.map((sources, k) => [sources, k]);
  const hidden = terms.length > FEW && !zeros ? numbered.filter(([sources]) => termValue(sources) === 0).length : 0;
  const listed = hidden ? numbered.filter(([sources]) => termValue(sources) !== 0) : numbered;
  const shown = all ? listed : listed.slice(0, TERMS);
  const more = listed.length > shown.length ? `<button type="button" class="more" data-terms="all">${listed.length - shown.length} more terms</button>` : "";
  const rest = hidden ? `<button type="button" class="more" data-zeros="shown">${hidden} more, which are 0</button>` : "";
  return shown.length || rest ? `<ol class="terms">${shown.map(termHtml).join("")}</ol>${more}${rest}` : "";
}

function termHtml([sources, k]) {
  const value = termValue(sources);
  return `<li class="term${value === 0 ? " nothing" : ""}" value="${k + 1}" data-term="${k}"><b>${numberHtml(value, 5)}</b>${sources.map(sourceHtml).join(" × ")}</li>`;
}

function sourceHtml(source) {
  const name = nameOf(source);
  const value = factorOf(source);
  const number = numberHtml(value, 5);
  if (source.constant !== undefined) return `<span>${name.replace("-", "−") === show(value, 5) ? number : `${escapeHtml(name)} = ${number}`}</span>`;
  return `<button type="button" class="source" data-name="${source.tensor.name}" data-at="${source.at}">${escapeHtml(name)} ${number}</button>`;
}

function gateHtml(tensor, at) {
  const place = placeOf(trace, tensor);
  if (place?.layer.type !== "ReLU" || !place.open || !(tensor.own === "out" || tensor.own === "input")) return "";
  const source = entryName(place.x, at);
  return `<p class="look">The gate is ${place.open.data[at] ? "open" : "shut"}: ${escapeHtml(source)} is ${numberHtml(place.x.data[at])}.</p>`;
}

function lookHtml({ window, winner, tied, seen }) {
  const values = seen.map((source) => numberHtml(factorOf(source))).join(", ");
  const tie = tied.length ? `, by a tie with ${tied.map(nameOf).join(", ")}: it stands first` : "";
  return `<p class="look">${escapeHtml(nameOf(window))} looks at ${values}. ${escapeHtml(nameOf(winner))} wins${escapeHtml(tie)}.</p>`;
}

/** For the reading as a correlation: the kernel as it then lies, one of each filter that saw the pixel. */
function rotatedHtml() {
  const { tensor, at, reading } = state.account;
  if (reading !== "correlation") return "";
  const place = placeOf(trace, tensor);
  const { weight, window } = place;
  const [, c] = unravel(tensor.shape, at);
  const gaps = window.SH > 1 || window.SW > 1 ? `, with ${window.SH - 1} × ${window.SW - 1} zeros put between its entries` : "";
  const kernels = filtersOf(place, c).slice(0, 4).map((f) => {
    const first = offset(weight, [f, c % weight.shape[1], 0, 0]);
    const numbers = weight.data.slice(first, first + window.KH * window.KW).reverse();
    const row = (u) => Array.from(numbers.subarray(u * window.KW, (u + 1) * window.KW), (value) => `<td>${numberHtml(value)}</td>`).join("");
    const rows = Array.from({ length: window.KH }, (_, u) => `<tr>${row(u)}</tr>`).join("");
    return `<div class="plane" style="${sizesOf({ columns: window.KW, wide: widest(numbers) })}"><table class="rotated" aria-label="kernel of filter ${f}, rotated">${rows}</table></div>`;
  });
  return `<div class="look rotation">The kernel, rotated by 180 degrees, slides over the gradient of the feature map${gaps}, with a border of zeros: ${kernels.join("")}</div>`;
}

// --- on the stage ---

/** Light up the cells that the number comes from. */
function light() {
  for (const td of lit) td.classList.remove("lit", "chosen", "met");
  lit = [];
  mark(state.account, "chosen");
  for (const sources of state.account.terms) for (const source of sources) mark(source, "lit");
  for (const { seen } of state.account.looks) for (const source of seen) mark(source, "lit");
}

function mark(source, kind) {
  const td = source.tensor && cellFor(source);
  if (!td) return;
  td.classList.add(kind);
  lit.push(td);
}

/** The cells that meet in one term. */
function meet(term) {
  for (const td of lit) td.classList.remove("met");
  if (term !== undefined) for (const source of state.account.terms[term]) mark(source, "met");
}
