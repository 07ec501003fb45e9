// Numbers and weights in words, for the line under the pictures and for screen readers.

const LEAST = 0.05;
/** Weights below are counted, not listed. */

/** "82 %", or "<1 %" where there is little space. */
export const shortPercent = (value) => (value > 0 && value < 0.005 ? "<1 %" : `${Math.round(value * 100)} %`);

/** "−3.21": a number with two digits and a minus sign. */
export const number = (value) => value.toFixed(2).replace("-", "−");

/** "82 %". A weight or probability that is not 0 is never shown as 0. */
export function percent(value, digits = 0) {
  const least = 10 ** -digits;
  if (value > 0 && value * 100 < least / 2) return `under ${least} %`;
  return `${(value * 100).toFixed(digits)} %`;
}

/** A word in quotation marks, isolated from the direction of what stands around it. */
export const quote = (word) => `“\u2068${word}\u2069”`;

/** Where a target unit looks. */
export function targetSentence(view, t) {
  const [listed, others] = strongest(view.weights[t], view.source);
  const looks = listed.length ? `looks at ${listed.join(", ")}` : "looks everywhere a little";
  const end = view.end[t] >= LEAST ? `; the end of the source has ${percent(view.end[t])}` : "";
  const rest = (others ? `; ${others} more under ${percent(LEAST)}` : "") + end;
  const marks = (view.forced[t] ? ", forced" : "") + (view.byHand[t] ? ", weights by hand" : "");
  return `${quote(view.target[t])} (probability ${percent(view.probabilities[t], 1)}${marks}) ${looks}${rest}.`;
}

/** Which target units look at a source unit. */
export function sourceSentence(view, s) {
  const [listed] = strongest(
    view.weights.map((row) => row[s]),
    view.target,
  );
  if (!listed.length) return `No word looks at ${quote(view.source[s])} with ${percent(LEAST)} or more.`;
  return `${quote(view.source[s])} is looked at by ${listed.join(", ")}.`;
}

/** One weight. */
export const cellSentence = (view, t, s) =>
  `${quote(view.target[t])} looks at ${quote(view.source[s])} with ${percent(view.weights[t][s], 1)} of its attention` +
  `${view.byHand[t] ? ", by hand" : ""}.`;

/** The source unit with the greatest weight, or the target unit: by its index. */
export const greatest = (weights) =>
  weights.reduce((best, weight, index) => (weight > weights[best] ? index : best), 0);

function strongest(weights, units) {
  const order = weights.map((_, index) => index).filter((index) => weights[index] >= LEAST);
  order.sort((one, other) => weights[other] - weights[one]);
  const listed = order.slice(0, 6).map((index) => `${quote(units[index])} ${percent(weights[index])}`);
  return [listed, weights.filter((weight) => weight >= 0.005).length - listed.length];
}
