// What the pictures show of an answer: the units of source and target, which are words or subwords, and the weights
// between them.

const END = "</s>";

/**
 * `source` and `target` are units as text. `weights[t][s]` is the weight of target unit t on source unit s. `end[t]` is
 * that on the end of the source, where it is no unit.
 * `probabilities[t]` is that of the unit after the source and all units before it. `subwords[t]` are the indices of its
 * subwords, `first[t]` is the first one. `spaced[t]` says whether a space stands before it, `forced[t]` whether it
 * belongs to the forced start, `byHand[t]` whether one of its rows is by hand.
 */
export function viewOf(answer, unit, { prefix = null, attention = [] }) {
  const logs = answer.token_log_probabilities;
  const forced = forcedSubwords(answer, prefix);
  const size = (unit === "subwords" ? answer.target_subwords : answer.target_words).length;
  const subwords = Array.from({ length: size }, (_, index) =>
    subwordsOf(answer.target_word_of_subword, unit, index),
  );
  const byHand = subwords.map((indices) => indices.some((index) => attention[index]));
  if (unit === "subwords") {
    const target = answer.target_subwords;
    return {
      source: answer.source_subwords,
      target,
      weights: answer.subword_attention,
      end: target.map(() => 0), // it is one of the source subwords
      probabilities: target.map((_, index) => Math.exp(logs[index] ?? 0)),
      first: target.map((_, index) => index),
      spaced: target.map((subword) => subword.startsWith("▁") || subword === END),
      forced: target.map((_, index) => index < forced),
      subwords,
      byHand,
    };
  }
  const words = answer.target_words;
  const first = subwords.map(([index]) => index ?? 0);
  return {
    source: answer.source_words,
    target: words,
    weights: answer.attention,
    end: subwords.map((indices) => mean(indices.map((index) => answer.subword_attention[index].at(-1)))),
    probabilities: subwords.map((indices) => Math.exp(indices.reduce((sum, index) => sum + (logs[index] ?? 0), 0))),
    first,
    spaced: first.map((index) => answer.target_subwords[index]?.startsWith("▁") ?? true),
    forced: first.map((index) => index < forced),
    subwords,
    byHand,
  };
}

/** The indices of a unit's subwords. `words` has the index of the word of each subword. */
export const subwordsOf = (words, unit, index) =>
  unit === "subwords" ? [index] : words.flatMap((word, subword) => (word === index ? [subword] : []));

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);

/** Subwords as text: `▁` is a space. */
export const textOf = (subwords) =>
  subwords
    .filter((subword) => subword !== END)
    .join("")
    .replaceAll("▁", " ")
    .trimStart();

/** A subword as it is shown. */
export const label = (subword) => (subword === END ? "end" : subword);

export const isEnd = (subword) => subword === END;

/** How many subwords of the target are the forced start. */
function forcedSubwords(answer, prefix) {
  if (prefix === null) return 0;
  if (Array.isArray(prefix)) return prefix.length;
  const { length } = prefix.trim();
  const subwords = answer.target_subwords;
  let count = 0;
  while (count < subwords.length && textOf(subwords.slice(0, count)).length < length) count += 1;
  return count;
}
