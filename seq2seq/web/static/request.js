// What a panel asks the server.

import { requestRows } from "./hand.js";
import { requestIntervene } from "./weights.js";

const CANDIDATES = 8;
/** Subwords in the menu of a word. */

/** The body of POST /attend for a state, or null where a text is missing. */
export function attendRequest(model, state) {
  const request = { model: model.name, source: oneLine(state.source), candidates: CANDIDATES };
  if (!request.source) return null;
  if (state.penalty !== null) request.length_penalty = state.penalty;
  if (state.intervention !== null) request.intervene = requestIntervene(state.intervention);
  const rows = state.hands.get(model.name);
  if (rows) request.attention = requestRows(rows);
  if (state.mode === "own") {
    const target = oneLine(state.own);
    return target ? { ...request, target } : null;
  }
  if (state.beam !== null) request.beam_size = state.beam;
  const prefix = state.prefixes.get(model.name);
  if (prefix) request.prefix = prefix;
  return { ...request, tree: state.tree };
}

/** Why a model cannot be asked, as a sentence, or null. */
export function obstacle({ heads }, { mode, own, intervention }) {
  if (mode === "own" && !oneLine(own)) return "Type a translation of your own above.";
  if (intervention?.name !== "head") return null;
  if (heads === 1) return "The attention of this model has one head.";
  return intervention.value < heads ? null : `The heads of this model are 0 to ${heads - 1}.`;
}

/** The chosen beam size, or that of the model's training. */
export const beamSizeOf = (model, state) => state.beam ?? model.beam_size;

/** A text as one line: what the models read. */
const oneLine = (text) => text.replace(/\s+/g, " ").trim();
