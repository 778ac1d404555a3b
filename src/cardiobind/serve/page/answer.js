/** The answer in words: the risk or the value, what it is worth, or why there is none. */

import { histogram } from "./cohort.js";
import { card, element, folded } from "./elements.js";
import { inputsInWords, number, percent, range } from "./words.js";

/** Return the card of a prediction. */
export function answerCard(prediction, cohort) {
  const from = element("p", { class: "quiet" }, `${prediction.title}. From: ${inputsInWords(prediction.inputs)}.`);
  if (prediction.abstained) return card("answer abstained", "No score is given", from, ...abstained(prediction));
  if (Number.isFinite(prediction.risk)) return card("answer", "Risk", from, ...risk(prediction, cohort));
  if (Number.isFinite(prediction.value)) return card("answer", "Estimate", from, ...estimate(prediction));
  return card("answer abstained", "No risk is given", from, ...uncalibrated(prediction));
}

/** Return the same in one sentence, for the status line. */
export function answerInWords(prediction) {
  if (prediction.abstained) return `No score is given: ${prediction.abstained}`;
  if (Number.isFinite(prediction.risk)) {
    const within = prediction.interval ? `, interval ${range(prediction.interval)}` : "";
    return `Scored. Risk ${percent(prediction.risk)}${within}.`;
  }
  if (Number.isFinite(prediction.value)) return `Scored. ${prediction.statement}.`;
  return `No risk is given: ${prediction.reason ?? "no reason was stated"}`;
}

function risk(prediction, cohort) {
  return [
    element("p", { class: "figure" }, percent(prediction.risk), ...horizon(prediction)),
    interval(prediction, prediction.interval && range(prediction.interval)),
    element("p", {}, ofHundred(prediction)),
    ...threshold(prediction),
    ...percentile(prediction),
    histogram(prediction, cohort),
  ];
}

function estimate(prediction) {
  const { value, unit, interval: within } = prediction;
  const span = within && `${number(within[0])} to ${number(within[1])}${unit ? ` ${unit}` : ""}`;
  return [
    element("p", { class: "figure" }, `${number(value)} ${unit ?? ""}`.trim()),
    interval(prediction, span),
  ];
}

function horizon({ horizon_years: years }) {
  return years ? [element("span", { class: "beside" }, ` within ${number(years)} years`)] : [];
}

function interval(prediction, span) {
  if (!span) return element("p", { class: "quiet" }, "This bundle gives no interval: how sure it is, is not known.");
  const [name, ...rest] = (prediction.interval_of ?? "").split(": ");
  const said = rest.length ? `${name}: ${span}` : `Interval: ${span}`;
  return [
    element("p", {}, element("strong", {}, said)),
    prediction.interval_of ? folded("What the interval covers", element("p", {}, sentence(prediction.interval_of))) : null,
    prediction.interval_of ? element("p", { class: "to-print covers" }, sentence(prediction.interval_of)) : null,
  ];
}

function ofHundred({ risk: share, horizon_years: years }) {
  const count = share < 0.01 ? "Fewer than 1" : `About ${Math.round(100 * share)}`;
  const what = years ? `will have it within ${number(years)} years` : "have it";
  return `${count} in 100 people with this score ${what}, if they are like those the model was checked on.`;
}

const sentence = (said) => (said.endsWith(".") ? said : `${said}.`);

function threshold({ threshold: limit, positive }) {
  if (!Number.isFinite(limit)) return [];
  const side = positive ? "At or above" : "Below";
  return [
    element("p", {}, `${side} the model's threshold of ${percent(limit)} for these inputs. It was chosen on validation data and has no clinical meaning.`),
  ];
}

function percentile({ cohort_percentile: rank }) {
  if (!Number.isFinite(rank)) return [];
  return [element("p", {}, `Higher than ${Math.min(99, Math.max(0, Math.floor(rank)))} in 100 validation visits with the same inputs.`)];
}

function abstained({ abstained: reason }) {
  return [
    element("p", { class: "figure words" }, "The model abstains"),
    element("p", {}, element("strong", {}, "Why: "), reason),
    element("p", { class: "quiet" }, "Any number would be a guess, so none is shown. The recording below is shown as it was read."),
  ];
}

function uncalibrated({ reason }) {
  return [
    element("p", { class: "figure words" }, "Not calibrated for these inputs"),
    element("p", {}, element("strong", {}, "Why: "), reason ?? "no reason was stated"),
    element("p", { class: "quiet" }, "Other inputs may be: see “About this model”."),
  ];
}
