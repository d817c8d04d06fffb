// Places in arrays, which lie flat in row-major order, and their names.

/** Row-major position of an index. */
export function offset({ shape }, index) {
  let at = 0;
  for (let axis = 0; axis < shape.length; axis++) at = at * shape[axis] + index[axis];
  return at;
}

/** The index at a row-major position. */
export function unravel(shape, at) {
  const index = new Array(shape.length);
  let rest = at;
  for (let axis = shape.length - 1; axis >= 0; axis--) [rest, index[axis]] = divmod(rest, shape[axis]);
  return index;
}

/** Every index of a shape in row-major order. */
export function* indices(shape) {
  const size = shape.reduce((product, length) => product * length, 1);
  const index = new Array(shape.length).fill(0);
  for (let count = 0; count < size; count++) {
    yield index.slice();
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--) index[axis] = 0;
  }
}

/** As Python's: the quotient rounded down, the remainder not negative. */
export function divmod(a, b) {
  const quotient = Math.floor(a / b);
  return [quotient, a - quotient * b];
}

/** "d 4.weight" -> { gradient: true, layer: 4, own: "weight" }; the input counts as the output of layer -1. */
export function parseName(name) {
  const gradient = name.startsWith("d ");
  const bare = gradient ? name.slice(2) : name;
  const [number, own] = bare.split(".");
  if (own) return { gradient, layer: Number(number), own };
  return { gradient, layer: bare === "input" ? -1 : undefined, own: bare };
}

/** "0.out[1,0,2,3]" */
export function entryName(tensor, at) {
  return tensor.shape.length ? `${tensor.name}[${unravel(tensor.shape, at)}]` : tensor.name;
}
