// The steps of the page: forward through the layers to the loss, and back.

const WORDS = {
  Conv2d: {
    title: "Convolution",
    forward: "Lay the kernel over one patch of the image, multiply number by number, add everything up, add the bias: one number of the feature map. Then move on. For the whole image at once this is one matrix product on patches, which im2col gathers.",
    backward: "A weight met one pixel at every position. Its gradient adds, over all positions and samples, the pixel it met times the gradient of the output it fed. The bias adds those gradients alone. A pixel lay under several windows, so it collects from each of them: col2im adds. Read from the pixel's side the same sum is a full correlation with the kernel rotated by 180 degrees.",
    codes: ["y = w · im2col(x) + b", "dw = dy · im2col(x)ᵀ,  db = dy.sum(),  dx = col2im(wᵀ · dy)"],
  },
  ReLU: {
    title: "ReLU",
    forward: "What is above zero passes, everything else becomes zero. The gate's state is kept for the way back.",
    backward: "The gradient passes where the gate was open and stops where it was shut. At exactly zero it was shut.",
    codes: ["y = x * (x > 0)", "dx = dy * (x > 0)"],
  },
  MaxPool2d: {
    title: "Max pool",
    forward: "Each window keeps its largest number and remembers where it stood: row × width + column. In a tie the first in reading order wins. Winners carry a dot.",
    backward: "The winner of a window takes the window's whole gradient, the others get nothing. In a tie only the first takes it. Where windows overlap, one that won several adds them up.",
    codes: ["y, argmax = x[window].max(), x[window].argmax()", "dx[argmax] += dy"],
  },
  AvgPool2d: {
    title: "Average pool",
    forward: "Each window keeps the mean of what it sees; padding counts as zeros.",
    backward: "Every member of a window takes an equal share of its gradient. Where windows overlap, the shares add up.",
    codes: ["y = x[window].mean()", "dx[window] += dy / window.size"],
  },
  Dropout: {
    title: "Dropout",
    forward: "Some units are switched off for this step; those that stay are scaled up to make up for it.",
    backward: "The same mask and the same scale: a unit that was off gets no gradient.",
    codes: ["y = x * kept / (1 - p)", "dx = dy * kept / (1 - p)"],
  },
  Flatten: {
    title: "Flatten",
    forward: "The same numbers in one row: channel by channel, row by row.",
    backward: "The gradients go back to the places their numbers came from, in the same order.",
    codes: ["y = x.reshape(N, -1)", "dx = dy.reshape(x.shape)"],
  },
  Linear: {
    title: "Fully connected",
    forward: "Each output is a weighted sum of all inputs, and its bias.",
    backward: "A weight joined one input to one output: its gradient is that input times that output's gradient, added over the samples. An input fed every output: it adds weight times gradient over all of them, which is the transposed weights at work.",
    codes: ["y = x · wᵀ + b", "dw = dyᵀ · x,  db = dy.sum(axis=0),  dx = dy · w"],
  },
};

const LOSS_STEPS = {
  cross_entropy: {
    forward: [
      {
        title: "Softmax",
        words: "Subtract the largest logit, so that nothing overflows; take exponentials; divide by their sum. Out come probabilities.",
        code: "p = exp(y - y.max()) / exp(y - y.max()).sum()",
        from: [], to: ["shifted", "exponentials", "sums", "probabilities"], logits: true,
      },
      {
        title: "Cross-entropy",
        words: "Minus the logarithm of the probability that the right class was given, as a mean over the samples. The logarithm of the sum less the label's shifted logit is the same, and never overflows.",
        code: "loss = (log(sums) - shifted[label]).mean()",
        from: ["probabilities", "onehot", "shifted", "sums"], to: ["losses", "loss"],
      },
    ],
    backward: {
      title: "Back to the logits",
      words: "Softmax and cross-entropy together have the plainest of gradients: what was said less what should have been said, probability minus one-hot, divided by the number of samples.",
      code: "dy = (p - onehot) / N",
      from: ["probabilities", "onehot"],
    },
  },
  binary_cross_entropy_with_logits: {
    forward: [
      {
        title: "Sigmoid",
        words: "Each output is a yes or no of its own: a softmax over its logit and 0. The larger of the two is subtracted, so that nothing overflows. Out come probabilities, which need not add up to 1.",
        code: "e = exp(-abs(y));  p = where(y > 0, 1, e) / (1 + e)",
        from: [], to: ["shifted", "exponentials", "sums", "probabilities"], logits: true,
      },
      {
        title: "Cross-entropy",
        words: "Minus the logarithm of the probability that the right answer was given, as a mean over samples and outputs.",
        code: "loss = (log1p(e) + maximum(y, 0) - target * y).mean()",
        from: ["exponentials", "target"], to: ["losses", "loss"], logits: true,
      },
    ],
    backward: {
      title: "Back to the logits",
      words: "As with softmax: what was said less what should have been said, divided by what the mean was taken over.",
      code: "dy = (p - target) / y.size",
      from: ["probabilities", "target"],
    },
  },
  mse: {
    forward: [
      {
        title: "Squared error",
        words: "The difference from the target, squared, as a mean over samples and outputs.",
        code: "loss = ((y - target) ** 2).mean()",
        from: ["target"], to: ["error", "loss"], logits: true,
      },
    ],
    backward: {
      title: "Back to the output",
      words: "A square's slope is twice what is squared: twice the error, divided by what the mean was taken over.",
      code: "dy = 2 * (y - target) / y.size",
      from: ["error"],
    },
  },
};

