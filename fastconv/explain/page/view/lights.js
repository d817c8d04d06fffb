// On stage, the cells that the number comes from.

import { placeOf } from "../trace/trace.js";
import { cellFor } from "./grids.js";
import { state, trace } from "./page.js";

let lit = [];

/** Light up the entry of the ledger, the sources of its terms, and what else had a say in it. */
export function lightUp() {
  for (const td of lit) td.classList.remove("lit", "chosen", "met");
  lit = [];
  const { ledger } = state;
  const place = placeOf(trace, ledger.tensor);
  mark(ledger, "chosen");
  for (const source of [...ledger.terms.flat(), ...(place?.operation.seen?.(place, ledger) ?? [])]) mark(source, "lit");
}

/** The cells that meet in one term; none without one. */
export function meet(term) {
  for (const td of lit) td.classList.remove("met");
  if (term !== undefined) for (const source of state.ledger.terms[term]) mark(source, "met");
}

function mark(source, kind) {
  const td = source.tensor && cellFor(source);
  if (!td) return;
  td.classList.add(kind);
  lit.push(td);
}
