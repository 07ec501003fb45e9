// Attention as a heat map: a table with a row for each target unit and a column for each source unit.

import { css, inkOver } from "./colours.js";
import { foreign, html, isRightToLeft, isUpright } from "./elements.js";
import { label } from "./view.js";

const LABELS = 110;
/** Pixels beside the cells for the words of the translation. */

/**
 * The picture in the page, of the model with this name. `point` is called with `{source, target}` when an arrow key
 * moves to a cell, `choose` with the same and its element when it is clicked, or Enter is pressed.
 */
export class HeatMap {
  constructor(name, { point, choose }) {
    this.point = point;
    this.choose = choose;
    this.active = { source: null, target: null };
    this.lit = [];
    this.element = html("div", {
      class: "scroll",
      role: "region",
      tabindex: "0",
      "aria-label": `Heat map of ${name}, arrow keys move between the cells, Enter changes a weight`,
      keydown: (event) => this.onKey(event),
      click: (event) => this.onClick(event.target.closest("tbody td")),
    });
  }

  show(view, colour, languages) {
    this.view = view;
    this.lit = [];
    this.isRightToLeft = isRightToLeft(view.source.join(""));
    const sideways = (word) => (isUpright(word) ? "upright" : "sideways");
    this.columns = view.source.map((word, s) =>
      html("th", { scope: "col", "data-source": s, class: sideways(word) }, foreign(label(word), languages[0])),
    );
    const ink = inkOver("--box");
    this.cells = view.weights.map((row, t) => row.map((weight, s) => cell(weight, s, t, colour, ink)));
    this.rows = view.target.map((word, t) =>
      html(
        "th",
        { scope: "row", "data-target": t, class: view.byHand[t] ? "by-hand" : null },
        foreign(label(word), languages[1]),
      ),
    );
    const size = this.size(view.source.length);
    const table = html(
      "table",
      { class: `heat ${size}`, dir: this.isRightToLeft ? "rtl" : "ltr" },
      html("caption", { class: "hidden" }, "Weights in percent; rows are the translation, columns the source"),
      html("thead", {}, html("tr", {}, html("td", {}), ...this.columns)),
      html(
        "tbody",
        {},
        ...this.cells.map((cells, t) =>
          html("tr", { class: view.byHand[t] ? "changed" : null }, this.rows[t], ...cells),
        ),
      ),
    );
    this.element.replaceChildren(table);
    this.table = table;
  }

  /** The size of a cell, so that the table fits its place where that is possible. */
  size(columns) {
    const width = (this.element.clientWidth - LABELS) / columns;
    if (width >= 38 && columns <= 10) return "large";
    return width >= 30 ? "medium" : "small";
  }

  highlight(active) {
    const { source, target } = active;
    this.active = active;
    for (const element of this.lit) element.classList.remove("lit");
    this.lit = [];
    if (target !== null)
      this.lit.push(this.rows[target], ...(source === null ? this.cells[target] : [this.cells[target][source]]));
    if (source !== null)
      this.lit.push(this.columns[source], ...(target === null ? this.cells.map((row) => row[source]) : []));
    for (const element of this.lit) element.classList.add("lit");
    this.table.classList.toggle("active", this.lit.length > 0);
  }

  /** The focus comes back to this cell, or to the last one where the picture has become smaller. */
  focus({ source, target }) {
    const last = { source: this.view.source.length - 1, target: this.view.target.length - 1 };
    this.element.focus({ preventScroll: true });
    if (last.source < 0 || last.target < 0) return;
    this.point({ source: Math.min(source, last.source), target: Math.min(target, last.target) });
  }

  onClick(element) {
    if (!element) return;
    const { source, target } = element.dataset;
    this.choose({ source: Number(source), target: Number(target) }, element);
  }

  onKey(event) {
    const { source, target } = this.active;
    if (event.key !== "Enter" || source === null || target === null) return this.move(event);
    event.preventDefault();
    return this.choose({ source, target }, this.cells[target][source]);
  }

  move(event) {
    const forward = this.isRightToLeft ? "ArrowLeft" : "ArrowRight";
    const backward = this.isRightToLeft ? "ArrowRight" : "ArrowLeft";
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], [backward]: [0, -1], [forward]: [0, 1] }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const clamp = (value, count) => Math.min(Math.max(value, 0), count - 1);
    const isEntry = this.active.source === null || this.active.target === null;
    const target = isEntry ? (this.active.target ?? 0) : clamp(this.active.target + step[0], this.view.target.length);
    const source = isEntry ? (this.active.source ?? 0) : clamp(this.active.source + step[1], this.view.source.length);
    this.point({ source, target });
    this.cells[target][source].scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}

function cell(weight, s, t, colour, ink) {
  const element = html(
    "td",
    { "data-source": s, "data-target": t, class: weight < 0.005 ? "zero" : null },
    String(Math.round(weight * 100)),
  );
  element.style.backgroundColor = css(colour(s), weight.toFixed(3));
  element.style.setProperty("--number", ink(colour(s), weight));
  return element;
}
