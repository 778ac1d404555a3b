/** The cine at work: playing, stopped or step by step, with the crop that the network sees. */

import { card, drawing, element } from "./elements.js";
import { overlays } from "./planes.js";

const BEAT_MS = 1000;
const SHOWN_PX = 320;

/** Return the card of a cine; `explained` is its part of the explanation, `compared` what with, or null, in `unit`. */
export async function cineCard(cine, explained, compared, unit) {
  const frames = await Promise.all(cine.frames.map(picture));
  const player = playing(cine, frames);
  const planes = explained ? overlays(cine, frames, explained, compared, unit) : [];
  return card("cine", "Cine MRI", player, ...planes);
}

/** Stop every cine under a node before it goes. */
export function stopCines(root) {
  root.querySelectorAll(".player").forEach((player) => player.dispatchEvent(new Event("cine-stop")));
}

async function picture(frame) {
  const image = new Image();
  image.src = `data:image/png;base64,${frame}`;
  await image.decode();
  return image;
}

function playing(cine, frames) {
  const canvas = element("canvas", { width: frames[0].naturalWidth, height: frames[0].naturalHeight, role: "img", "aria-label": inWords(cine) });
  const slider = element("input", { type: "range", min: 1, max: frames.length, value: 1, step: 1, "aria-label": "Phase of the heartbeat" });
  const said = element("span", { class: "phase" });
  const player = element(
    "figure",
    { class: "player" },
    element("div", { class: "screen" }, canvas, cropBox(cine)),
    element("div", { class: "controls" }, buttons(), slider, said),
    element("figcaption", {}, caption(cine)),
  );
  shape(player.querySelector(".screen"), cine);
  control(player, { canvas, slider, said, frames, step_ms: cine.phase_ms || BEAT_MS / frames.length });
  return player;
}

function control(player, { canvas, slider, said, frames, step_ms }) {
  const [back, play, forth] = player.querySelectorAll("button");
  let timer = null;
  const show = (phase) => {
    slider.value = ((phase - 1 + frames.length) % frames.length) + 1;
    slider.setAttribute("aria-valuetext", `phase ${slider.value} of ${frames.length}`);
    said.textContent = `${slider.value} / ${frames.length}`;
    canvas.getContext("2d").drawImage(frames[slider.value - 1], 0, 0);
  };
  const step = (by) => show(Number(slider.value) + by);
  const stop = () => {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  };
  const start = () => {
    timer = setInterval(() => step(1), step_ms);
    play.textContent = "Pause";
  };
  play.addEventListener("click", () => (timer === null ? start() : stop()));
  for (const [button, by] of [[back, -1], [forth, 1]]) button.addEventListener("click", () => (stop(), step(by)));
  slider.addEventListener("input", () => (stop(), show(Number(slider.value))));
  player.addEventListener("cine-stop", stop);
  show(1);
  if (frames.length > 1 && !matchMedia("(prefers-reduced-motion: reduce)").matches) start();
}

function buttons() {
  return ["Back", "Play", "Forth"].map((name) => element("button", { type: "button", class: "small" }, name));
}

function cropBox({ crop, width, height }) {
  if (!crop) return null;
  return drawing(
    "svg",
    { class: "crop", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    ["under", "over"].map((name) =>
      drawing("rect", { class: name, x: crop.left, y: crop.top, width: crop.width, height: crop.height }),
    ),
  );
}

function shape(screen, { width, height, pixel_mm: [row, column] = [1, 1] }) {
  const [wide, tall] = [width * column, height * row];
  screen.style.aspectRatio = `${wide} / ${tall}`;
  screen.style.maxWidth = `${Math.round(wide > tall ? SHOWN_PX : (SHOWN_PX * wide) / tall)}px`;
}

function caption({ slice, slices, crop, pixel_mm: spacing }) {
  const which = slice ? `Slice ${slice}${slices ? ` of ${slices}` : ""}, as it was read. ` : "";
  const side = crop && spacing ? `, ${Math.round(crop.height * spacing[0])} mm wide` : "";
  return `${which}${crop ? `The dashed box is what the network sees${side}.` : ""}`;
}

function inWords(cine) {
  return `Cine of the heart in short axis, ${cine.frames.length} phases of one beat. ${caption(cine)}`;
}

