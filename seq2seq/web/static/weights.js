// The choice of attention weights for all models: those of the model, or an intervention (docs/interventions.md).

import { html } from "./elements.js";

const MOST_HEADS = 1024;
const OWN = "The weights that each model computes.";

/**
 * `key` is the server's name of the intervention's number, `initial` the number that it starts with. A number without
 * `title` has no field.
 */
const INTERVENTIONS = {
  uniform: { title: "Equal", explanation: "All subwords of the source, and its end, have the same weight." },
  permute: {
    title: "Permuted",
    explanation: "The model’s weights in random order, another order for each subword that it writes.",
    number: { key: "seed", initial: 1, min: 0, max: 1e6, step: 1 },
  },
  drop_greatest: {
    title: "Without the greatest",
    explanation: "The greatest weight becomes 0. The others grow in proportion.",
  },
  hard: {
    title: "Only the greatest",
    explanation: "The greatest weight of each head becomes 100 %. The others become 0.",
  },
  shift: {
    title: "Shifted",
    explanation: "Each weight moves by so many subwords towards the end of the source; below 0, towards its start.",
    number: { key: "shift", title: "Subwords", initial: 1, min: -1000, max: 1000, step: 1 },
  },
  head: {
    title: "One head",
    explanation:
      "One head, counted from 0, keeps its weights. Those of the others become 0. The pictures show the mean of all.",
    number: { key: "head", title: "Head", initial: 0, min: 0, max: MOST_HEADS - 1, step: 1 },
  },
  temperature: {
    title: "Temperature",
    explanation: "Above 1 the weights become more equal. Below 1 the greatest one grows.",
    number: { key: "temperature", title: "Temperature", initial: 2, min: 0.01, max: 100, step: "any" },
  },
};

/** The intervention as the server takes it. */
export function requestIntervene({ name, value }) {
  const { number } = INTERVENTIONS[name];
  return number ? { name, [number.key]: value } : { name };
}

/** An intervention as text, "shift:2". */
export const interventionText = ({ name, value }) => (value === null ? name : `${name}:${value}`);

/** The intervention that a text names, or null. */
export function readIntervention(text) {
  const [name, digits] = (text ?? "").split(":");
  if (!Object.hasOwn(INTERVENTIONS, name)) return null;
  const { number } = INTERVENTIONS[name];
  if (!number) return { name, value: null };
  const value = readNumber(digits, number);
  return value === null ? null : { name, value };
}

/** The intervention, where these models offer it. The number of a head is one of theirs. */
export function offered(intervention, models) {
  if (intervention?.name !== "head") return intervention;
  const heads = mostHeads(models);
  return heads > 1 ? { ...intervention, value: Math.min(intervention.value, heads - 1) } : null;
}

const mostHeads = (models) => Math.max(...models.map((model) => model.heads));

function readNumber(text, { min, max, step }) {
  const value = Number(text);
  const isPossible = text && value >= min && value <= max && (step === "any" || Number.isInteger(value));
  return isPossible ? value : null;
}

/** The field, the number of an intervention, and a sentence about it. `change` is called with another one, or null. */
export class WeightsControl {
  constructor(options, change) {
    this.explanation = options.firstElementChild;
    this.select = html("select", {
      id: "weights",
      "aria-describedby": this.explanation.id,
      change: () => change(initialIntervention(this.select.value)),
    });
    this.field = html("input", { id: "weights-number", type: "number", required: true });
    this.title = html("label", { for: "weights-number" });
    this.number = html("div", { class: "number" }, this.title, this.field);
    this.again = html(
      "button",
      { type: "button", class: "quiet", click: () => change({ name: "permute", value: this.intervention.value + 1 }) },
      "Another permutation",
    );
    const title = html("label", { for: "weights" }, "Attention weights");
    options.prepend(html("div", { class: "number" }, title, this.select), this.number, this.again);
  }

  /** Shows an intervention, or null for the model's weights, and what these models offer. */
  show(intervention, models) {
    this.intervention = intervention;
    const names = Object.keys(INTERVENTIONS).filter((name) => name !== "head" || mostHeads(models) > 1);
    if (names.length + 1 !== this.select.length)
      this.select.replaceChildren(
        ...["", ...names].map((name) => html("option", { value: name }, INTERVENTIONS[name]?.title ?? "The model’s")),
      );
    this.select.value = intervention?.name ?? "";
    const { explanation = OWN, number } = INTERVENTIONS[intervention?.name] ?? {};
    this.explanation.textContent = explanation;
    this.again.hidden = intervention?.name !== "permute";
    this.number.hidden = !number?.title;
    this.field.disabled = this.number.hidden; // so that it is always valid
    if (this.number.hidden) return;
    this.title.textContent = number.title;
    this.range = { ...number, max: intervention.name === "head" ? mostHeads(models) - 1 : number.max };
    for (const name of ["min", "max", "step"]) this.field[name] = this.range[name];
    if (document.activeElement !== this.field) this.field.value = intervention.value;
  }

  /** The change by a number that is possible and not shown yet; an empty field means the initial one. */
  entered() {
    if (this.field.disabled) return {};
    const value = this.field.value === "" ? this.range.initial : readNumber(this.field.value, this.range);
    return value === null || value === this.intervention.value ? {} : { intervention: { ...this.intervention, value } };
  }

  /** Which numbers the field takes, as a sentence. */
  rangeSentence() {
    const { title, min, max, step } = this.range;
    return `${title}: a ${step === "any" ? "" : "whole "}number from ${min} to ${max}.`.replace("-", "−");
  }
}

function initialIntervention(name) {
  return name ? { name, value: INTERVENTIONS[name].number?.initial ?? null } : null;
}
