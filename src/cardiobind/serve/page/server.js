/** What is asked of the server, and its refusals. */

const UNREACHABLE = {
  code: "unreachable",
  message: "The server does not answer.",
  hint: "Look whether `cardiobind serve` still runs, then try again.",
};
const UNREADABLE = {
  code: "unreadable_answer",
  message: "The server's answer cannot be read.",
  hint: "Look into the server's log; nothing was shown that could be wrong.",
};
const ADVICE = {
  not_recognised: "Choose the recording as the device exported it: no PDF, picture or letter. A WFDB record needs its .hea and .dat together.",
  unsupported: "Export the recording in another of the formats that are named at the field.",
  bad_zip: "Export the study again: the archive is damaged or holds nothing.",
  no_frames: "Choose the study with the short-axis cine.",
  401: "Enter the API key this server was started with, then score again.",
  413: "Send fewer or smaller files: one recording, one cine.",
  429: "The server is busy. Wait a few seconds, then score again.",
  other: "Correct what is named here, or leave it out, then score again.",
  504: "The server took too long. Score again without the explanation, or with fewer files.",
};

/** A refusal: `status` of HTTP, `code`, `where`, `expected`, `got` and `hint` as the server gave them. */
export class Refusal extends Error {
  constructor(status, given) {
    super(given.message ?? "The server refused without a reason.");
    const { code, where, expected, got, hint } = given;
    Object.assign(this, { status, code, where, expected, got, hint: hint ?? ADVICE[code] ?? ADVICE[status] ?? ADVICE.other });
  }
}

/** Return what the served model is and takes. */
export const readModel = (key) => asked("v1/model", { headers: headers(key) });

/** Return the score of one subject; `files` by modality, `facts` by canonical name. */
export function predict({ files, facts, explain, key, signal }) {
  const body = new FormData();
  for (const [modality, chosen] of Object.entries(files)) {
    for (const file of chosen) body.append(modality, file, file.name);
  }
  if (Object.keys(facts).length) body.append("facts", JSON.stringify(facts));
  body.append("explain", String(explain));
  return asked("v1/predict", { method: "POST", body, signal, headers: headers(key) });
}

const headers = (key) => (key ? { "X-API-Key": key } : {});

async function asked(address, options) {
  let answer;
  try {
    answer = await fetch(address, { cache: "no-store", credentials: "omit", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, UNREACHABLE);
  }
  const body = await answer.json().catch(() => ({ error: UNREADABLE }));
  if (!answer.ok || body.error) throw new Refusal(answer.status, body.error ?? UNREADABLE);
  return body;
}
