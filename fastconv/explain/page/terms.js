// The account of one number: the terms whose sum it is. fastconv/explain/terms.py in the browser, with the same order and names.

const entry = (tensor, ...index) => ({ tensor, at: offset(tensor, index) });
const through = (wrap, source) => ({ ...source, wrap });
const constant = (trace, name) => ({ constant: name, value: trace.constants[name] });

const WRAPS = { exp: Math.exp, log: Math.log, log1p: Math.log1p, "1/": (x) => 1 / x };

/** The number that a source stands for. */
function factorOf(source) {
  if (source.constant !== undefined) return source.value;
  const value = source.tensor.data[source.at];
  return source.wrap ? WRAPS[source.wrap](value) : value;
}

/** "input[0,0,2,3]", "1/N", "log(sums[0])" */
function nameOf(source) {
  if (source.constant !== undefined) return source.constant;
  const name = entryName(source.tensor, source.at);
  if (!source.wrap) return name;
  return source.wrap === "1/" ? `1/${name}` : `${source.wrap}(${name})`;
}

function entryName(tensor, at) {
  return tensor.shape.length ? `${tensor.name}[${unravel(tensor.shape, at)}]` : tensor.name;
}

/** A gate that stops everything, infinity too. */
const isShut = ({ constant, tensor, at }) => constant === "lost" || ((tensor?.own === "open" || tensor?.own === "kept") && tensor.data[at] === 0);

const termValue = (sources) => (sources.some(isShut) ? 0 : sources.reduce((product, source) => product * factorOf(source), 1));

/** label -> rule: a generator of terms, each a list of sources. The first is the sum itself, a second the same sum read otherwise. */
function readingsOf(trace, tensor) {
  const { name, gradient, layer, own } = tensor;
  if (name === "d loss") return { "": () => [[constant(trace, "1")]] };
  if (gradient && own === "out" && layer === trace.layers.length - 1) return { "": LOSS_GRADIENT[trace.loss] };
  if (gradient && (own === "out" || own === "input")) return operation(trace, layer + 1).dx;
  if (own === "out") return operation(trace, layer).out;
  if (gradient) return operation(trace, layer)[own];
  const rule = LOSS[trace.loss][name];
  return rule ? { "": rule } : {};
}

const operation = (trace, layer) => OPERATIONS[trace.layers[layer].type];

/** The layer whose arrays the account of `tensor` speaks of. */
function placeOf(trace, tensor) {
  const { gradient, own, layer } = tensor;
  return trace.places[gradient && (own === "out" || own === "input") ? layer + 1 : layer];
}

/** -> the terms of one entry, by the first reading or the one named */
function termsOf(trace, tensor, at, reading) {
  const rules = readingsOf(trace, tensor);
  const rule = rules[reading ?? Object.keys(rules)[0]];
  return rule ? [...rule(placeOf(trace, tensor) ?? trace, unravel(tensor.shape, at))] : [];
}

// --- convolution ---

const groupSize = ({ weight, layer }) => weight.shape[0] / layer.groups;

/** The input's entry under tap (u, v) of the window at (i, j), or the padding. */
function tap({ trace, window, x }, n, c, i, j, u, v) {
  const h = i * window.SH - window.PT + u * window.DH;
  const w = j * window.SW - window.PL + v * window.DW;
  const inside = h >= 0 && h < window.H && w >= 0 && w < window.W;
  return inside ? entry(x, n, c, h, w) : constant(trace, "padding");
}

function* convOut(place, [n, f, i, j]) {
  const { weight, bias } = place;
  const [, channels, KH, KW] = weight.shape;
  const first = Math.floor(f / groupSize(place)) * channels;
  for (const [c, u, v] of indices([channels, KH, KW]))
    yield [entry(weight, f, c, u, v), tap(place, n, first + c, i, j, u, v)];
  if (bias) yield [entry(bias, f)];
}

function* convWeight(place, [f, c, u, v]) {
  const { weight, y, dy } = place;
  const [N, , OH, OW] = y.shape;
  const first = Math.floor(f / groupSize(place)) * weight.shape[1];
  for (const [n, i, j] of indices([N, OH, OW])) yield [tap(place, n, first + c, i, j, u, v), entry(dy, n, f, i, j)];
}

function* convBias({ y, dy }, [f]) {
  const [N, , OH, OW] = y.shape;
  for (const [n, i, j] of indices([N, OH, OW])) yield [entry(dy, n, f, i, j)];
}

