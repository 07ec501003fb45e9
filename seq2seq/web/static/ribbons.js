// Attention as ribbons from source units on the left to target units on the right.

import { css } from "./colours.js";
import { foreign, html, setTabStop, svg } from "./elements.js";
import { label } from "./view.js";
import { shortPercent } from "./sentences.js";

const THINNEST = 0.01;
/** Weights below are not drawn. */
const WIDTH = 100;
/** In units of the drawing, which is stretched to the space between the words. */

/** Pixels between two words, by how many there are. */
export const pitch = (count) => (count > 24 ? 24 : count > 10 ? 30 : 38);

/**
 * The outline of each ribbon, `{source, target, path}`. At the target its thickness is the weight. At the source,
 * where the weights may sum to more than 1, all ribbons are thinner by one factor.
 */
export function ribbonShapes(weights, count, height, width) {
  const targets = weights.length;
  const sums = Array.from({ length: count }, (_, s) => weights.reduce((sum, row) => sum + row[s], 0));
  const full = (slots, sum) => Math.min((height / slots) * 0.8, 24) / Math.max(1, sum);
  const atSource = full(count, Math.max(...sums));
  const atTarget = full(targets, 1);
  const sourceEdge = sums.map((sum, s) => ((s + 0.5) * height) / count - (sum * atSource) / 2);
  const shapes = [];
  weights.forEach((row, t) => {
    const sum = row.reduce((total, weight) => total + weight, 0);
    let right = ((t + 0.5) * height) / targets - (sum * atTarget) / 2;
    row.forEach((weight, s) => {
      const left = sourceEdge[s];
      const [leftEnd, rightEnd] = [left + weight * atSource, right + weight * atTarget];
      if (weight >= THINNEST)
        shapes.push({ source: s, target: t, path: outline(left, leftEnd, right, rightEnd, width) });
      sourceEdge[s] = leftEnd;
      right = rightEnd;
    });
  });
  return shapes;
}

function outline(left, leftEnd, right, rightEnd, width) {
  const [middle, f] = [width / 2, (value) => value.toFixed(2)];
  return (
    `M0 ${f(left)}C${middle} ${f(left)} ${middle} ${f(right)} ${width} ${f(right)}` +
    `V${f(rightEnd)}C${middle} ${f(rightEnd)} ${middle} ${f(leftEnd)} 0 ${f(leftEnd)}Z`
  );
}

/** The colour of a target unit: of the source units that it looks at, mixed by their weights. */
export function blend(row, colour) {
  const sum = row.reduce((total, weight) => total + weight, 0) || 1;
  const mixed = [0, 0, 0];
  row.forEach((weight, s) => colour(s).forEach((value, channel) => (mixed[channel] += (value * weight) / sum)));
  return mixed.map(Math.round);
}

/** The picture in the page. `highlight({source, target})` shows the ribbons of a unit, or one ribbon. */
export class Ribbons {
  constructor() {
    this.element = html("div", { class: "ribbons" });
    this.element.addEventListener("keydown", (event) => this.move(event));
  }

  show(view, colour, languages) {
    this.view = view;
    const height =
      Math.max(view.source.length, view.target.length) * pitch(Math.max(view.source.length, view.target.length));
    this.sources = view.source.map((word, s) => unit(word, languages[0], { "data-source": s }, css(colour(s))));
    this.targets = view.target.map((word, t) =>
      unit(
        word,
        languages[1],
        { "data-target": t, "data-menu": "", "aria-haspopup": "dialog", class: view.byHand[t] ? "by-hand" : null },
        css(blend(view.weights[t], colour)),
      ),
    );
    this.shapes = ribbonShapes(view.weights, view.source.length, height, WIDTH).map(({ source, target, path }) => {
      const shape = svg("path", { d: path, fill: css(colour(source)), "data-source": source, "data-target": target });
      return { source, target, shape };
    });
    const drawing = svg("svg", {
      viewBox: `0 0 ${WIDTH} ${height}`,
      preserveAspectRatio: "none",
      "aria-hidden": "true",
    });
    drawing.append(...this.shapes.map(({ shape }) => shape));
    const column = (side, name, units) =>
      html("div", { class: side, role: "group", "aria-label": name }, ...units.map(({ element }) => element));
    this.element.classList.toggle("few", this.shapes.length < 300); // moving more of them is slow
    this.element.style.height = `${height}px`;
    this.element.replaceChildren(
      column("from", "Source, up and down arrows move", this.sources),
      drawing,
      column("to", "Translation, up and down arrows move", this.targets),
    );
    for (const units of [this.sources, this.targets]) setTabStop(buttons(units), units[0]?.button);
  }

  highlight({ source, target }) {
    const active = source !== null || target !== null;
    this.element.classList.toggle("active", active);
    for (const ribbon of this.shapes) {
      const lit =
        active && (source ?? ribbon.source) === ribbon.source && (target ?? ribbon.target) === ribbon.target;
      ribbon.shape.classList.toggle("lit", lit);
    }
    const { weights } = this.view;
    const isRow = (s) => target !== null && (source ?? s) === s;
    const isColumn = (t) => source !== null && (target ?? t) === t;
    this.sources.forEach((unit, s) => mark(unit, s === source, isRow(s) ? weights[target][s] : null, active));
    this.targets.forEach((unit, t) =>
      mark(unit, t === target, isColumn(t) && target === null ? weights[t][source] : null, active),
    );
  }

  /** Arrow keys: up and down within a side, left and right to the other side's unit with the greatest weight. */
  move(event) {
    const { source, target } = event.target.dataset;
    const step = { ArrowUp: -1, ArrowDown: 1, Home: -Infinity, End: Infinity }[event.key];
    const across = { ArrowLeft: target, ArrowRight: source }[event.key];
    if (step === undefined && across === undefined) return;
    event.preventDefault();
    const side = (target === undefined) === (step !== undefined) ? this.sources : this.targets;
    const weights = target === undefined ? this.view.weights.map((row) => row[source]) : this.view.weights[target];
    const index = step === undefined ? weights.indexOf(Math.max(...weights)) : Number(source ?? target) + step;
    const next = side[Math.min(Math.max(index, 0), side.length - 1)].button;
    setTabStop(buttons(side), next);
    next.focus();
  }
}

const buttons = (units) => units.map(({ button }) => button);

function unit(word, language, attributes, colour) {
  const button = html("button", { type: "button", title: word, ...attributes }, foreign(label(word), language));
  const share = html("span", { class: "share", "aria-hidden": "true" });
  const bar = html("i", {});
  bar.style.background = colour;
  return { button, share, element: html("div", {}, button, bar, share) };
}

function mark({ element, share }, isActive, weight, active) {
  const visible = weight !== null && weight >= THINNEST;
  element.classList.toggle("lit", isActive);
  element.classList.toggle("faded", active && !isActive && !visible);
  share.textContent = visible ? shortPercent(weight) : "";
}
