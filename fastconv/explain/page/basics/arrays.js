// Places in arrays, which lie flat in row-major order.

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
