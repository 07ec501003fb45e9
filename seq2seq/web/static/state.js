// The state of the page, and its form in the fragment of the address. A fragment may hold anything: what does not
// fit is left out.

import { interventionText, readIntervention } from "./weights.js";

const LONGEST = 20_000;
/** Characters of a text or of a prefix that a fragment may bring. */
const GREATEST_PENALTY = 10;
const LONGEST_ROWS = 200_000;
/** Characters of the rows by hand of a model; a request may have little more. */
const MOST_ROWS = 1000;

/** What a newcomer sees: the first two models. */
export function initialState(models) {
  return {
    source: "",
    own: "",
    mode: "search",
    unit: "words",
    models: models.slice(0, 2).map((model) => model.name),
    beam: null, // null: as trained
    penalty: null,
    tree: true,
    intervention: null, // null: the weights of the models
    prefixes: new Map(), // by the model's name: the forced start, as subwords or as a text
    hands: new Map(), // by the model's name: rows of weights by hand, by the index of their subword
  };
}

/** The state as a fragment, without `#`. The server never sees it. */
export function toFragment(state, models) {
  const initial = initialState(models);
  const values = new URLSearchParams();
  if (state.source) values.set("source", state.source);
  if (state.own) values.set("own", state.own);
  if (state.mode !== initial.mode) values.set("mode", state.mode);
  if (state.unit !== initial.unit) values.set("unit", state.unit);
  if (state.models.join() !== initial.models.join()) for (const name of state.models) values.append("model", name);
  if (state.beam !== null) values.set("beam", state.beam);
  if (state.penalty !== null) values.set("penalty", state.penalty);
  if (!state.tree) values.set("tree", "no");
  if (state.intervention) values.set("weights", interventionText(state.intervention));
  for (const [name, prefix] of state.prefixes) values.append("prefix", JSON.stringify([name, prefix]));
  for (const [name, rows] of state.hands) values.append("hand", JSON.stringify([name, [...rows]]));
  return values.toString();
}

/** The state of a fragment. */
export function fromFragment(fragment, models, limits) {
  const state = initialState(models);
  const values = new URLSearchParams(fragment.replace(/^#/, ""));
  const names = new Set(models.map((model) => model.name));
  const chosen = [...new Set(values.getAll("model"))].filter((name) => names.has(name));
  if (chosen.length) state.models = models.map((model) => model.name).filter((name) => chosen.includes(name));
  state.source = (values.get("source") ?? "").slice(0, LONGEST);
  state.own = (values.get("own") ?? "").slice(0, LONGEST);
  if (values.get("mode") === "own") state.mode = "own";
  if (values.get("unit") === "subwords") state.unit = "subwords";
  if (values.get("tree") === "no") state.tree = false;
  state.beam = beamSize(values.get("beam"), limits);
  state.penalty = lengthPenalty(values.get("penalty"));
  state.intervention = readIntervention(values.get("weights"));
  for (const [name, prefix] of pairs(values, "prefix", LONGEST)) {
    if (names.has(name) && isPrefix(prefix)) state.prefixes.set(name, prefix);
  }
  for (const [name, rows] of pairs(values, "hand", LONGEST_ROWS)) {
    if (names.has(name) && Array.isArray(rows) && rows.length && rows.every(isRow))
      state.hands.set(name, new Map(rows));
  }
  return state;
}

/** A beam size within the server's limit, or null. */
export function beamSize(text, limits) {
  const size = Number(text);
  return text && Number.isInteger(size) && size >= 1 && size <= limits.beam_size ? size : null;
}

/** A length penalty, or null. */
export function lengthPenalty(text) {
  const penalty = Number(text);
  return text && Number.isFinite(penalty) && penalty >= 0 && penalty <= GREATEST_PENALTY ? penalty : null;
}

/** The values of a key that are pairs, as JSON. */
function pairs(values, key, longest) {
  const parsed = values.getAll(key).slice(0, 100).map((text) => {
    try {
      return JSON.parse(text.slice(0, longest));
    } catch {
      return null;
    }
  });
  return parsed.filter((pair) => Array.isArray(pair) && pair.length === 2);
}

const isPrefix = (value) =>
  value?.length > 0 &&
  (typeof value === "string" || (Array.isArray(value) && value.every((subword) => typeof subword === "string")));

const isRow = (value) =>
  Array.isArray(value) &&
  Number.isInteger(value[0]) &&
  value[0] >= 0 &&
  value[0] < MOST_ROWS &&
  Array.isArray(value[1]) &&
  value[1].every((weight) => weight >= 0 && Number.isFinite(weight));
