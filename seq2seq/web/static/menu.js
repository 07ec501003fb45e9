// The menu of a target word: what the model considered in its place, and a field for any other word.

import { foreign, html, setTabStop } from "./elements.js";
import { number, quote, shortPercent } from "./sentences.js";
import { isEnd, label, textOf } from "./view.js";

let close = () => {};

/**
 * Opens the menu under `anchor`, within `parent`. `subword` is the index of the word's first subword. `force` is
 * called with the start that the translation shall have: subwords, or a text.
 */
export function openMenu({ anchor, parent, answer, subword, word, language, force }) {
  close();
  const before = answer.target_subwords.slice(0, subword);
  const current = answer.target_subwords[subword];
  const choose = (prefix) => {
    close();
    force(prefix);
  };
  const choices = answer.candidates[subword]?.map((candidate) =>
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
  const menu = html(
    "div",
    { class: "menu", role: "dialog", "aria-label": `In place of ${quote(word)}` },
    html(
      "p",
      {},
      before.length ? "After " : "At the start",
      before.length ? foreign(ending(textOf(before)), language) : null,
      ":",
    ),
    html("div", { role: "group", "aria-label": "What the model considered" }, ...(choices ?? [])),
    form,
  );
  parent.append(menu);
  place(menu, anchor, parent);
  const outside = (event) => !menu.contains(event.target) && !anchor.contains(event.target) && close();
  close = (refocus = false) => {
    menu.remove();
    anchor.removeAttribute("aria-expanded");
    document.removeEventListener("pointerdown", outside);
    document.removeEventListener("focusin", outside);
    close = () => {};
    if (refocus) anchor.focus();
  };
  anchor.setAttribute("aria-expanded", "true");
  document.addEventListener("pointerdown", outside);
  document.addEventListener("focusin", outside);
  menu.addEventListener("keydown", (event) => onKey(event, choices ?? [], close));
  const first = choices?.find((button) => !button.disabled) ?? field;
  setTabStop(choices ?? [], first);
  first.focus();
}

export const closeMenu = () => close();

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

function onKey(event, choices, close) {
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  const enabled = choices.filter((button) => !button.disabled);
  if (event.key === "Escape") close(true);
  else if (step && enabled.includes(event.target)) {
    const next = enabled[(enabled.indexOf(event.target) + step + enabled.length) % enabled.length];
    setTabStop(choices, next);
    next.focus();
  } else return;
  event.preventDefault();
  event.stopPropagation();
}

/** Under its word, and within the panel. */
function place(menu, anchor, parent) {
  const [word, panel] = [anchor.getBoundingClientRect(), parent.getBoundingClientRect()];
  const left = Math.min(word.left - panel.left, panel.width - menu.offsetWidth - 8);
  menu.style.left = `${Math.max(left, 8)}px`;
  menu.style.top = `${word.bottom - panel.top + 6}px`;
  menu.scrollIntoView({ block: "nearest" });
}

const ending = (text) => (text.length > 40 ? `… ${text.slice(-38)}` : text);
