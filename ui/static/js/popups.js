/**
 * Messages over the page: a new issue comes as a terminal from the nineties (or plain, `ui.popups`), a deed's failure
 * likewise, a deed's success as one quiet line.
 *
 * An issue pops up once in a session of this tab (code, part and since-when are remembered), goes when it is mended,
 * and never takes the focus. The flavour line is decoration: the real message, code and hint stand below it and are what
 * a screen reader hears.
 */

import { h, icon, mount, setFailureHandler, setText } from "./dom.js";
import { store } from "./live.js";

const AT_ONCE = matchMedia("(max-width: 759px)").matches ? 1 : 3;
const QUIET = 6000; // milliseconds that a good message stays
const SEEN = "photon-relay.seen";

const FLAVOUR = [
  [/^photoprism\./, "Warning: containment field of the archive core unstable"],
  [/^archive\./, "Warning: archive vault seal not confirmed"],
  [/^(occ|nextcloud|index|memories)\./, "Alert: docking bay does not answer hails"],
  [/^(docker|gate)\./, "Alert: airlock control off line"],
  [/^(disk|space|mount)\./, "Warning: cargo hold pressure critical"],
  [/^(watch|sweep)\./, "Sensor array: long-range scan degraded"],
  [/^config\./, "Navigation: course data corrupt. Holding last course"],
  [/^(ntfy|notify)\./, "Subspace transmitter failure"],
  [/^page\./, "Carrier signal lost"],
  [/^(session|access|password|http\.4|throttle)/, "Access denied: shields raised"],
  [/^task\./, "Warning: reactor subsystem restarting"],
  [/^(user|home)\./, "Life signs detected: identity unknown"],
  [/^(photo|file|media|restore|release)\./, "Anomaly detected in the photon stream"],
];

const MENDED_AT = [
  [/^photo \d+$/, (_, about) => [`#/photo/${about.slice(6)}`, "See the photo"]],
  [/^user\.|^user /, () => ["#/users", "Open Users"]],
  [/^photoprism\.(unauthorized|forbidden|no_token|url|token)/, () => ["#/settings/photoprism", "Open its settings"]],
  [/^config\./, () => ["#/settings", "Open Settings"]],
  [/^(ntfy|notify)\./, () => ["#/settings/notify", "Open its settings"]],
  [/^(session|access|password)\./, () => ["#/access", "Open Access"]],
  [/^(photoprism|occ|nextcloud|docker|gate|disk|mount|watch)\./, () => ["#/checks", "Run the checks"]],
];

/** Where a person goes to mend this: `[address, words]`. */
export function mendedAt(code = "", about = "") {
  const found = MENDED_AT.find(([pattern]) => pattern.test(about) || pattern.test(code));
  return found ? found[1](code, about) : ["#/errors", "More on this"];
}

const box = document.getElementById("popups");
const shown = new Map(); // key → element, oldest first
const hidden = new Set(); // issues there was no room for

const keyOf = (issue) => `${issue.code}|${issue.about}|${issue.since}`;

function seen() {
  try {
    return new Set(JSON.parse(sessionStorage.getItem(SEEN) ?? "[]"));
  } catch {
    return new Set();
  }
}

function remember(keys) {
  try {
    sessionStorage.setItem(SEEN, JSON.stringify([...seen(), ...keys].slice(-200)));
  } catch {
    // no storage: then it may come once more after a reload
  }
}

function show(key, element) {
  shown.get(key)?.remove();
  shown.delete(key);
  shown.set(key, element);
  box.append(element);
  // A quiet line goes by itself, and pushes no error away that nobody has read yet.
  const alarms = [...shown.keys()].filter((one) => !one.startsWith("toast "));
  for (const oldest of alarms.slice(0, -AT_ONCE)) {
    if (oldest.includes("|")) hidden.add(oldest);
    close(oldest);
  }
  drawRest();
}

function close(key) {
  const element = shown.get(key);
  if (!element) return;
  const next = element.contains(document.activeElement) && (element.previousElementSibling ?? element.nextElementSibling);
  shown.delete(key);
  element.remove();
  if (next !== false) (next?.querySelector(".close") ?? document.getElementById("main")).focus({ preventScroll: true });
  drawRest();
}

const rest = h("a", { class: "button small", href: "#/errors" });
const restBox = h("div", { class: "popup" }, rest);

function drawRest() {
  if (!hidden.size || !shown.size) return restBox.remove();
  setText(rest, `and ${hidden.size} more`);
  if (box.lastElementChild !== restBox) box.append(restBox);
}

function closeButton(key) {
  return h("button", { type: "button", class: "close", "aria-label": "Dismiss this message", onclick: () => close(key) }, icon("close"));
}

function alarm(key, { code, about, message, hint }) {
  const plain = store.state?.page?.popups === "plain";
  const [href, words] = mendedAt(code, about);
  const flavour = FLAVOUR.find(([pattern]) => pattern.test(code))?.[1] ?? "Warning: containment field fluctuating";
  show(
    key,
    h(
      "div",
      { class: plain ? "popup bad" : "popup scifi", role: code === "user.new" ? "status" : "alert", "data-test": "popup", data: { code } },
      !plain && h("p", { class: "flavour", "aria-hidden": "true" }, flavour),
      h("p", { class: "real" }, message),
      hint && h("p", { class: "hint" }, hint),
      h("footer", null, h("span", { class: "code" }, code), h("a", { href, onclick: () => close(key) }, words)),
      closeButton(key),
    ),
  );
}

/** Say that something worked; goes by itself. */
export function toast(text) {
  const key = `toast ${text}`;
  const words = h("p", { role: "status" });
  show(key, h("div", { class: "popup good", "data-test": "toast" }, words, closeButton(key)));
  requestAnimationFrame(() => mount(words, text)); // a live region is read out only when it changes
  setTimeout(() => close(key), QUIET);
}

/** Say that a deed failed. What ended the session is answered by the log-in instead. */
export function showError(error) {
  if (error.name === "AbortError" || error.status === 401) return;
  const code = error.code ?? "page.fault";
  if (!error.code) console.error(error);
  alarm(`error ${code}`, { code, about: "", message: error.message, hint: error.hint });
}

function look(state) {
  const issues = state.issues ?? [];
  const open = new Map(issues.map((issue) => [keyOf(issue), issue]));
  for (const key of [...shown.keys(), ...hidden]) {
    if (key.includes("|") && !open.has(key)) {
      hidden.delete(key);
      close(key);
    }
  }
  const known = seen();
  const fresh = [...open].filter(([key]) => !known.has(key));
  if (!fresh.length) return drawRest();
  remember(fresh.map(([key]) => key));
  if (location.hash.startsWith("#/errors")) return; // it stands there already
  for (const [key, issue] of fresh) alarm(key, issue);
}

/** Begin to listen. */
export function startPopups() {
  setFailureHandler(showError);
  store.on((state, keys) => keys.has("issues") && look(state));
  addEventListener("hashchange", () => {
    const errors = location.hash.startsWith("#/errors"); // there they all stand
    if (errors) hidden.clear();
    for (const key of [...shown.keys()]) if (key.startsWith("error ") || (errors && key.includes("|"))) close(key);
  });
  addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog[open]")) return;
    if (event.target.matches?.("input, textarea, select") && !box.contains(event.target)) return;
    const key = [...shown.keys()].at(-1);
    if (key) close(key);
  });
}
