/** What the served model is, in its own words. */

import { element, table } from "./elements.js";
import { inputsInWords, percent, words } from "./words.js";

/** Fill the heading of the page and the part about the model. */
export function describeModel(model) {
  document.getElementById("title").textContent = model.title;
  document.title = `${model.title} – cardiobind`;
  document.getElementById("notice").textContent = model.notice ?? document.getElementById("notice").textContent;
  document.getElementById("about").textContent = `A research model that takes ${inputsInWords(model.inputs.join("+"))}, or any of them.`;
  document.getElementById("model-facts").replaceChildren(
    calibrated(model.calibration ?? {}),
    cohort(model.cohort),
    model.card ? element("pre", { tabindex: "0", "aria-label": "Model card" }, model.card) : "",
    element("p", { class: "quiet" }, `Endpoint ${words(model.task)}, bundle ${String(model.bundle ?? "").slice(0, 12)}.`),
  );
}

function calibrated(sets) {
  const rows = Object.entries(sets).map(([inputs, known]) => [
    inputsInWords(inputs),
    known.calibrated ? "yes" : known.reason ? `no: ${known.reason}` : "no",
    Number.isFinite(known.threshold) ? percent(known.threshold) : "none",
  ]);
  return table("Inputs that the model was validated on", ["Inputs", "Calibrated", "Threshold"], rows);
}

function cohort(known) {
  if (!known?.n) return "";
  const ill = Number.isFinite(known.positive) ? `, ${known.positive.toLocaleString("en")} of them with the endpoint` : "";
  return element("p", {}, `Cohort: ${known.n.toLocaleString("en")} ${known.of ?? "visits"}${ill}.`);
}