/** -> steps in order: { title, words, code, lane, column, from: tensors, to: tensors } */
function makeSteps(trace) {
  const { arrays, places } = trace;
  const named = (names) => names.map((name) => arrays[name]).filter(Boolean);
  const last = places.length - 1;
  const { forward, backward } = LOSS_STEPS[trace.loss];
  const ends = ["onehot", "target"].filter((name) => arrays[name]);
  const input = {
    title: "Input", words: "The image, and what the network should say about it.", code: "x, labels",
    from: [], to: named(["input", ...ends]), lane: "forward", column: 0,
  };
  const layers = places.map((place) => layerStep(place, 0));
  const loss = forward.map((step, k) => ({
    ...step, from: named([...(step.logits ? [`${last}.out`] : []), ...step.from]), to: named(step.to), lane: "forward", column: last + 2 + k,
  }));
  const turn = { ...backward, from: named(backward.from), to: named([`d ${last}.out`]), lane: "backward", column: last + 2 };
  return [input, ...layers, ...loss, turn, ...places.map((place) => layerStep(place, 1)).reverse()];
}

function layerStep(place, back) {
  const { layer, index, x, y, dx, dy, weight, bias, open, kept, argmax, trace } = place;
  const words = WORDS[layer.type];
  const shared = { title: words.title, code: words.codes[back], column: index + 1, detail: detailOf(layer), place };
  const only = (...tensors) => tensors.filter(Boolean);
  if (!back) return { ...shared, words: words.forward, lane: "forward", from: only(x, weight, bias), to: only(open, kept, argmax, y) };
  const gradient = (name) => trace.arrays[`d ${index}.${name}`];
  const needed = weight || layer.type === "MaxPool2d" ? x : undefined;
  return {
    ...shared, words: words.backward, lane: "backward",
    from: only(dy, needed, weight, open, kept, argmax), to: only(gradient("weight"), gradient("bias"), dx),
  };
}

/** "2 × 2, stride 2": what of a layer is not plain. */
function detailOf({ window, groups, p }) {
  if (p !== undefined) return `p = ${p}`;
  if (!window) return "";
  const two = (a, b) => (a === b ? `${a}` : `${a} × ${b}`);
  const { KH, KW, SH, SW, DH, DW, PT, PB, PL, PR } = window;
  const padding = PT === PB && PL === PR ? two(PT, PL) : `${PT} ${PB} ${PL} ${PR}`;
  return [
    `${KH} × ${KW}`,
    SH > 1 || SW > 1 ? `stride ${two(SH, SW)}` : "",
    PT || PB || PL || PR ? `padding ${padding}` : "",
    DH > 1 || DW > 1 ? `dilation ${two(DH, DW)}` : "",
    groups > 1 ? `${groups} groups` : "",
  ].filter(Boolean).join(", ");
}

/** What an array is, in a reader's words. */
function plainName(trace, { gradient, layer, own, name }) {
  if (gradient && own !== "loss") return `gradient of the ${plainName(trace, trace.arrays[name.slice(2)])}`;
  const type = trace.layers[layer]?.type;
  const words = {
    input: "image", bias: "bias", weight: type === "Conv2d" ? "kernel" : "weights", argmax: "winners", open: "open gates", kept: "kept units",
    onehot: "label, one-hot", target: "target", shifted: "shifted logits", exponentials: "exponentials", sums: "sums",
    probabilities: "probabilities", losses: "losses", loss: gradient ? "gradient of the loss" : "loss", error: "error",
    out: layer === trace.layers.length - 1 ? (trace.loss === "mse" ? "output" : "logits") : {
      Conv2d: "feature map", ReLU: "ReLU's output", MaxPool2d: "pooled map", AvgPool2d: "pooled map", Dropout: "thinned units",
      Flatten: "flat row", Linear: "hidden units",
    }[type],
  };
  return words[own];
}
