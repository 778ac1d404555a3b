/** What the score rests on: verdicts on the signals, shares of the modalities, facts, cases alike. */

import { bar, card, element, folded, table } from "./elements.js";
import { code, inputsInWords, modality, named, number, quantity, signed, words } from "./words.js";

const FACTS_SHOWN = 8;
const FACTS_PRINTED = 6; // as print.css hides the others
const PARTS = ["inside", "missed", "baseline_over_absence", "shared_with_others", "share"];
const WHY = "Above, an input is compared with its absence, in the mean over the other inputs being there or not. Inside it, the recording or the facts are compared with a baseline while the others are there.";
const MARKS = { good: "✓", doubtful: "!", bad: "✕" };

/** Return the card of verdicts: how good each signal is, and whether the model has learnt from such ones. */
export function verdictCard(prediction) {
  const names = Object.keys({ ...prediction.verdicts, ...prediction.quality });
  return card("verdicts", "Quality", element("ul", {}, names.map((name) => verdict(name, prediction))));
}

function verdict(name, { verdicts, quality }) {
  const { usable = true, like_training: like = null, codes = quality?.[name] ?? [], says } = verdicts?.[name] ?? {};
  const grade = !usable ? "bad" : codes.length || like === false ? "doubtful" : "good";
  const signal = !usable ? "not to be relied on" : codes.length ? "usable, with remarks" : "nothing wrong was found";
  const known = like === null ? "Whether the model learnt from any like it is not known" : like ? "Like those the model learnt from" : "";
  const strange = like === false ? `, ${usable ? "but " : ""}unlike those the model learnt from` : "";
  return element(
    "li",
    { class: grade },
    element("span", { class: "sign", "aria-hidden": "true" }, MARKS[grade]),
    element("strong", {}, `${modality(name)}: ${signal}${strange}`),
    element("p", {}, [known, codes.map(code).join("; ")].filter(Boolean).map(sentence).join(" ")),
    says && codes.includes("missing_lead") ? element("p", { class: "quiet" }, says) : null,
  );
}

const sentence = (said) => `${said.charAt(0).toUpperCase()}${said.slice(1)}.`;

/** Return the card of what each modality did to the score. */
export function shareCard(explanation) {
  const shares = Object.entries(explanation.modalities).sort(([, a], [, b]) => Math.abs(b) - Math.abs(a));
  const largest = Math.max(...shares.map(([, value]) => Math.abs(value)));
  const rows = shares.map(([name, value]) => [modality(name), signed(value), bar(value, largest)]);
  return card(
    "shares",
    "What moved the score",
    table(`Contribution of each input (${unit(explanation)}: + raised the score, − lowered it)`, ["Input", "Sum", ""], rows),
    element("p", { class: "quiet" }, "It tells on what this network's score rests. It is no finding about the heart."),
    ...sums(explanation),
    ...method(explanation.method),
  );
}

