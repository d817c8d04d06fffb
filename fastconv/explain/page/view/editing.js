// Changing numbers: pixels and parameters, after which everything is computed anew.

import { entryName } from "../basics/names.js";
import { recompute } from "../trace/trace.js";
import { cellFor, isEditable } from "./grids.js";
import { present } from "./ledger.js";
import { lightUp } from "./lights.js";
import { find, restoreNumbers, say, state, trace } from "./page.js";
import { drawSides, focusCell, pin } from "./stage.js";

/** A field for a new number in a cell, until Enter, Escape, or the focus goes elsewhere. */
export function edit(td) {
  const tensor = trace.arrays[td.dataset.name];
  const at = Number(td.dataset.at);
  if (!isEditable(tensor) || td.querySelector("input")) return;
  td.innerHTML = `<input aria-label="${entryName(tensor, at)}" value="${tensor.data[at]}">`;
  const input = td.firstChild;
  let ended = false; // by a key, after which the focus is lost, too
  const end = (takes, staysHere) => {
    if (ended) return;
    ended = true;
    finish({ tensor, at }, takes ? input.value : null, staysHere);
  };
  input.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter") end(true, true);
    if (event.key === "Escape") end(false, true);
  });
  input.addEventListener("blur", () => end(true, false));
  input.select();
}

/** Take what was typed, unless it is null or no number; the focus goes back to the cell, or stays where it went. */
function finish({ tensor, at }, typed, staysHere) {
  const value = numberIn(typed ?? "", tensor);
  if (value === undefined) drawSides();
  else change(tensor, at, value);
  if (staysHere) focusCell(cellFor({ tensor, at }));
  else lightUp();
  if (typed !== null && value === undefined) say(`${typed || "nothing"} is not a number that fits here`);
}

/** The number that was typed, if there is one that the array can hold. */
function numberIn(typed, tensor) {
  const value = Number(typed.replace("−", "-").replace(",", "."));
  return typed.trim() && Number.isFinite(tensor.data.constructor.of(value)[0]) ? value : undefined;
}

function change(tensor, at, value) {
  tensor.data[at] = value;
  recompute(trace);
  find("reset").hidden = false;
  drawSides();
  pin({ tensor, at }, true);
}

/** All numbers as they were. */
export function reset() {
  restoreNumbers();
  drawSides();
  present(state.pinned);
  find("lead").querySelector("h2").focus();
  find("reset").hidden = true;
  say(`as it was; ${find("loss").textContent}`);
}
