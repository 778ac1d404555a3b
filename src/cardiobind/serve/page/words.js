/** Numbers and codes in words. */

const MODALITIES = { ecg: "ECG", cmr: "Cine MRI", tabular: "Medical facts" };

const CODES = {
  wrong_unit: "amplitudes suggest another unit",
  flat_lead: "a lead is flat",
  missing_lead: "a lead is missing",
  non_finite: "a lead has gaps",
  limb_leads_inconsistent: "limb leads contradict one another",
  wrong_rate: "heart rate and beats suggest another sampling rate",
  saturated: "a lead stays at its limit",
  clipped: "peaks are cut off",
  noisy: "noise between the beats",
  mains_noise: "mains hum",
  baseline_wander: "the baseline wanders",
  arm_electrodes_swapped: "arm electrodes look swapped",
  la_ll_swapped: "left arm and left leg look swapped",
  chest_electrodes_swapped: "chest electrodes look swapped",
  leg_electrode_swapped: "an arm's electrode may be on the right leg",
  few_slices: "few slices",
  wrong_orientation: "not a stack in short axis",
  impossible_combination: "facts contradict one another",
  frames_out_of_order: "the frames are not in the order of the beat",
  uncertain_heart_crop: "the heart was found with little confidence",
};

/** Return the name of a modality for people. */
export const modality = (name) => MODALITIES[name] ?? name;

/** Return "ECG and medical facts" for "ecg+tabular". */
export function inputsInWords(inputs) {
  const names = inputs.split("+").map((name, place) => (place && name === "tabular" ? "medical facts" : modality(name)));
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/** Return a code of quality in words. */
export const code = (name) => CODES[name] ?? words(name);

/** Return a name with spaces, "never smoked" for "never_smoked". */
export const words = (name) => String(name).replaceAll("_", " ");

/** Return a probability in per cent: one decimal below 10 and above 90 %, never a false 0 or 100. */
export function percent(share) {
  const value = 100 * share;
  if (value < 0.1) return "under 0.1\u00a0%";
  if (value > 99.9) return "over 99.9\u00a0%";
  return `${value.toFixed(value < 9.95 || value > 90 ? 1 : 0)}\u00a0%`;
}

/** Return "6.0 to 12 %". */
export function range([low, high]) {
  const [from, to] = [percent(low), percent(high)];
  return from === to ? from : `${from.replace(/\u00a0%$/, "")} to ${to}`;
}

/** Return a number with at most three significant digits. */
export const number = (value) => String(Number(value.toPrecision(3)));

/** Return a number with its sign; the minus is the typographic one. */
export function signed(value) {
  const size = Math.abs(value) < 0.005 ? "0" : Math.abs(value).toFixed(2);
  return size === "0" ? size : `${value < 0 ? "−" : "+"}${size}`;
}

/** Return a value of a fact with its unit. */
export function quantity(value, unit) {
  if (value === null || value === undefined) return "not given";
  if (typeof value === "boolean") return value ? "yes" : "no";
  const said = typeof value === "number" ? number(value) : words(value);
  return unit ? `${said} ${unit}` : said;
}

/** Return the name of a fact with its unit, "Age (years)". */
export const named = (fact) => (fact.unit ? `${fact.title} (${fact.unit})` : fact.title);

/** Return a size of files. */
export function bytes(size) {
  return size < 1e6 ? `${Math.max(1, Math.round(size / 1e3))} kB` : `${(size / 1e6).toFixed(1)} MB`;
}
