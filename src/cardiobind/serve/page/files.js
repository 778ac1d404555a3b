/** Where files are dropped or chosen. The file input of each zone is the one place that knows what was given. */

import { element, unseen } from "./elements.js";
import { bytes } from "./words.js";

const ZONES = {
  ecg: {
    title: "12-lead ECG",
    what: "One recording: SCP-ECG, DICOM, HL7 aECG, GE Muse, Philips or CardioSoft XML, EDF, or WFDB (.hea and .dat together).",
  },
  cmr: { title: "Cine MRI, short axis", what: "One study: a zip, its DICOM files or folder, or NIfTI." },
};

/** Return the zones of the modalities that the model takes as files. */
export function zones(modalities) {
  return modalities.filter((name) => name in ZONES).map((name) => zone(name, ZONES[name]));
}

/** Return the files given, by modality. */
export function chosenFiles(form) {
  const inputs = [...form.querySelectorAll("input[type=file]")].filter((input) => input.files.length);
  return Object.fromEntries(inputs.map((input) => [input.name, [...input.files]]));
}

/** Keep a file that misses its zone from replacing the page. */
export function guardPage() {
  for (const event of ["dragover", "drop"]) window.addEventListener(event, (dropped) => dropped.preventDefault());
}

function zone(name, { title, what }) {
  const [input, list] = [fileInput(name), element("ul", { class: "chosen", "aria-live": "polite" })];
  const error = element("p", { class: "error", id: `${name}-error` });
  const box = element(
    "div",
    { class: "drop", "data-modality": name },
    element("label", { for: name }, title),
    element("p", { class: "quiet", id: `${name}-what` }, `${what} Drop here, or choose:`),
    input,
    list,
    error,
  );
  input.addEventListener("change", () => show(input, list, error));
  input.form?.addEventListener("reset", () => show(input, list, error));
  receive(box, input);
  return box;
}

function fileInput(name) {
  return element("input", { type: "file", id: name, name, multiple: true, "aria-describedby": `${name}-what ${name}-error` });
}

function receive(box, input) {
  const over = (is) => box.classList.toggle("over", is);
  box.addEventListener("dragover", () => over(true));
  box.addEventListener("dragleave", () => over(false));
  box.addEventListener("drop", async (event) => {
    over(false);
    give(input, await dropped(event.dataTransfer));
  });
}

function give(input, files) {
  if (!files.length) return;
  const transfer = new DataTransfer();
  files.forEach((file) => transfer.items.add(file));
  input.files = transfer.files;
  input.dispatchEvent(new Event("change"));
}

async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  return (await Promise.all(entries.map(within))).flat();
}

async function within(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return (await Promise.all(found.map(within))).flat();
    found.push(...some);
  }
}

function show(input, list, error) {
  error.textContent = "";
  input.removeAttribute("aria-invalid");
  const files = [...input.files];
  const shown = files.slice(0, 3).map((file) => element("li", {}, `${file.name}, ${bytes(file.size)}`));
  const rest = files.length > 3 ? [element("li", {}, `and ${files.length - 3} more`)] : [];
  list.replaceChildren(...shown, ...rest, ...(files.length ? [element("li", {}, remover(input))] : []));
}

function remover(input) {
  const button = element("button", { type: "button", class: "small" }, "Remove", unseen(` the ${ZONES[input.name].title}`));
  button.addEventListener("click", () => {
    input.value = "";
    input.dispatchEvent(new Event("change"));
    input.focus();
  });
  return button;
}
