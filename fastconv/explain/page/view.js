// The page itself: what is on stage, step by step.

/** The element that all this is inside of: of this script, or, where a script was moved elsewhere to run, the first that still waits for one. */
const root = document.currentScript?.closest(".fastconv") ?? document.querySelector(".fastconv:not([data-started])");
const find = (part) => root.querySelector(`.${part}`);
const data = JSON.parse(find("data").textContent);
const trace = makeTrace(data);
trace.editable = data.editable;
const steps = makeSteps(trace);
const given = new Map(Object.values(trace.arrays).filter(isGiven).map((tensor) => [tensor, tensor.data.slice()]));
/** What was clicked or focused stays `pinned`; `account` is of that, or of what the pointer is on. */
const state = { step: 0, sample: 0, pinned: null, account: null, unfolded: new Set() };

function say(text) {
  find("spoken").textContent = text;
}

/** New content for an element; focus stays on what is the same in it, or goes to its heading. */
function redraw(element, html) {
  const { activeElement } = document;
  const held = element.contains(activeElement) && activeElement !== element ? activeElement : null;
  element.innerHTML = html;
  if (!held) return;
  const marks = Object.entries(held.dataset).map(([name, value]) => `[data-${name}="${value}"]`);
  const again = marks.length ? element.querySelector(held.tagName + marks.join("")) : null;
  (again ?? element.querySelector("h2") ?? find("lead").querySelector("h2")).focus({ preventScroll: true });
}

// --- steps ---

/** Another step; what it makes is chosen, unless something is to be `kept`. */
function goTo(step, kept = null) {
  state.step = Math.max(0, Math.min(step, steps.length - 1));
  const { title, lane } = steps[state.step];
  drawSteps();
  drawLead();
  drawSides();
  pin(kept ?? firstChoice());
  say(`${title}, ${lane}, step ${state.step + 1} of ${steps.length}`);
}

function drawSteps() {
  const items = steps.map((step, k) => {
    const row = step.lane === "forward" ? 1 : 2;
    const current = k === state.step ? ' aria-current="step"' : "";
    return `<li class="${step.lane}" style="grid-row:${row};grid-column:${step.column + 1}"><button type="button" data-step="${k}"${current}>${escapeHtml(step.title)}</button></li>`;
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
  redraw(find("lead"), `<h2 tabindex="-1">${escapeHtml(title)} <span class="detail">${lane} ${detail ? `· ${escapeHtml(detail)}` : ""}</span></h2>
    <div class="moves"><button type="button" data-move="-1" aria-label="Previous step">‹</button><button type="button" data-move="1" aria-label="Next step">›</button></div>`);
  find("story").innerHTML = `<p class="words">${escapeHtml(words)}</p><code class="code">${escapeHtml(code)}</code>`;
}

function drawSides() {
  const { from, to } = steps[state.step];
  const side = (name, tensors) => (tensors.length ? `<div class="side ${name}" style="${widestOf(tensors)}"><p>${name}</p><div class="tensors">${tensors.map((tensor) => tensorHtml(tensor, name === "to")).join("")}</div></div>` : "");
  redraw(find("sides"), side("from", from) + side("to", to));
  collectCells(find("sides"));
  for (const grid of find("sides").querySelectorAll("table")) grid.querySelector("td").tabIndex = 0;
  markScrolling(find("sides"));
  find("loss").innerHTML = `loss ${numberHtml(trace.arrays.loss.data[0], 6)}`;
}

/** A line where a grid goes on: it ends at a whole cell, and shows by nothing else that there is more. */
function markScrolling(part) {
  for (const plane of part.querySelectorAll(".plane")) plane.classList.toggle("scrolls", plane.scrollWidth > plane.clientWidth);
}

/** Of what the step makes, the entry among the first ones with the most terms that are not 0. */
function firstChoice() {
  const { from, to } = steps[state.step];
  const made = to.length ? to : from;
  const tensor = made.find(({ own }) => !["open", "kept", "argmax"].includes(own)) ?? made[0];
  const first = hasSamples(tensor) || hasSampleRows(tensor) ? offset(tensor, [state.sample, ...new Array(tensor.shape.length - 1).fill(0)]) : 0;
  const filled = (at) => termsOf(trace, tensor, at).filter((sources) => termValue(sources) !== 0).length;
  let best = { at: first, count: -1 };
  for (let at = first; at < Math.min(first + 25, tensor.data.length); at++) {
    const count = filled(at);
    if (count > best.count) best = { at, count };
  }
  return { tensor, at: best.at };
}

/** Keep an entry's account until another is clicked or focused. */
function pin({ tensor, at }, speak = false) {
  state.pinned = { tensor, at };
  present(state.pinned, speak);
}

/** To where an entry was made. */
function follow(tensor, at) {
  if (hasSamples(tensor) || hasSampleRows(tensor)) setSample(unravel(tensor.shape, at)[0]);
  state.unfolded.add(tensor.name);
  const makes = steps.findIndex(({ to }) => to.includes(tensor));
  const needs = steps.findIndex(({ from }) => from.includes(tensor));
  goTo(makes >= 0 ? makes : needs, { tensor, at });
  focusCell(cellFor({ tensor, at }));
}

// --- changing numbers ---

function edit(td) {
  const tensor = trace.arrays[td.dataset.name];
  const at = Number(td.dataset.at);
  if (!isEditable(tensor) || td.querySelector("input")) return;
  td.innerHTML = `<input aria-label="${entryName(tensor, at)}" value="${tensor.data[at]}">`;
  const input = td.firstChild;
  let ended = false;
  const end = (takes, isDone) => {
    if (ended) return;
    ended = true;
    const value = Number(input.value.replace("−", "-").replace(",", "."));
    const fits = input.value.trim() && Number.isFinite(tensor.data.constructor.of(value)[0]);
    if (takes && fits) change(tensor, at, value);
    else drawSides();
    if (isDone) focusCell(cellFor({ tensor, at }));
    else light();
    if (takes && !fits) say(`${input.value || "nothing"} is not a number that fits here`);
  };
  input.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter") end(true, true);
    if (event.key === "Escape") end(false, true);
  });
  input.addEventListener("blur", () => end(true, false));
  input.select();
}

function change(tensor, at, value) {
  tensor.data[at] = value;
  recompute(trace);
  find("reset").hidden = false;
  drawSides();
  pin({ tensor, at }, true);
}

function reset() {
  for (const [tensor, numbers] of given) tensor.data.set(numbers);
  recompute(trace);
  drawSides();
  present(state.pinned);
  find("lead").querySelector("h2").focus();
  find("reset").hidden = true;
  say(`as it was; ${find("loss").textContent}`);
}