/** What lies between the sum of what is shown inside an input and the input's own: they are compared with different things. */
function sums({ modalities, method: given }) {
  const tied = Object.keys(modalities).filter((name) => given?.[name]?.ties).map((name) => [modality(name), ...PARTS.map((part) => signed(given[name].ties[part]))]);
  if (!tied.length) return [];
  const heads = ["Input", "Shown inside", "+ missed by the method", "+ its baseline over its absence", "+ shared with other inputs", "= its sum above"];
  return [folded("Why the sums below differ from these", element("p", {}, WHY), element("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "How the sums are tied" }, table("From what is shown inside an input to its sum", heads, tied)))];
}

function method(given) {
  const rows = Object.entries(given ?? {}).flatMap(([name, value]) => stated(modality(name), value));
  return rows.length ? [folded("How it was found", table("Method", ["What", "Value"], rows))] : [];
}

function stated(name, value) {
  if (value === null || typeof value !== "object") return [[words(name), plain(value)]];
  return Object.entries(value).filter(([inner]) => inner !== "ties").flatMap(([inner, one]) => stated(`${name}: ${inner}`, one));
}

const plain = (value) => (typeof value === "number" ? number(value) : words(value));

/** Return the unit of all attributions, as the server names it. */
export const unit = (explanation) => explanation?.method?.unit ?? "unit not stated";

/** Return what the attribution of a modality is compared with. */
export const baseline = (explanation, name) => explanation?.method?.[name]?.baseline ?? null;

/** Return the card of facts: what was given, what it did, what is missing. */
export function factCard(prediction, given, facts, explanation) {
  const explained = explanation?.tabular;
  const compared = baseline(explanation, "tabular");
  const titles = new Map(facts.map((fact) => [fact.name, fact]));
  const rows = explained ? explainedRows(explained) : givenRows(given, titles);
  const heads = explained ? ["Fact", "Given", "Sum", ""] : ["Fact", "Given"];
  const caption = explained ? `Facts by what they did to the score (${unit(explanation)}${compared ? `, compared with ${compared}` : ""})` : "Facts given";
  const rest = rows.slice(FACTS_SHOWN);
  return card(
    "given",
    "Medical facts",
    rows.length ? table(caption, heads, rows.slice(0, FACTS_SHOWN)) : null,
    rest.length ? folded(`${rest.length} more`, table("All other facts", heads, rest)) : null,
    missing(prediction.missing, titles),
    rows.length > FACTS_PRINTED ? element("p", { class: "to-print" }, `Printed: the first ${FACTS_PRINTED}.`) : null,
    ignored(prediction.ignored ?? [], titles),
  );
}

function explainedRows(explained) {
  const sorted = [...explained].sort((a, b) => Math.abs(b.attribution) - Math.abs(a.attribution));
  const largest = Math.abs(sorted[0]?.attribution ?? 0);
  return sorted.map((fact) => [fact.title, quantity(fact.given, fact.unit), signed(fact.attribution), bar(fact.attribution, largest)]);
}

function givenRows(given, titles) {
  return Object.entries(given).map(([name, value]) => {
    const fact = titles.get(name) ?? { title: name };
    return [fact.title ?? name, quantity(fact.kind === "flag" ? Boolean(value) : value, fact.unit)];
  });
}

function missing(names, titles) {
  if (!names.length) return element("p", {}, "No fact is missing.");
  const said = names.map((name) => titles.get(name)?.title ?? name).join(", ");
  const count = names.length === 1 ? "1 fact was missing" : `${names.length} facts were missing`;
  return [folded(count, element("p", {}, said)), element("p", { class: "to-print" }, `${count}.`)];
}

function ignored(names, titles) {
  if (!names.length) return null;
  return element("p", { class: "quiet" }, `Given, but not used by this model: ${names.map((name) => named(titles.get(name) ?? { title: name })).join(", ")}.`);
}

/** Return the card of the nearest cases with what was measured in them. */
export function neighbourCard(neighbours) {
  const phenotypes = new Map(neighbours.flatMap((one) => (one.phenotypes ?? []).map((fact) => [fact.name, fact])));
  const rows = neighbours.map((one, place) => [
    String(place + 1),
    one.modality ? inputsInWords(one.modality) : "",
    Number.isFinite(one.similarity) ? one.similarity.toFixed(2) : "",
    ...[...phenotypes.keys()].map((name) => phenotype(one, name)),
  ]);
  const heads = ["Case", "By", "Similarity", ...[...phenotypes.values()].map((fact) => named({ ...fact, title: fact.title ?? fact.name }))];
  return card("neighbours", "Nearest cases", element("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Table of nearest cases" }, table("Cases whose recordings the model finds most alike; 1 is the same direction", heads, rows)));
}

function phenotype(one, name) {
  const found = (one.phenotypes ?? []).find((fact) => fact.name === name);
  return found ? quantity(found.value, null) : "–";
}
