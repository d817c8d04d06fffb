// What the pointer, the keyboard and buttons do.

import { copy } from "./copying.js";
import { edit, reset } from "./editing.js";
import { expandLedger, present, revise } from "./ledger.js";
import { meet } from "./lights.js";
import { find, root, state, trace } from "./page.js";
import { drawSides, firstChoice, focusCell, follow, goTo, pin, setSample, unfold } from "./stage.js";

export function listen() {
  const stage = find("stage");
  listenToPointer(stage);
  listenToKeys(stage);
  listenToLedger(find("ledger"));
  document.addEventListener("copy", copy);
  root.addEventListener("click", ({ target }) => target.closest("button") && press(target.closest("button").dataset));
  find("reset").addEventListener("click", reset);
  find("samples").addEventListener("change", ({ target }) => {
    setSample(Number(target.value));
    drawSides();
    pin(firstChoice());
  });
}

const cellOf = (event) => event.target.closest?.("td[data-at]");
const entryOf = (td) => ({ tensor: trace.arrays[td.dataset.name], at: Number(td.dataset.at) });

// --- the pointer ---

/** What the pointer is on is shown while it is there; it must have moved, and not the page under it. */
function listenToPointer(stage) {
  let [x, y] = [NaN, NaN];
  stage.addEventListener("pointermove", (event) => {
    const moved = event.clientX !== x || event.clientY !== y;
    [x, y] = [event.clientX, event.clientY];
    const td = cellOf(event);
    if (moved && td && event.pointerType !== "touch" && !stage.querySelector("input")) presentOther(entryOf(td));
  });
  stage.addEventListener("pointerleave", () => presentOther(state.pinned));
  stage.addEventListener("click", (event) => {
    if (cellOf(event) && !event.target.closest("input")) focusCell(cellOf(event));
  });
  stage.addEventListener("dblclick", (event) => cellOf(event) && edit(cellOf(event)));
}

function presentOther(entry) {
  if (state.ledger.tensor !== entry.tensor || state.ledger.at !== entry.at) present(entry);
}

// --- the keyboard ---

function listenToKeys(stage) {
  stage.addEventListener("focusin", (event) => {
    const td = cellOf(event);
    if (td && event.target === td) pin(entryOf(td), true);
  });
  stage.addEventListener("keydown", (event) => cellOf(event) && moveInGrid(event, cellOf(event)));
  document.addEventListener("keydown", (event) => {
    if (!isOurs(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select")) return;
    if (event.key === "n") goTo(state.step + 1);
    if (event.key === "p") goTo(state.step - 1);
  });
}

/** Whether a key is meant for this page, which may stand among others in a document. */
function isOurs(target) {
  return root.contains(target) || (target === document.body && document.querySelectorAll(".fastconv").length === 1);
}

function moveInGrid(event, td) {
  const rows = Array.from(td.closest("table").rows, (row) => Array.from(row.querySelectorAll("td")));
  const i = rows.findIndex((row) => row.includes(td));
  const j = rows[i].indexOf(td);
  const target = {
    ArrowLeft: rows[i][j - 1], ArrowRight: rows[i][j + 1], ArrowUp: rows[i - 1]?.[j], ArrowDown: rows[i + 1]?.[j],
    Home: rows[i][0], End: rows[i].at(-1),
  }[event.key];
  if (event.key === "Enter" || event.key === "F2") edit(td);
  else if (target) focusCell(target);
  else return;
  event.preventDefault();
}

// --- the ledger, and buttons ---

function listenToLedger(ledger) {
  const termOf = (event) => event.target.closest(".term")?.dataset.term;
  for (const name of ["pointerover", "focusin"]) ledger.addEventListener(name, (event) => meet(termOf(event)));
  for (const name of ["pointerleave", "focusout"]) ledger.addEventListener(name, () => meet());
}

/** What a button does, by the names in its data. */
const BUTTONS = {
  skip: () => find("stage").focus(),
  step: ({ step }) => goTo(Number(step)),
  move: ({ move }) => goTo(state.step + Number(move)),
  reading: ({ reading }) => revise({ reading }),
  terms: () => revise({ showsAll: true }),
  zeros: () => revise({ showsZeros: true }),
  expand: expandLedger,
  name: ({ name, at }) => follow(trace.arrays[name], Number(at)),
  unfold: (button) => unfold(button.unfold),
};

function press(button) {
  const name = Object.keys(BUTTONS).find((known) => button[known] !== undefined);
  if (name) BUTTONS[name](button);
}
