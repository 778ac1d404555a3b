/** The page: asks what the model is, sends what is given, shows what comes back. */

import { answerCard, answerInWords } from "./answer.js";
import { cineCard, stopCines } from "./cine.js";
import { ecgCard } from "./ecg.js";
import { card, element } from "./elements.js";
import { baseline, factCard, neighbourCard, shareCard, unit, verdictCard } from "./evidence.js";
import { buildFacts, givenFacts, refuseFact } from "./facts.js";
import { chosenFiles, guardPage, zones } from "./files.js";
import { describeModel } from "./model.js";
import { predict, readModel } from "./server.js";
import { modality } from "./words.js";

const at = (id) => document.getElementById(id);
const [form, result, answer, problem, status] = ["form", "result", "answer", "problem", "status"].map(at);
const fields = { ecg: modality("ecg"), cmr: modality("cmr"), facts: modality("tabular") };
let model = null;
let running = null;

async function open() {
  try {
    model = await readModel(at("key").value);
  } catch (refusal) {
    refuse(refusal, "The model is not there yet");
    return;
  }
  describeModel(model);
  at("files").replaceChildren();
  zones(model.inputs).forEach((zone) => at("files").append(zone));
  buildFacts(form, model.inputs.includes("tabular") ? model.facts : []);
  at("explain-choice").hidden = model.explains === false;
}

async function score(event) {
  event.preventDefault();
  if (running) return;
  clearProblem();
  if (!model) {
    await open();
    if (model) say("The model is there. Give what there is, then score.");
    return;
  }
  const request = asked();
  if (!request) return;
  busy(true);
  try {
    await show(await predict({ ...request, signal: running.signal }), request.facts);
  } catch (error) {
    if (error.name === "AbortError") say("Stopped. Nothing was scored.");
    else refuse(error);
  }
  busy(false);
}

function asked() {
  const [facts, files] = [givenFacts(form), chosenFiles(form)];
  if (!facts) say("Nothing was sent: a fact is out of its range.");
  else if (Object.keys(facts).length + Object.keys(files).length === 0) {
    refuse({ message: "There is nothing to score.", hint: "Give an ECG, a cine, or at least one medical fact." });
  } else {
    const explain = at("explain").checked && !at("explain-choice").hidden;
    return { files, facts, explain, key: at("key").value };
  }
  return null;
}

function busy(is) {
  running = is ? new AbortController() : null;
  at("submit").disabled = is;
  at("stop").hidden = !is;
  result.setAttribute("aria-busy", String(is));
  if (is) {
    empty();
    say("Reading and scoring …");
  }
}

async function show(given, facts) {
  const { prediction, ecg, cine, neighbours } = given;
  const explanation = prediction.abstained ? null : given.explanation;
  const tabular = prediction.inputs.split("+").includes("tabular");
  const cards = [
    answerCard(prediction, model.cohort),
    verdictCard(prediction),
    explanation?.modalities ? shareCard(explanation) : null,
    ecg ? ecgCard(ecg, explanation?.ecg ?? null, baseline(explanation, "ecg"), unit(explanation)) : null,
    cine?.frames?.length ? await cineCard(cine, explanation?.cmr ?? null, baseline(explanation, "cmr"), unit(explanation)) : null,
    tabular ? factCard(prediction, facts, model.facts, explanation) : null,
    neighbours?.length ? neighbourCard(neighbours) : null,
    origin(prediction),
  ];
  answer.replaceChildren(...cards.filter(Boolean));
  at("notice").textContent = prediction.notice ?? at("notice").textContent;
  say(answerInWords(prediction));
  result.focus();
}

function origin(prediction) {
  const print = element("button", { type: "button", class: "small" }, "Print one page");
  print.addEventListener("click", () => window.print());
  const when = new Date().toISOString().slice(0, 16).replace("T", " ");
  return card("origin", "Where it comes from", element("p", {}, `Bundle ${prediction.bundle.slice(0, 12)}, scored ${when} UTC. `), print);
}

function refuse(refusal, title = "Not scored") {
  const { message, where, expected, got, hint, status: code } = refusal;
  at("key-choice").hidden = at("key-choice").hidden && code !== 401;
  const lines = [["Where", where && place(where)], ["Expected", expected], ["Got", got], ["What to do", hint]].filter((line) => line[1]);
  const list = element("dl", {}, lines.map(([name, said]) => [element("dt", {}, name), element("dd", {}, plain(said))]));
  problem.replaceChildren(element("div", { class: "card refusal" }, element("h3", {}, title), element("p", {}, message), list));
  say("");
  if (code === 401) at("key").focus();
  else if (!atItsField(where, message)) result.focus();
}

const place = (where) => fields[where] ?? model?.facts.find((fact) => `facts.${fact.name}` === where)?.title ?? where;
const plain = (said) => (typeof said === "object" ? [said].flat().join(", ") : String(said));

function atItsField(where, message) {
  const name = String(where ?? "").split(",")[0].replace(/^(facts|table)\./, "");
  if (refuseFact(form, name, message)) return true;
  const input = form.querySelector(`input[type=file][name="${CSS.escape(name)}"]`);
  if (!input) return false;
  at(`${name}-error`).textContent = message;
  input.setAttribute("aria-invalid", "true");
  input.focus();
  return true;
}

function empty() {
  stopCines(answer);
  answer.replaceChildren();
  window.onbeforeprint = null;
  clearProblem();
}

const clearProblem = () => problem.replaceChildren();

function say(words) {
  status.textContent = words;
}

form.addEventListener("submit", score);
form.addEventListener("reset", () => {
  running?.abort();
  empty();
  say("Nothing scored yet.");
});
at("stop").addEventListener("click", () => running?.abort());
guardPage();
open();
