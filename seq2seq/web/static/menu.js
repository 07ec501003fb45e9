// The menu of a target word: what the model considered in its place, and a field for any other word.

import { foreign, html } from "./elements.js";
import { closePopup, openPopup } from "./popup.js";
import { number, quote, shortPercent } from "./sentences.js";
import { isEnd, label, textOf } from "./view.js";

/**
 * Opens the menu under `anchor`, within `parent`. `subword` is the index of the word's first subword. `force` is
 * called with the start that the translation shall have: subwords, or a text.
 */
export function openMenu({ anchor, parent, answer, subword, word, language, force }) {
  const before = answer.target_subwords.slice(0, subword);
  const current = answer.target_subwords[subword];
  const choose = (prefix) => {
    closePopup();
    force(prefix);
  };
  const choices = (answer.candidates[subword] ?? []).map((candidate) =>
    choice(candidate, current, language, () => choose([...before, candidate.subword])),
  );
  const field = html("input", {
    type: "text",
    id: "other-word",
    dir: "auto",
    autocomplete: "off",
    spellcheck: "false",
    maxlength: "100",
  });
  const form = html(
    "form",
    {
      submit: (event) => {
        event.preventDefault();
        const text = field.value.trim();
        const space = current?.startsWith("▁") && before.length ? " " : "";
        if (text) choose(textOf(before) + space + text);
      },
    },
    html("label", { for: "other-word" }, "Another word"),
    html("div", {}, field, html("button", { type: "submit" }, "Force")),
  );
  openPopup(
    { anchor, parent, title: `In place of ${quote(word)}`, choices, field },
    html(
      "p",
      {},
      before.length ? "After " : "At the start",
      before.length ? foreign(ending(textOf(before)), language) : null,
      ":",
    ),
    html("div", { class: "candidates", role: "group", "aria-label": "What the model considered" }, ...choices),
    form,
  );
}

function choice({ subword, log_probability: log }, current, language, click) {
  const probability = Math.exp(log);
  const button = html(
    "button",
    {
      type: "button",
      click,
      disabled: isEnd(subword),
      "aria-current": subword === current ? "true" : null,
      title: `log-probability ${number(log)}`,
    },
    foreign(label(subword), language),
    html("i", {}),
    html("span", {}, shortPercent(probability)),
  );
  button.style.setProperty("--probability", probability.toFixed(3));
  return button;
}

const ending = (text) => (text.length > 40 ? `… ${text.slice(-38)}` : text);
