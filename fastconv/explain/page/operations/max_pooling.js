// Max pooling: a window's winner takes everything. Who was looked at is told beside the terms, and winners carry a dot.

import { divmod, indices, offset, unravel } from "../basics/arrays.js";
import { escapeHtml } from "../basics/html.js";
import { numberHtml } from "../basics/numbers.js";
import { constant, entry, factorOf, gate, nameOf } from "../basics/terms.js";
import { OPERATIONS } from "./operation.js";
import { describe, looking, span } from "./windows.js";

OPERATIONS.MaxPool2d = {
  title: "Max pool",
  detail: ({ window }) => describe(window),
  names: { out: "pooled map", argmax: "winners" },
  forward: {
    words:
      "Each window keeps its largest number and remembers where it stood: row × width + column. In a tie the first in " +
      "reading order wins. Winners carry a dot.",
    code: "y, argmax = x[window].max(), x[window].argmax()",
  },
  backward: {
    words:
      "The winner of a window takes the window's whole gradient, the others get nothing. In a tie only the first takes it. " +
      "Where windows overlap, one that won several adds them up.",
    code: "dx[argmax] += dy",
    needs: ["x", "argmax"],
  },
  rules: {
    *out(place, [n, c, i, j]) {
      yield [entry(place.x, n, c, ...winnerOf(place, n, c, i, j))];
    },
    *dx(place, [n, c, h, w]) {
      for (const [i, j] of looking(place.window, h, w)) {
        const [row, column] = winnerOf(place, n, c, i, j);
        yield [entry(place.dy, n, c, i, j), gate(constant(place.trace, row === h && column === w ? "won" : "lost"))];
      }
    },
  },
  remembered: { argmax: { compute: chooseWinners, how: "where the largest stands, row × width + column" } },
  notes: (place, ledger) => looksOf(place, ledger).map(lookHtml).join(""),
  seen: (place, ledger) => looksOf(place, ledger).flatMap(({ seen }) => seen),
  total: (place, ledger) => (ledger.tensor.gradient ? "" : `the largest of ${looksOf(place, ledger)[0].seen.length}`),
  winners,
};

/** The first largest of each window, or its last NaN. */
function chooseWinners({ argmax, x, window }) {
  let out = 0;
  for (const [n, c, i, j] of indices(argmax.shape)) {
    const plane = offset(x, [n, c, 0, 0]);
    const [first, ...others] = cellsOf(window, i, j);
    argmax.data[out++] = others.reduce((winner, at) => {
      const value = x.data[plane + at];
      return value > x.data[plane + winner] || Number.isNaN(value) ? at : winner;
    }, first);
  }
}

/** What the window at (i, j) sees, as positions in the plane: row × width + column. */
function cellsOf(window, i, j) {
  const { rows, columns } = span(window, i, j);
  const cells = [];
  for (let h = rows[0]; h < rows[1]; h++) for (let w = columns[0]; w < columns[1]; w++) cells.push(h * window.W + w);
  return cells;
}

/** -> [row, column] */
const winnerOf = ({ argmax, window }, n, c, i, j) => divmod(argmax.data[offset(argmax, [n, c, i, j])], window.W);

/** Where the winners stand in the input. */
function winners({ argmax, x }) {
  const won = new Set();
  let k = 0;
  for (const [n, c] of indices(argmax.shape)) won.add(offset(x, [n, c, 0, 0]) + argmax.data[k++]);
  return won;
}

// --- the windows that had a say ---

/** Those that looked at an entry of the input, or the one of an entry of the output. */
function looksOf(place, { tensor, at }) {
  const [n, c, a, b] = unravel(tensor.shape, at);
  const windows = tensor.gradient ? looking(place.window, a, b) : [[a, b]];
  return Array.from(windows, ([i, j]) => look(place, n, c, i, j));
}

/** What one window saw: its output, its winner, who tied with it, every cell of it. */
function look(place, n, c, i, j) {
  const { x, y, window } = place;
  const winner = entry(x, n, c, ...winnerOf(place, n, c, i, j));
  const seen = cellsOf(window, i, j).map((at) => entry(x, n, c, ...divmod(at, window.W)));
  const tied = seen.filter((cell) => cell.at !== winner.at && factorOf(cell) === factorOf(winner));
  return { window: entry(y, n, c, i, j), winner, tied, seen };
}

function lookHtml({ window, winner, tied, seen }) {
  const values = seen.map((source) => numberHtml(factorOf(source))).join(", ");
  const tie = tied.length ? `, by a tie with ${tied.map(nameOf).join(", ")}: it stands first` : "";
  const says = `${escapeHtml(nameOf(window))} looks at ${values}. ${escapeHtml(nameOf(winner))} wins${escapeHtml(tie)}.`;
  return `<p class="look">${says}</p>`;
}
