// Beam search as a tree: a column for each step, the continuations of a step ordered by rank.

import { foreign, html, setTabStop, svg } from "./elements.js";
import { explain, path, pathText } from "./search.js";
import { number, shortPercent } from "./sentences.js";
import { label } from "./view.js";

const [COLUMN, ROW, BOX, TOP] = [134, 30, 112, 24];
/** Pixels: from step to step, from rank to rank, the width of a box, the height of the steps' numbers. */
const LISTED = 5;
/** Complete translations under the tree. */
const NAMES = {
  kept: "kept",
  ended: "complete",
  dropped: "dropped",
  cut: "cut at the length limit",
  open: "left unfinished",
};

/** `say` is called with the sentence about the node that has the focus or is under the mouse. */
export class BeamTree {
  constructor(say) {
    this.say = say;
    this.tree = html("div", { class: "tree", keydown: (event) => this.move(event) });
    this.scroll = html(
      "div",
      { class: "scroll", role: "group", "aria-label": "Beam search, arrow keys move between steps and ranks" },
      this.tree,
    );
    this.results = html("ol", { class: "results" });
    this.legend = html("p", { class: "key" });
    this.element = html("div", {}, this.scroll, this.legend, this.results);
    this.tree.addEventListener("pointerover", (event) => this.point(event.target.closest("button")));
    this.tree.addEventListener("pointerleave", () => this.point(null));
    this.tree.addEventListener("focusin", (event) => this.point(event.target));
    this.tree.addEventListener("focusout", () => this.point(null));
  }

  /** `search` is the tree as `search.js` reads it. */
  show(search, language) {
    this.search = search;
    const depth = search.steps.length;
    const ranks = Math.max(...search.steps.map((step) => step.length));
    const [width, height] = [(depth - 1) * COLUMN + BOX, TOP + ranks * ROW];
    const onBest = new Set(search.best === null ? [] : path(search.nodes, search.best));
    this.edges = new Map();
    this.buttons = new Map();
    const numbers = search.steps.map((_, step) =>
      at(html("span", { class: "step" }, step ? String(step) : ""), step * COLUMN, 0),
    );
    search.steps.forEach((step, index) =>
      step.forEach((id, row) => this.buttons.set(id, this.box(id, index, row, onBest, language))),
    );
    for (const [id, button] of this.buttons) this.edge(id, button, onBest);
    const drawing = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    drawing.append(...[...this.edges.values()].sort((one, other) => one.classList.length - other.classList.length));
    this.tree.style.width = `${width}px`;
    this.tree.style.height = `${height}px`;
    this.tree.replaceChildren(drawing, ...numbers, ...this.buttons.values());
    setTabStop(this.buttons.values(), this.buttons.get(search.steps[Math.min(1, depth - 1)][0]));
    this.showLegend(new Set(search.nodes.map((node) => node.status)));
    this.results.replaceChildren(...search.results.slice(0, LISTED).map((id) => result(search.nodes, id, language)));
  }

  box(id, step, row, onBest, language) {
    const node = this.search.nodes[id];
    const word = id ? label(node.subword) : "start";
    const share = shortPercent(Math.exp(node.log_probability));
    const facts = [word, `step ${step}`, `rank ${node.rank}`, share, NAMES[node.status] ?? node.status];
    const button = html(
      "button",
      {
        type: "button",
        class: `node ${node.status}${onBest.has(id) ? " best" : ""}`,
        "data-node": id,
        "aria-label": id ? facts.join(", ") : word,
      },
      foreign(word, language),
      id ? html("span", {}, node.score === null ? share : ordinal(this.search.results.indexOf(id) + 1)) : null,
    );
    return at(button, step * COLUMN, TOP + row * ROW);
  }

  edge(id, button, onBest) {
    const { parent } = this.search.nodes[id];
    if (parent === null) return;
    const from = this.buttons.get(parent);
    const middle = (one) => Number.parseFloat(one.style.top) + (ROW - 4) / 2;
    const [left, right] = [Number.parseFloat(from.style.left) + BOX, Number.parseFloat(button.style.left)];
    const half = (left + right) / 2;
    const d = `M${left} ${middle(from)}C${half} ${middle(from)} ${half} ${middle(button)} ${right} ${middle(button)}`;
    this.edges.set(
      id,
      svg("path", { d, class: `${this.search.nodes[id].status}${onBest.has(id) ? " best on" : ""}` }),
    );
  }

  point(button) {
    for (const element of this.tree.querySelectorAll(".lit")) element.classList.remove("lit");
    const id = button?.dataset.node === undefined ? null : Number(button.dataset.node);
    this.tree.classList.toggle("active", id !== null);
    if (id === null) return this.say(null);
    for (const one of path(this.search.nodes, id)) {
      this.buttons.get(one).classList.add("lit");
      this.edges.get(one)?.classList.add("lit");
    }
    return this.say(explain(this.search, id));
  }

  /** Left to the parent, right to the best child, up and down within a step. */
  move(event) {
    const id = Number(event.target.dataset.node);
    const { nodes, steps, depth } = this.search;
    const column = steps[depth[id]];
    const row = column.indexOf(id);
    const target = {
      ArrowLeft: () => nodes[id].parent,
      ArrowRight: () => steps[depth[id] + 1]?.find((one) => nodes[one].parent === id),
      ArrowUp: () => column[row - 1],
      ArrowDown: () => column[row + 1],
      Home: () => 0,
      End: () => this.search.best,
    }[event.key]?.();
    if (!(event.key.startsWith("Arrow") || event.key === "Home" || event.key === "End")) return;
    event.preventDefault();
    const next = this.buttons.get(target ?? id);
    setTabStop(this.buttons.values(), next);
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest", inline: "center" });
  }

  showLegend(statuses) {
    const entries = Object.entries(NAMES).filter(([status]) => statuses.has(status));
    this.legend.replaceChildren(
      ...[["kept best", "the best translation"], ...entries].map(([status, name]) =>
        html("span", {}, html("i", { class: `node ${status}` }), name),
      ),
    );
  }
}

function at(element, left, top) {
  element.style.left = `${left}px`;
  element.style.top = `${top}px`;
  return element;
}

function result(nodes, id, language) {
  const { score, total } = nodes[id];
  const numbers = `score ${number(score)}, log-probability ${number(total)}`;
  return html("li", {}, foreign(pathText(nodes, id) || "(empty)", language), html("span", {}, numbers));
}

function ordinal(rank) {
  const isTeen = rank % 100 > 10 && rank % 100 < 14;
  return `${rank}${(!isTeen && ["th", "st", "nd", "rd"][rank % 10]) || "th"}`;
}
