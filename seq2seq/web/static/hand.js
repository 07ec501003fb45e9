// Attention weights by hand: rows that replace those of the model, and the menu of a cell that changes them.

import { foreign, html } from "./elements.js";
import { closePopup, openPopup } from "./popup.js";
import { percent, quote } from "./sentences.js";
import { label, subwordsOf } from "./view.js";

const DIGITS = 4;
/** Of a weight in a row by hand. */

/** The rows as the server takes them: one for each subword up to the last changed one, null for the model's own. */
export const requestRows = (rows) =>
  Array.from({ length: Math.max(...rows.keys()) + 1 }, (_, index) => rows.get(index) ?? null);

/**
 * Opens the menu of a cell of the heat map. `change` is called with the new rows, by the index of their subword.
 * `goBack` moves the focus back to the cell.
 */
export function openCellMenu({ anchor, parent, answer, unit, view, cell, rows, languages, change, goBack }) {
  const { source, target } = cell;
  const item = (text, row, disabled = false) =>
    html(
      "button",
      {
        type: "button",
        disabled,
        click: () => {
          closePopup();
          change(changedRows(rows, answer, unit, cell, row));
        },
      },
      text,
    );
  const choices = [
    item("Look only here", lookOnly),
    item("Do not look here", lookElsewhere),
    item("Release this row", null, !view.byHand[target]),
  ];
  openPopup(
    {
      anchor,
      parent,
      title: `Weight of ${quote(label(view.target[target]))} on ${quote(label(view.source[source]))}`,
      choices,
      goBack,
    },
    html(
      "p",
      {},
      foreign(label(view.target[target]), languages[1]),
      " looks at ",
      foreign(label(view.source[source]), languages[0]),
      ` with ${percent(view.weights[target][source])}:`,
    ),
    html("div", { role: "group", "aria-label": "Weights by hand" }, ...choices),
  );
}

/** New rows for all subwords of a target unit. `newRow` is a function of the present row, or null for the model's. */
function changedRows(rows, answer, unit, { source, target }, newRow) {
  const sources = new Set(subwordsOf(answer.source_word_of_subword, unit, source));
  const changed = new Map(rows);
  for (const index of subwordsOf(answer.target_word_of_subword, unit, target)) {
    if (newRow === null) changed.delete(index);
    else changed.set(index, normalized(newRow(answer.subword_attention[index], sources)));
  }
  return changed;
}

/** All weight on these source subwords, in equal parts. */
const lookOnly = (row, sources) => row.map((_, index) => Number(sources.has(index)));

/** No weight on these source subwords. Where all weight was on them, the others have equal parts. */
function lookElsewhere(row, sources) {
  const rest = row.map((weight, index) => (sources.has(index) ? 0 : weight));
  return rest.some((weight) => weight >= 10 ** -DIGITS) ? rest : row.map((_, index) => Number(!sources.has(index)));
}

function normalized(row) {
  const sum = row.reduce((total, weight) => total + weight, 0);
  return row.map((weight) => Number((weight / sum).toFixed(DIGITS)));
}
