/** The form of medical facts, built from what the model says it takes. */

import { element } from "./elements.js";
import { named, number, words } from "./words.js";

const SHOWN_AT_ONCE = 10;

/** Fill the form with one field a fact: the first ones at sight, the others folded. */
export function buildFacts(form, facts) {
  const fields = facts.map(field);
  form.querySelector("#facts").hidden = !facts.length;
  form.querySelector("#first-facts").replaceChildren(...fields.slice(0, SHOWN_AT_ONCE));
  const more = form.querySelector("#more-facts");
  more.hidden = fields.length <= SHOWN_AT_ONCE;
  more.querySelector("summary").textContent = `${fields.length - SHOWN_AT_ONCE} more facts`;
  more.querySelector(".facts").replaceChildren(...fields.slice(SHOWN_AT_ONCE));
  form.addEventListener("reset", () => form.querySelectorAll("[data-fact]").forEach((input) => complain(input, "")));
}

/** Return the facts given, by canonical name; null where one cannot be used, which its field then says. */
export function givenFacts(form) {
  const inputs = [...form.querySelectorAll("[data-fact]")];
  const wrong = inputs.filter((input) => !checked(input));
  if (wrong.length) {
    reveal(wrong[0]);
    return null;
  }
  return Object.fromEntries(inputs.filter((input) => input.value !== "").map((input) => [input.dataset.fact, value(input)]));
}

/** Put a refusal of the server at its field; return whether there is such a field. */
export function refuseFact(form, name, message) {
  const input = form.querySelector(`[data-fact="${CSS.escape(name)}"]`);
  if (input) {
    complain(input, message);
    reveal(input);
  }
  return Boolean(input);
}

function field(fact) {
  const id = `fact-${fact.name}`;
  const input = fact.kind === "number" ? numberInput(fact, id) : choice(fact, id);
  input.addEventListener("input", () => input.hasAttribute("aria-invalid") && checked(input));
  const hint = fact.kind === "number" ? element("span", { class: "hint", id: `${id}-hint` }, limits(fact)) : null;
  return element(
    "div",
    { class: "fact" },
    element("label", { for: id }, named(fact)),
    input,
    hint,
    element("p", { class: "error", id: `${id}-error` }),
  );
}

function numberInput(fact, id) {
  return element("input", {
    type: "number", id, step: "any", min: fact.low, max: fact.high, inputmode: "decimal", "data-fact": fact.name,
    "data-title": named(fact), "aria-describedby": `${id}-hint ${id}-error`,
  });
}

function choice(fact, id) {
  const flag = fact.kind === "flag";
  const options = flag ? [["0", "no"], ["1", "yes"]] : fact.categories.map((name) => [name, words(name)]);
  return element(
    "select",
    { id, "data-fact": fact.name, "data-flag": flag, "data-title": named(fact), "aria-describedby": `${id}-error` },
    element("option", { value: "" }, "not known"),
    options.map(([name, said]) => element("option", { value: name }, said)),
  );
}

function limits({ low, high }) {
  if (low === null || high === null || low === undefined || high === undefined) return "";
  return `${number(low)} to ${number(high)}`;
}

function value(input) {
  if (input.type === "number") return input.valueAsNumber;
  return "flag" in input.dataset ? Number(input.value) : input.value;
}

function checked(input) {
  const { badInput, rangeUnderflow, rangeOverflow } = input.validity;
  const asked = `${input.dataset.title} must be a number from ${input.min} to ${input.max}, or left empty.`;
  complain(input, badInput || rangeUnderflow || rangeOverflow ? asked : "");
  return !(badInput || rangeUnderflow || rangeOverflow);
}

function complain(input, message) {
  document.getElementById(`${input.id}-error`).textContent = message;
  if (message) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}

function reveal(input) {
  const fold = input.closest("details");
  if (fold) fold.open = true;
  input.focus();
}