/** The filters that see channel `c`. */
function filtersOf(place, c) {
  const size = groupSize(place);
  const first = Math.floor(c / place.weight.shape[1]) * size;
  return Array.from({ length: size }, (_, k) => first + k);
}

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
  const { trace, weight, window, dy } = place;
  for (const f of filtersOf(place, c)) {
    for (const [a, b] of indices([window.KH, window.KW])) {
      const [u, v] = [window.KH - 1 - a, window.KW - 1 - b];
      const [i, rowGap] = divmod(h + window.PT - u * window.DH, window.SH);
      const [j, columnGap] = divmod(w + window.PL - v * window.DW, window.SW);
      const inside = i >= 0 && i < window.OH && j >= 0 && j < window.OW;
      const met = !inside ? constant(trace, "padding")
        : rowGap || columnGap ? constant(trace, "between strides") : entry(dy, n, f, i, j);
      yield [entry(weight, f, c % weight.shape[1], u, v), met];
    }
  }
}

// --- pooling ---

/** The rows and columns of the image that the window at (i, j) sees: [first, end) each. */
function span(window, i, j) {
  const [top, left] = [i * window.SH - window.PT, j * window.SW - window.PL];
  return {
    rows: [Math.max(top, 0), Math.min(top + window.KH, window.H)],
    columns: [Math.max(left, 0), Math.min(left + window.KW, window.W)],
  };
}

/** The windows (i, j) that see pixel (h, w), in row-major order. */
function* looking(window, h, w) {
  for (const [i, j] of indices([window.OH, window.OW])) {
    const { rows, columns } = span(window, i, j);
    if (h >= rows[0] && h < rows[1] && w >= columns[0] && w < columns[1]) yield [i, j];
  }
}

const winnerOf = ({ argmax, window }, n, c, i, j) => divmod(argmax.data[offset(argmax, [n, c, i, j])], window.W);

/** What one window saw: its output, its winner, who tied with it, every cell of it. */
function look(place, n, c, i, j) {
  const { x, y, window } = place;
  const winner = entry(x, n, c, ...winnerOf(place, n, c, i, j));
  const { rows, columns } = span(window, i, j);
  const seen = [];
  for (let h = rows[0]; h < rows[1]; h++) for (let w = columns[0]; w < columns[1]; w++) seen.push(entry(x, n, c, h, w));
  const tied = seen.filter((cell) => cell.at !== winner.at && factorOf(cell) === factorOf(winner));
  return { window: entry(y, n, c, i, j), winner, tied, seen };
}

function* maxOut(place, [n, c, i, j]) {
  yield [entry(place.x, n, c, ...winnerOf(place, n, c, i, j))];
}

function* maxDx(place, [n, c, h, w]) {
  for (const [i, j] of looking(place.window, h, w)) {
    const [row, column] = winnerOf(place, n, c, i, j);
    yield [entry(place.dy, n, c, i, j), constant(place.trace, row === h && column === w ? "won" : "lost")];
  }
}

/** The windows that had a say in an entry of a max pool's output or of the gradient to its input. */
function looksOf(trace, tensor, at) {
  const place = placeOf(trace, tensor);
  if (place?.layer.type !== "MaxPool2d" || !(tensor.own === "out" || tensor.own === "input" || tensor.own === "argmax")) return [];
  const [n, c, a, b] = unravel(tensor.shape, at);
  const windows = tensor.gradient ? looking(place.window, a, b) : [[a, b]];
  return Array.from(windows, ([i, j]) => look(place, n, c, i, j));
}

function* avgOut({ trace, x, window }, [n, c, i, j]) {
  const share = `1/${window.KH * window.KW}`;
  for (const [u, v] of indices([window.KH, window.KW]))
    yield [tap({ trace, window, x }, n, c, i, j, u, v), constant(trace, share)];
}

function* avgDx({ trace, dy, window }, [n, c, h, w]) {
  const share = `1/${window.KH * window.KW}`;
  for (const [i, j] of looking(window, h, w)) yield [entry(dy, n, c, i, j), constant(trace, share)];
}

// --- elementwise, flatten, linear ---

function* reluOut({ x, open }, index) {
  yield [entry(x, ...index), entry(open, ...index)];
}

function* reluDx({ dy, open }, index) {
  yield [entry(dy, ...index), entry(open, ...index)];
}

const dropped = (which) =>
  function* ({ trace, layer, kept, ...place }, index) {
    const given = entry(place[which], ...index);
    yield kept ? [given, entry(kept, ...index), constant(trace, layer.scale)] : [given];
  };

function* flattenOut({ x }, [n, k]) {
  yield [entry(x, n, ...unravel(x.shape.slice(1), k))];
}

function* flattenDx({ x, dy }, [n, ...index]) {
  yield [entry(dy, n, offset({ shape: x.shape.slice(1) }, index))];
}

function* linearOut({ weight, bias, x }, [n, k]) {
  for (let m = 0; m < weight.shape[1]; m++) yield [entry(weight, k, m), entry(x, n, m)];
  if (bias) yield [entry(bias, k)];
}

function* linearDx({ weight, dy }, [n, m]) {
  for (let k = 0; k < weight.shape[0]; k++) yield [entry(weight, k, m), entry(dy, n, k)];
}

