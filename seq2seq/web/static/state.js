// The state of the page, and its form in the fragment of the address. A fragment may hold anything: what does not
// fit is left out.

const LONGEST = 20_000;
/** Characters of a text or of a prefix that a fragment may bring. */
const GREATEST_PENALTY = 10;

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
    prefixes: new Map(), // by the model's name: the forced start, as subwords or as a text
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
  for (const [name, prefix] of state.prefixes) values.append("prefix", JSON.stringify([name, prefix]));
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
  for (const text of values.getAll("prefix").slice(0, 100)) {
    const [name, prefix] = parsePrefix(text);
    if (names.has(name) && prefix?.length) state.prefixes.set(name, prefix);
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

function parsePrefix(text) {
  try {
    const [name, prefix] = JSON.parse(text.slice(0, LONGEST));
    if (typeof prefix === "string") return [name, prefix];
    if (Array.isArray(prefix) && prefix.every((subword) => typeof subword === "string")) return [name, prefix];
  } catch {
    // no prefix
  }
  return [null, null];
}
