// The one open menu of the page: a dialog under what it belongs to. Arrow keys move between its choices.

import { html, setTabStop } from "./elements.js";

let close = () => {};

export const closePopup = () => close();

/**
 * Opens a dialog with these children under `anchor`, within `parent`. `choices` are the buttons that arrow keys reach.
 * The first enabled one has the focus, or `field` where there is none. Escape closes it and calls `goBack`.
 */
export function openPopup({ anchor, parent, title, choices, field, goBack = () => anchor.focus() }, ...children) {
  close();
  const popup = html("div", { class: "menu", role: "dialog", "aria-label": title }, ...children);
  parent.append(popup);
  place(popup, anchor, parent);
  const outside = (event) => !popup.contains(event.target) && !anchor.contains(event.target) && close();
  close = (back = false) => {
    popup.remove();
    anchor.removeAttribute("aria-expanded");
    document.removeEventListener("pointerdown", outside);
    document.removeEventListener("focusin", outside);
    close = () => {};
    if (back) goBack();
  };
  if (anchor.hasAttribute("aria-haspopup")) anchor.setAttribute("aria-expanded", "true");
  document.addEventListener("pointerdown", outside);
  document.addEventListener("focusin", outside);
  popup.addEventListener("keydown", (event) => onKey(event, choices, field));
  const first = choices.find((button) => !button.disabled) ?? field;
  setTabStop(choices, first);
  first.focus();
}

function onKey(event, choices, field) {
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  const enabled = choices.filter((button) => !button.disabled);
  if (event.key === "Escape" || (event.key === "Tab" && !field)) close(true); // behind the menu the page ends
  else if (step && enabled.includes(event.target)) {
    const next = enabled[(enabled.indexOf(event.target) + step + enabled.length) % enabled.length];
    setTabStop(choices, next);
    next.focus();
  } else return;
  event.preventDefault();
  event.stopPropagation();
}

/** Under its anchor, and within the panel. */
function place(popup, anchor, parent) {
  const [box, panel] = [anchor.getBoundingClientRect(), parent.getBoundingClientRect()];
  const left = Math.min(box.left - panel.left, panel.width - popup.offsetWidth - 8);
  popup.style.left = `${Math.max(left, 8)}px`;
  popup.style.top = `${box.bottom - panel.top + 6}px`;
  popup.scrollIntoView({ block: "nearest" });
}
