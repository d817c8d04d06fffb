// Convolution. A pixel's gradient is read in two ways: window by window, or as a correlation with the rotated kernel.

import { divmod, indices, offset, unravel } from "../basics/arrays.js";
import { numberHtml, sizesOf, widest } from "../basics/numbers.js";
import { constant, entry } from "../basics/terms.js";
import { OPERATIONS } from "./operation.js";
import { describe, tap } from "./windows.js";

OPERATIONS.Conv2d = {
  title: "Convolution",
  detail: ({ window, groups }) => describe(window) + (groups > 1 ? `, ${groups} groups` : ""),
  names: { out: "feature map", weight: "kernel", bias: "bias" },
  forward: {
    words:
      "Lay the kernel over one patch of the image, multiply number by number, add everything up, add the bias: one number of " +
      "the feature map. Then move on. For the whole image at once this is one matrix product on patches, which im2col " +
      "gathers.",
    code: "y = w · im2col(x) + b",
  },
  backward: {
    words:
      "A weight met one pixel at every position. Its gradient adds, over all positions and samples, the pixel it met times " +
      "the gradient of the output it fed. The bias adds those gradients alone. A pixel lay under several windows, so it " +
      "collects from each of them: col2im adds. Read from the pixel's side the same sum is a full correlation with the " +
      "kernel rotated by 180 degrees.",
    code: "dw = dy · im2col(x)ᵀ,  db = dy.sum(),  dx = col2im(wᵀ · dy)",
    needs: ["x", "weight"],
  },
  rules: {
    *out(place, [n, f, i, j]) {
      const { weight, bias } = place;
      const [, channels, KH, KW] = weight.shape;
      const first = firstChannel(place, f);
      for (const [c, u, v] of indices([channels, KH, KW])) {
        yield [entry(weight, f, c, u, v), tap(place, n, first + c, i, j, u, v)];
      }
      if (bias) yield [entry(bias, f)];
    },
    *weight(place, [f, c, u, v]) {
      const { dy } = place;
      const [N, , OH, OW] = dy.shape;
      const first = firstChannel(place, f);
      for (const [n, i, j] of indices([N, OH, OW])) yield [tap(place, n, first + c, i, j, u, v), entry(dy, n, f, i, j)];
    },
    *bias({ dy }, [f]) {
      const [N, , OH, OW] = dy.shape;
      for (const [n, i, j] of indices([N, OH, OW])) yield [entry(dy, n, f, i, j)];
    },
    dx: { scatter, correlation },
  },
  readings: { scatter: "scatter (col2im)", correlation: "correlation, rotated kernel" },
  notes: (place, { tensor, at, reading }) => (reading === "correlation" ? rotatedHtml(place, unravel(tensor.shape, at)) : ""),
};

/** Window by window: what each patch that holds the pixel gives back to it. */
function* scatter(place, [n, c, h, w]) {
  const { weight, window, dy } = place;
  for (const f of filtersOf(place, c)) {
    for (const [i, j] of indices([window.OH, window.OW])) {
      const [u, offRow] = divmod(h + window.PT - i * window.SH, window.DH);
      const [v, offColumn] = divmod(w + window.PL - j * window.SW, window.DW);
      const inside = u >= 0 && u < window.KH && v >= 0 && v < window.KW;
      if (inside && !offRow && !offColumn) yield [entry(weight, f, c % weight.shape[1], u, v), entry(dy, n, f, i, j)];
    }
  }
}

/** Tap by tap of the kernel rotated by 180 degrees, over dy with zeros put between strides and around it. */
function* correlation(place, [n, c, h, w]) {
  const { weight, window } = place;
  for (const f of filtersOf(place, c)) {
    for (const [a, b] of indices([window.KH, window.KW])) {
      const [u, v] = [window.KH - 1 - a, window.KW - 1 - b];
      const row = divmod(h + window.PT - u * window.DH, window.SH);
      const column = divmod(w + window.PL - v * window.DW, window.SW);
      yield [entry(weight, f, c % weight.shape[1], u, v), met(place, [n, f], row, column)];
    }
  }
}

/** What a tap of the rotated kernel lies on: [quotient, remainder] of a place in the spread dy by the stride. */
function met({ trace, window, dy }, [n, f], [i, rowGap], [j, columnGap]) {
  if (i < 0 || i >= window.OH || j < 0 || j >= window.OW) return constant(trace, "padding");
  return rowGap || columnGap ? constant(trace, "between strides") : entry(dy, n, f, i, j);
}

// --- groups ---

const groupSize = ({ weight, layer }) => weight.shape[0] / layer.groups;

/** The first of the channels that filter `f` sees. */
const firstChannel = (place, f) => Math.floor(f / groupSize(place)) * place.weight.shape[1];

/** The filters that see channel `c`. */
function filtersOf(place, c) {
  const size = groupSize(place);
  const first = Math.floor(c / place.weight.shape[1]) * size;
  return Array.from({ length: size }, (_, k) => first + k);
}

// --- the kernel as the correlation sees it ---

const FILTERS = 4; // so many rotated kernels are drawn

function rotatedHtml(place, [, c]) {
  const { SH, SW } = place.window;
  const gaps = SH > 1 || SW > 1 ? `, with ${SH - 1} × ${SW - 1} zeros put between its entries` : "";
  const kernels = filtersOf(place, c).slice(0, FILTERS).map((f) => kernelHtml(place, f, c));
  return `<div class="look rotation">The kernel, rotated by 180 degrees, slides over the gradient of the feature map${gaps}, ` +
    `with a border of zeros: ${kernels.join("")}</div>`;
}

function kernelHtml({ weight, window: { KH, KW } }, f, c) {
  const first = offset(weight, [f, c % weight.shape[1], 0, 0]);
  const numbers = weight.data.slice(first, first + KH * KW).reverse();
  const cellsOf = (u) => Array.from(numbers.subarray(u * KW, (u + 1) * KW), (value) => `<td>${numberHtml(value)}</td>`);
  const rows = Array.from({ length: KH }, (_, u) => `<tr>${cellsOf(u).join("")}</tr>`);
  return `<div class="plane" style="${sizesOf({ columns: KW, wide: widest(numbers) })}">` +
    `<table class="rotated" aria-label="kernel of filter ${f}, rotated">${rows.join("")}</table></div>`;
}