function* linearWeight({ x, dy }, [k, m]) {
  for (let n = 0; n < x.shape[0]; n++) yield [entry(x, n, m), entry(dy, n, k)];
}

function* linearBias({ dy }, [k]) {
  for (let n = 0; n < dy.shape[0]; n++) yield [entry(dy, n, k)];
}

const OPERATIONS = {
  Conv2d: { out: { "": convOut }, dx: { scatter, correlation }, weight: { "": convWeight }, bias: { "": convBias } },
  MaxPool2d: { out: { "": maxOut }, dx: { "": maxDx } },
  AvgPool2d: { out: { "": avgOut }, dx: { "": avgDx } },
  ReLU: { out: { "": reluOut }, dx: { "": reluDx } },
  Dropout: { out: { "": dropped("x") }, dx: { "": dropped("dy") } },
  Flatten: { out: { "": flattenOut }, dx: { "": flattenDx } },
  Linear: { out: { "": linearOut }, dx: { "": linearDx }, weight: { "": linearWeight }, bias: { "": linearBias } },
};

// --- the loss ---

/** Where the largest number of row `n` stands, the first of equals. */
function largestOf({ data, shape }, n) {
  const row = data.subarray(n * shape[1], (n + 1) * shape[1]);
  return row.reduce((best, value, k) => (value > row[best] ? k : best), 0);
}

function* mean(trace, tensor, share) {
  for (let at = 0; at < tensor.data.length; at++) yield [{ tensor, at }, constant(trace, share)];
}

const isAbove0 = (source) => factorOf(source) > 0;

const BINARY = "binary_cross_entropy_with_logits";

const LOSS = {
  cross_entropy: {
    *shifted(trace, [n, k]) {
      yield [entry(trace.logits, n, k)];
      yield [constant(trace, "-1"), entry(trace.logits, n, largestOf(trace.logits, n))];
    },
    *exponentials(trace, index) {
      yield [through("exp", entry(trace.arrays.shifted, ...index))];
    },
    *sums({ arrays }, [n]) {
      for (let k = 0; k < arrays.exponentials.shape[1]; k++) yield [entry(arrays.exponentials, n, k)];
    },
    *probabilities({ arrays }, [n, k]) {
      yield [entry(arrays.exponentials, n, k), through("1/", entry(arrays.sums, n))];
    },
    *losses(trace, [n]) {
      const { sums, shifted, onehot } = trace.arrays;
      yield [through("log", entry(sums, n))];
      yield [constant(trace, "-1"), entry(shifted, n, largestOf(onehot, n))];
    },
    loss: (trace) => mean(trace, trace.arrays.losses, "1/N"),
  },
  [BINARY]: {
    *shifted(trace, index) {
      const logit = entry(trace.logits, ...index);
      yield isAbove0(logit) ? [constant(trace, "-1"), logit] : [logit];
    },
    *exponentials(trace, index) {
      yield [through("exp", entry(trace.arrays.shifted, ...index))];
    },
    *sums(trace, index) {
      yield [constant(trace, "1")];
      yield [entry(trace.arrays.exponentials, ...index)];
    },
    *probabilities({ arrays, logits }, index) {
      const share = through("1/", entry(arrays.sums, ...index));
      yield isAbove0(entry(logits, ...index)) ? [share] : [entry(arrays.exponentials, ...index), share];
    },
    *losses(trace, index) {
      const logit = entry(trace.logits, ...index);
      yield [through("log1p", entry(trace.arrays.exponentials, ...index))];
      if (isAbove0(logit)) yield [logit];
      yield [constant(trace, "-1"), entry(trace.arrays.target, ...index), logit];
    },
    loss: (trace) => mean(trace, trace.arrays.losses, "1/(N*K)"),
  },
  mse: {
    *error(trace, index) {
      yield [entry(trace.logits, ...index)];
      yield [constant(trace, "-1"), entry(trace.arrays.target, ...index)];
    },
    *loss(trace) {
      for (const [error, share] of mean(trace, trace.arrays.error, "1/(N*K)")) yield [error, error, share];
    },
  },
};

const LOSS_GRADIENT = {
  *cross_entropy({ trace }, index) {
    yield [entry(trace.arrays.probabilities, ...index), constant(trace, "1/N")];
    yield [constant(trace, "-1"), entry(trace.arrays.onehot, ...index), constant(trace, "1/N")];
  },
  *[BINARY]({ trace }, index) {
    yield [entry(trace.arrays.probabilities, ...index), constant(trace, "1/(N*K)")];
    yield [constant(trace, "-1"), entry(trace.arrays.target, ...index), constant(trace, "1/(N*K)")];
  },
  *mse({ trace }, index) {
    yield [entry(trace.arrays.error, ...index), constant(trace, "2/(N*K)")];
  },
};
