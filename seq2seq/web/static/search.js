// The tree of a search, and why each node of it was kept or not.

import { number, percent, quote } from "./sentences.js";
import { isEnd, textOf } from "./view.js";

/**
 * `depth[id]` is the step of a node; the root is at 0. `steps[step]` are the ids of a step, ordered by rank. `results`
 * are the last nodes of the translations, best score first and those that the length limit cut last. `best` is that of
 * the answer, or null.
 */
export function readSearch(nodes, { beamSize, lengthPenalty }) {
  const depth = [];
  const steps = [];
  nodes.forEach(({ parent }, id) => {
    depth[id] = parent === null ? 0 : depth[parent] + 1;
    (steps[depth[id]] ??= []).push(id);
  });
  for (const step of steps)
    step.sort((one, other) => nodes[one].rank - nodes[other].rank || nodes[other].total - nodes[one].total);
  const results = nodes.map((_, id) => id).filter((id) => nodes[id].score !== null);
  const isCut = (id) => nodes[id].status === "cut";
  results.sort((one, other) => isCut(one) - isCut(other) || nodes[other].score - nodes[one].score);
  const best = nodes.findIndex((node) => node.hypothesis === 1);
  return { nodes, depth, steps, results, best: best < 0 ? null : best, beamSize, lengthPenalty };
}

/** The text of the path to a node. */
export const pathText = (nodes, id) =>
  textOf(
    path(nodes, id)
      .slice(1)
      .map((one) => nodes[one].subword),
  );

/** The ids from the root to a node. */
export function path(nodes, id) {
  const ids = [];
  for (let one = id; one !== null; one = nodes[one].parent) ids.unshift(one);
  return ids;
}

/** What a node is, and why it stayed or went. */
export function explain(search, id) {
  const { nodes, depth, steps } = search;
  const node = nodes[id];
  if (id === 0) return "The search starts here, before the first word.";
  const end = isEnd(node.subword) ? ", end" : "";
  const step = steps[depth[id]];
  const start =
    `${quote(pathText(nodes, id))}${end}: rank ${node.rank} of the ${step.length} shown at step ${depth[id]}, ` +
    `log-probability ${number(node.total)}; the last part alone has ${percent(Math.exp(node.log_probability), 1)}.`;
  return `${start} ${reason(search, id, step)}`;
}

function reason(search, id, step) {
  const { nodes, beamSize } = search;
  const node = nodes[id];
  switch (node.status) {
    case "kept":
      return step.length === 1
        ? "Kept: the only continuation."
        : `Kept: one of the best that the beam of ${beamSize} continues.`;
    case "dropped":
      return dropped(nodes, node, step, beamSize);
    case "ended":
      return `Complete: ${score(search, id)}`;
    case "cut":
      return `Cut: the translation reached the greatest length. ${score(search, id)}`;
    default:
      return "Left unfinished: the search had found what it needs when it came to this.";
  }
}

function dropped(nodes, node, step, beamSize) {
  const kept = step.filter((id) => nodes[id].status !== "dropped").map((id) => nodes[id].total);
  const distance = kept.length ? Math.min(...kept) - node.total : 0;
  const last = distance > 0 ? `; it is ${number(distance)} below the last of them` : "";
  return `Dropped: better continuations fill the beam of ${beamSize}${last}.`;
}

function score({ nodes, depth, best, results, lengthPenalty }, id) {
  const node = nodes[id];
  if (node.score === null) return "";
  // The search of the server may have another form of the length penalty, or a coverage penalty.
  const isPower = Math.abs(node.total / depth[id] ** lengthPenalty - node.score) < 0.001;
  const formula = isPower ? ` = ${number(node.total)} / ${depth[id]}^${lengthPenalty}` : "";
  const computed = `score ${number(node.score)}${formula}.`;
  if (id === best) return `${computed} The best translation.`;
  const distance = best === null ? -1 : nodes[best].score - node.score; // a translation that was cut may score better
  const below = distance < 0 ? "" : ` ${number(distance)} below the best.`;
  return `${computed}${below} Number ${results.indexOf(id) + 1} of ${results.length}.`;
}
