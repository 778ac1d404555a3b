/** The card of the ECG: paper, attribution on and off, other layouts, and what is put on paper when printed. */

import { attributionTable, binned, legend } from "./attribution.js";
import { card, element, folded } from "./elements.js";
import { LAYOUTS, paper } from "./paper.js";

const NAMES = { "3x4": "3 × 4 with rhythm strip", "12x1": "12 × 1, all of each lead" };

/** Return the card of an ECG; `explained` is its part of the explanation, `compared` what with, or null, in `unit`. */
export function ecgCard(ecg, explained, compared, unit) {
  const attribution = explained ? binned(explained) : null;
  const sheet = element("div", { class: "wide sheet", tabindex: "0", role: "region", "aria-label": "ECG paper" });
  const draw = (layout) => sheet.replaceChildren(paper(ecg, attribution, layout));
  const choice = layoutChoice(draw);
  draw("3x4");
  const made = card(
    "ecg",
    "Electrocardiogram",
    element("div", { class: "controls" }, attribution ? colourSwitch() : null, choice),
    sheet,
    element("div", { class: "to-print" }),
    attribution ? legend(compared) : null,
    element("p", { class: "quiet on-screen" }, "On the screen the squares are scaled to the window; printed at 100 % they measure 1 and 5 mm."),
    attribution ? folded("Attribution as a table", attributionTable(attribution, unit)) : null,
  );
  onPaper(made, () => paper(ecg, attribution, "print"));
  return made;
}

function layoutChoice(draw) {
  const options = Object.keys(NAMES).filter((name) => name in LAYOUTS);
  const select = element("select", { id: "layout" }, options.map((name) => element("option", { value: name }, NAMES[name])));
  select.addEventListener("change", () => draw(select.value));
  return element("span", { class: "choice" }, element("label", { for: "layout" }, "Layout"), select);
}

function colourSwitch() {
  const input = element("input", { type: "checkbox", role: "switch", id: "colours", checked: true });
  input.addEventListener("change", () => document.body.classList.toggle("plain", !input.checked));
  document.body.classList.remove("plain");
  return element("span", { class: "choice" }, input, element("label", { for: "colours" }, "Show what moved the score"));
}

function onPaper(made, drawn) {
  const place = made.querySelector(".to-print");
  window.onbeforeprint = () => place.replaceChildren(drawn());
  window.onafterprint = () => place.replaceChildren();
}
