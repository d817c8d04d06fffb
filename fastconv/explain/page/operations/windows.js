// Where the windows of convolutions and pools fall.

import { indices } from "../basics/arrays.js";
import { constant, entry } from "../basics/terms.js";

/** The input's entry under tap (u, v) of the window at (i, j), or the padding. */
export function tap({ trace, window, x }, n, c, i, j, u, v) {
  const h = i * window.SH - window.PT + u * window.DH;
  const w = j * window.SW - window.PL + v * window.DW;
  const inside = h >= 0 && h < window.H && w >= 0 && w < window.W;
  return inside ? entry(x, n, c, h, w) : constant(trace, "padding");
}

/** The rows and columns of the image that a pool's window at (i, j) sees: [first, end) each. */
export function span(window, i, j) {
  const [top, left] = [i * window.SH - window.PT, j * window.SW - window.PL];
  return {
    rows: [Math.max(top, 0), Math.min(top + window.KH, window.H)],
    columns: [Math.max(left, 0), Math.min(left + window.KW, window.W)],
  };
}

/** The windows (i, j) of a pool that see pixel (h, w), in row-major order. */
export function* looking(window, h, w) {
  for (const [i, j] of indices([window.OH, window.OW])) {
    const { rows, columns } = span(window, i, j);
    if (h >= rows[0] && h < rows[1] && w >= columns[0] && w < columns[1]) yield [i, j];
  }
}

/** "2 × 2, stride 2": what of a window is not plain. */
export function describe({ KH, KW, SH, SW, DH, DW, PT, PB, PL, PR }) {
  const two = (a, b) => (a === b ? `${a}` : `${a} × ${b}`);
  const padding = PT === PB && PL === PR ? two(PT, PL) : `${PT} ${PB} ${PL} ${PR}`;
  return [
    `${KH} × ${KW}`,
    SH > 1 || SW > 1 ? `stride ${two(SH, SW)}` : "",
    PT || PB || PL || PR ? `padding ${padding}` : "",
    DH > 1 || DW > 1 ? `dilation ${two(DH, DW)}` : "",
  ].filter(Boolean).join(", ");
}
