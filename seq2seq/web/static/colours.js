// The colour of a source unit: its position in the sentence, from the first stop of the style sheet to the last.

const STOPS = ["--first", "--second", "--third", "--fourth", "--fifth"];

/** A function from source index to `[red, green, blue]`, in the colours of the present theme. */
export function palette(count) {
  const style = getComputedStyle(document.documentElement);
  const stops = STOPS.map((name) => channels(style.getPropertyValue(name).trim()));
  return (index) => {
    const position = (count > 1 ? index / (count - 1) : 0) * (stops.length - 1);
    const left = Math.min(Math.floor(position), stops.length - 2);
    return stops[left].map((from, channel) =>
      Math.round(from + (stops[left + 1][channel] - from) * (position - left)),
    );
  };
}

/** A colour of the style sheet, by its name. */
export const themeColour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export const css = (rgb, opacity = 1) => `rgb(${rgb.join(" ")} / ${opacity})`;

export const hex = (rgb) => `#${rgb.map((value) => value.toString(16).padStart(2, "0")).join("")}`;

/**
 * A function from a colour and its opacity to "black" or "white": the text that is easier to read on it. `ground` names
 * the colour under it. Both have the same contrast at the luminance 0.179 (WCAG 2).
 */
export function inkOver(ground) {
  const under = channels(themeColour(ground));
  return (rgb, opacity) => {
    const linear = rgb.map((value, channel) => {
      const share = (value * opacity + under[channel] * (1 - opacity)) / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] < 0.179 ? "white" : "black";
  };
}

function channels(colour) {
  const digits = colour.replace("#", "");
  return [0, 2, 4].map((start) => Number.parseInt(digits.slice(start, start + 2), 16));
}
