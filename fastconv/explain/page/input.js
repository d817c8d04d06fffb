// Pointer, keyboard, theme, and the beginning.

const cellOf = (event) => event.target.closest?.("td[data-at]");
const entryOf = (td) => ({ tensor: trace.arrays[td.dataset.name], at: Number(td.dataset.at) });

function focusCell(td) {
  if (!td) return;
  for (const other of td.closest("table").querySelectorAll('td[tabindex="0"]')) other.tabIndex = -1;
  td.tabIndex = 0;
  td.focus();
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

/** What the pointer is on is shown while it is there; it must have moved, and not the page under it. */
function listenToPointer(stage) {
  let [x, y] = [NaN, NaN];
  stage.addEventListener("pointermove", (event) => {
    const moved = event.clientX !== x || event.clientY !== y;
    [x, y] = [event.clientX, event.clientY];
    const td = cellOf(event);
    if (!moved || !td || event.pointerType === "touch" || stage.querySelector("input")) return;
    const { tensor, at } = entryOf(td);
    if (state.account.tensor !== tensor || state.account.at !== at) present({ tensor, at });
  });
  stage.addEventListener("pointerleave", () => {
    const { tensor, at } = state.pinned;
    if (state.account.tensor !== tensor || state.account.at !== at) present(state.pinned);
  });
  stage.addEventListener("click", (event) => cellOf(event) && !event.target.closest("input") && focusCell(cellOf(event)));
  stage.addEventListener("dblclick", (event) => cellOf(event) && edit(cellOf(event)));
}

function listenToKeys(stage) {
  stage.addEventListener("focusin", (event) => {
    const td = cellOf(event);
    if (td && event.target === td) pin(entryOf(td), true);
  });
  stage.addEventListener("keydown", (event) => cellOf(event) && moveInGrid(event, cellOf(event)));
  document.addEventListener("keydown", (event) => {
    const isOurs = root.contains(event.target) || (event.target === document.body && document.querySelectorAll(".fastconv").length === 1);
    if (!isOurs || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select")) return;
    if (event.key === "n") goTo(state.step + 1);
    if (event.key === "p") goTo(state.step - 1);
  });
}

function listenToAccount(account) {
  const termOf = (event) => event.target.closest(".term")?.dataset.term;
  for (const event of ["pointerover", "focusin"]) account.addEventListener(event, (found) => meet(termOf(found)));
  for (const event of ["pointerleave", "focusout"]) account.addEventListener(event, () => meet());
}

function press({ skip, step, move, reading, name, at, unfold, terms, zeros, expand }) {
  if (skip !== undefined) find("stage").focus();
  else if (step !== undefined) goTo(Number(step));
  else if (move !== undefined) goTo(state.step + Number(move));
  else if (reading !== undefined) revise({ reading });
  else if (terms !== undefined) revise({ all: true });
  else if (zeros !== undefined) revise({ zeros: true });
  else if (expand !== undefined) unfoldAccount();
  else if (name !== undefined) follow(trace.arrays[name], Number(at));
  else if (unfold !== undefined) {
    state.unfolded.add(unfold);
    drawSides();
    light();
  }
}

/** On a phone the account is one line until it is asked for. */
function unfoldAccount() {
  find("account").classList.toggle("open");
  drawAccount();
}

function setSample(sample) {
  state.sample = sample;
  const select = find("samples").querySelector("select");
  if (select.options.length) select.value = sample;
}

function setTheme(theme) {
  root.dataset.theme = theme;
  find("theme").textContent = theme === "dark" ? "Light" : "Dark";
}

function start() {
  const stage = find("stage");
  setTheme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  const count = trace.arrays.input.shape[0];
  if (count > 1) {
    find("samples").hidden = false;
    find("samples").querySelector("select").innerHTML = Array.from({ length: count }, (_, n) => `<option>${n}</option>`).join("");
  }
  find("edits").textContent = trace.editable
    ? "Enter, a double click or a double tap on an underlined number changes it, and everything is computed again."
    : "This network is too large to be computed again here: its numbers are fixed.";
  listenToPointer(stage);
  listenToKeys(stage);
  listenToAccount(find("account"));
  document.addEventListener("copy", copy);
  root.addEventListener("click", (event) => event.target.closest("button") && press(event.target.closest("button").dataset));
  find("theme").addEventListener("click", () => setTheme(root.dataset.theme === "dark" ? "light" : "dark"));
  find("reset").addEventListener("click", reset);
  find("samples").addEventListener("change", (event) => { setSample(Number(event.target.value)); drawSides(); pin(firstChoice()); });
  // A page around this one may say which theme it has.
  addEventListener("message", ({ data: sent }) => ["dark", "light"].includes(sent?.theme) && setTheme(sent.theme));
  new ResizeObserver(() => markScrolling(root)).observe(find("sides"));
  goTo(0);
  root.dataset.started = "";
  // For a page around this one: what is shown, and how to move in it.
  root.fastconv = { trace, steps, state, goTo, follow, recompute, readingsOf, termsOf, termValue, nameOf, cellFor, focusCell };
}

start();
