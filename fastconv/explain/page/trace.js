// The trace as the browser holds it: every array by name, in the order of computation, and how to compute them again.

/** The data that Python embedded -> a trace. */
function makeTrace(data) {
  const Numbers = data.dtype === "float32" ? Float32Array : Float64Array;
  const trace = { layers: data.layers, loss: data.loss, constants: data.constants, arrays: {} };
  for (const { name, shape, values, latex, equation } of data.arrays)
    trace.arrays[name] = { name, shape, data: Numbers.from(values, Number), latex, equation, ...parts(name) };
  trace.logits = trace.arrays[`${data.layers.length - 1}.out`];
  trace.places = data.layers.map((_, index) => makePlace(trace, index));
  trace.trace = trace; // so that the loss's rules find it as a layer's rules do
  return trace;
}

/** "d 4.weight" -> { gradient: true, layer: 4, own: "weight" }; the input counts as the output of layer -1. */
function parts(name) {
  const gradient = name.startsWith("d ");
  const bare = gradient ? name.slice(2) : name;
  const [number, own] = bare.split(".");
  if (own) return { gradient, layer: Number(number), own };
  return { gradient, layer: bare === "input" ? -1 : undefined, own: bare };
}

/** One layer, and the arrays around it under the names that its rules use. */
function makePlace(trace, index) {
  const find = (name) => trace.arrays[name];
  const below = index ? `${index - 1}.out` : "input";
  const own = (name) => find(`${index}.${name}`);
  return {
    trace, index, layer: trace.layers[index], window: trace.layers[index].window,
    x: find(below), y: own("out"), dx: find(`d ${below}`), dy: find(`d ${index}.out`),
    weight: own("weight"), bias: own("bias"), open: own("open"), kept: own("kept"), argmax: own("argmax"),
  };
}

/** Every number anew, each as the sum of its terms; what is given stays. */
function recompute(trace) {
  for (const tensor of Object.values(trace.arrays)) {
    const place = placeOf(trace, tensor);
    if (tensor.own === "open") tensor.data.set(place.x.data.map((value) => (value > 0 ? 1 : 0)));
    else if (tensor.own === "argmax") chooseWinners(place);
    else sumTerms(trace, tensor, place ?? trace);
  }
}

function sumTerms(trace, tensor, place) {
  const rule = isGiven(tensor) ? undefined : Object.values(readingsOf(trace, tensor))[0];
  if (!rule) return;
  let at = 0;
  for (const index of indices(tensor.shape)) {
    let sum = 0;
    for (const sources of rule(place, index)) sum += termValue(sources);
    tensor.data[at++] = sum;
  }
}

const isParameter = ({ gradient, own }) => !gradient && (own === "weight" || own === "bias");
const isGiven = (tensor) => isParameter(tensor) || ["input", "onehot", "target", "kept"].includes(tensor.name) || tensor.own === "kept";

/** The first largest of each window, or its last NaN. */
function chooseWinners({ argmax, x, window }) {
  let out = 0;
  for (const [n, c, i, j] of indices(argmax.shape)) {
    const { rows, columns } = span(window, i, j);
    const plane = offset(x, [n, c, 0, 0]);
    let winner = rows[0] * window.W + columns[0];
    for (let h = rows[0]; h < rows[1]; h++) {
      for (let w = columns[0]; w < columns[1]; w++) {
        const value = x.data[plane + h * window.W + w];
        if (value > x.data[plane + winner] || Number.isNaN(value)) winner = h * window.W + w;
      }
    }
    argmax.data[out++] = winner;
  }
}

// --- places in arrays ---

/** Row-major position of an index. */
function offset({ shape }, index) {
  let at = 0;
  for (let axis = 0; axis < shape.length; axis++) at = at * shape[axis] + index[axis];
  return at;
}

function unravel(shape, at) {
  const index = new Array(shape.length);
  for (let axis = shape.length - 1; axis >= 0; axis--) [at, index[axis]] = divmod(at, shape[axis]);
  return index;
}

/** Every index of a shape in row-major order. */
function* indices(shape) {
  const size = shape.reduce((product, length) => product * length, 1);
  const index = new Array(shape.length).fill(0);
  for (let count = 0; count < size; count++) {
    yield index.slice();
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--) index[axis] = 0;
  }
}

/** As Python's: the quotient rounded down, the remainder not negative. */
function divmod(a, b) {
  const quotient = Math.floor(a / b);
  return [quotient, a - quotient * b];
}
