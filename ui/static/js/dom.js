/**
 * Makes elements and words: `h` for HTML, `s` for SVG, keyed lists, dialogs, and the formats of numbers and times.
 *
 * Data gets into the page as text nodes and attributes only, so a file may be called whatever it likes.
 */

const SVG = "http://www.w3.org/2000/svg";
const AS_PROPERTY = new Set(["value", "checked", "indeterminate", "selected", "open", "htmlFor"]);

/**
 * Make an element. Props: `class`, `onclick` and other `on…` functions, `style` (an object, set through the CSSOM),
 * `data` (an object for dataset), attributes; `null`, `undefined` and `false` are left out, `true` is an empty attribute.
 * Children: nodes, text, numbers, arrays of these; empty ones are left out.
 */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** Make an SVG element, same rules. */
export function s(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(element, props, children) {
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(key.slice(2), value);
    else if (key === "style") for (const [name, what] of Object.entries(value)) element.style.setProperty(name, what);
    else if (key === "data") Object.assign(element.dataset, value);
    else if (AS_PROPERTY.has(key)) element[key] = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...nodes(children));
  return element;
}

const nodes = (children) =>
  children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false && child !== "");

/** Put `children` into `parent` instead of what is there. */
export function mount(parent, ...children) {
  parent.replaceChildren(...nodes(children));
  return parent;
}

/** Set an element's text, touching the page only where it differs (so that nothing flickers or is read out again). */
export function setText(element, text) {
  const words = String(text ?? "");
  if (element.textContent !== words) element.textContent = words;
}

/** Set or remove an attribute, touching the page only where it differs. */
export function setAttr(element, name, value) {
  const now = element.getAttribute(name);
  if (value === null || value === undefined || value === false) {
    if (now !== null) element.removeAttribute(name);
  } else if (now !== String(value === true ? "" : value)) element.setAttribute(name, value === true ? "" : value);
}

/**
 * Keep the children of `parent` equal to `items`: each keeps its element (focus, selection, scroll) as long as its key
 * stays. `make(item)` makes an element, `update(element, item)` brings one up to date (and is called after make, too).
 */
export function keyed(parent, items, keyOf, make, update = () => {}) {
  const before = new Map(Array.from(parent.children, (child) => [child.keyedBy, child]));
  let at = parent.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let element = before.get(key);
    before.delete(key);
    if (!element) {
      element = make(item);
      element.keyedBy = key;
    }
    update(element, item);
    if (element === at) at = at.nextElementSibling;
    else parent.insertBefore(element, at);
  }
  for (const gone of before.values()) gone.remove();
}

/** Head of a view: its h1 (takes the focus after a change of view) and what can be done there. */
export function viewHead(title, ...actions) {
  return h("div", { class: "view-head" }, h("h1", { tabindex: "-1" }, title), h("div", { class: "actions" }, actions));
}

/** A box with a heading; `aside` stands at the right of the heading. */
export function panel(title, { aside = null, name = null, level = 2 } = {}, ...children) {
  const id = `h-${Math.random().toString(36).slice(2, 9)}`;
  return h(
    "section",
    { class: "panel", "aria-labelledby": id, "data-test": name },
    h("header", { class: "panel-head" }, h(`h${level}`, { id }, title), aside),
    ...children,
  );
}

/** A button; while its promise runs it is busy and cannot be pressed again. Failures go to `failed` (see popups.js). */
export function button(label, deed, { kind = "", ...props } = {}) {
  const element = h("button", { type: "button", class: `button ${kind}`.trim(), ...props }, label);
  element.addEventListener("click", async (event) => {
    if (element.getAttribute("aria-busy") === "true") return;
    element.setAttribute("aria-busy", "true");
    try {
      await deed(event);
    } catch (error) {
      failed(error);
    } finally {
      element.removeAttribute("aria-busy");
    }
  });
  return element;
}

let onFailure = (error) => console.error(error);

/** Tell a person that something they did failed; the popups take this over when the page starts. */
export const failed = (error) => onFailure(error);
export const setFailureHandler = (fn) => {
  onFailure = fn;
};

/**
 * Ask something in a modal dialog; gives true, or false where it was closed. `body`: nodes or text. `kind` "danger" for
 * what cannot be taken back. `deed`: awaited while the dialog is still open; its failure is shown inside it.
 */
export function ask(title, body, { yes = "Yes", no = "Cancel", kind = "primary", deed = null } = {}) {
  return new Promise((resolve) => {
    let answer = false;
    const fault = h("p", { class: "fault", role: "alert", hidden: true });
    const go = h("button", { type: "submit", class: `button ${kind}` }, yes);
    const dialog = h(
      "dialog",
      { class: "dialog", "aria-label": title, onclose: () => (dialog.remove(), resolve(answer)) },
      h(
        "form",
        {
          method: "dialog",
          onsubmit: async (event) => {
            event.preventDefault();
            if (go.getAttribute("aria-busy") === "true") return;
            go.setAttribute("aria-busy", "true");
            try {
              await deed?.();
              answer = true;
              dialog.close();
            } catch (error) {
              fault.hidden = false;
              mount(fault, error.message, error.hint ? `; ${error.hint}` : "");
            } finally {
              go.removeAttribute("aria-busy");
            }
          },
        },
        h("h2", null, title),
        h("div", { class: "dialog-body" }, body),
        fault,
        h("div", { class: "actions end" }, no && h("button", { type: "button", class: "button", onclick: () => dialog.close() }, no), go),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}

// -- words and numbers ------------------------------------------------------------------------------------------

let zone;

/** Show times in this time zone (IANA name); an unknown one is the browser's own. */
export function setTimezone(name) {
  try {
    zone = name ? Intl.DateTimeFormat(undefined, { timeZone: name }).resolvedOptions().timeZone : undefined;
  } catch {
    zone = undefined;
  }
  formats.clear();
}

const formats = new Map();

function format(name, options) {
  let found = formats.get(name);
  if (!found) formats.set(name, (found = new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...options })));
  return found;
}

const NUMBER = new Intl.NumberFormat("en-GB");
const COMPACT = new Intl.NumberFormat("en-GB", { notation: "compact", maximumFractionDigits: 1 });

export const number = (n) => (n === null || n === undefined ? "–" : NUMBER.format(n));
/** 12,345 → 12.3K: where room is short. */
export const compact = (n) => (n === null || n === undefined ? "–" : n < 10000 ? NUMBER.format(n) : COMPACT.format(n));
/** count(1, "photo") → "1 photo"; count(3, "photo") → "3 photos". */
export const count = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;

/** 1,536 → "1.5 KiB". */
export function bytes(n) {
  if (n === null || n === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let at = 0;
  let value = n;
  while (Math.abs(value) >= 1024 && at < units.length - 1) {
    value /= 1024;
    at += 1;
  }
  return `${value.toFixed(at === 0 || value >= 100 ? 0 : 1)} ${units[at]}`;
}

/** Seconds → "45 s", "3 min", "2 h 5 min", "4 days". */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.round(whole / 60);
  if (minutes < 60) return whole < 600 && whole % 60 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.round(hours / 24)} days`;
}

/** ISO time → "22 Nov 2026, 21:55:03". */
export function dateTime(iso) {
  const at = asDate(iso);
  return at
    ? format("dateTime", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(at)
    : "–";
}

/** ISO time → "21:55" today, "Sat 21:55" this week, else "3 Nov 2026". */
export function shortTime(iso) {
  const at = asDate(iso);
  if (!at) return "–";
  const day = format("day", { year: "numeric", month: "numeric", day: "numeric" });
  const time = format("time", { hour: "2-digit", minute: "2-digit" }).format(at);
  if (day.format(at) === day.format(new Date())) return time;
  if (Math.abs(Date.now() - at) < 6 * 86400000) return `${format("weekday", { weekday: "short" }).format(at)} ${time}`;
  return date(iso);
}

/** ISO time → "3 Nov 2026". */
export function date(iso) {
  const at = asDate(iso);
  return at ? format("date", { day: "numeric", month: "short", year: "numeric" }).format(at) : "–";
}

function asDate(iso) {
  const at = iso ? new Date(iso) : null;
  return at && !Number.isNaN(at.valueOf()) ? at : null;
}

/** The daemon's clock minus ours, in milliseconds, so that "5 s ago" is true on a phone whose clock is wrong. */
let skew = 0;
export const setNow = (iso) => {
  const at = asDate(iso);
  if (at) skew = at - Date.now();
};
/** Seconds from now until `iso` (negative: it is past). */
export const secondsTo = (iso) => (asDate(iso) ? (asDate(iso) - Date.now() - skew) / 1000 : null);

/** ISO time → "just now", "5 min ago", "in 3 min". */
export function ago(iso) {
  const seconds = secondsTo(iso);
  if (seconds === null) return "–";
  const size = Math.abs(seconds);
  if (size < 5) return seconds > 0.5 ? "in a moment" : "just now";
  const words = size < 60 ? `${Math.round(size)} s` : size < 3600 ? `${Math.round(size / 60)} min` : size < 86400 ? `${Math.round(size / 3600)} h` : count(Math.round(size / 86400), "day");
  return seconds > 0 ? `in ${words}` : `${words} ago`;
}

/** A `<time>` that says how long ago, keeps itself true, and has the whole date as its title. */
export function timeAgo(iso, words = ago) {
  if (!iso) return h("span", { class: "faint" }, "–");
  const element = h("time", { datetime: iso, title: dateTime(iso), class: "ago" }, words(iso));
  element.words = words;
  return element;
}

/** Point a `<time>` of timeAgo at another instant. */
export function setTime(element, iso) {
  setAttr(element, "datetime", iso);
  setAttr(element, "title", iso && dateTime(iso));
  setText(element, iso ? (element.words ?? ago)(iso) : "–");
}

setInterval(() => {
  if (document.hidden) return;
  for (const element of document.querySelectorAll("time.ago[datetime]")) setText(element, (element.words ?? ago)(element.dateTime));
}, 5000);

const STATE_WORDS = {
  found: "found", settled: "settled", examined: "examined", placed: "placed", imported: "imported", archived: "archived",
  released: "released", done: "done", waiting: "waiting", held: "held", refused: "refused", restored: "restored",
};

/** A photo's state as a small badge; colour is never the only sign. */
export function stateBadge(state, duplicate = false) {
  return h("span", { class: `badge state-${state}` }, STATE_WORDS[state] ?? state, duplicate ? " · duplicate" : "");
}

const ICONS = {
  now: "M3 12h4l2.5-7 5 14L17 12h4", users: "M9 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm-7 10a7 7 0 0 1 14 0m1-17.5a4 4 0 0 1 0 7M18 14.5a7 7 0 0 1 4 6.5",
  photos: "M4 4h16v16H4Zm0 12 5-5 4 4 3-3 4 4M15.5 9a1 1 0 1 0 0-2 1 1 0 0 0 0 2Z", batches: "m12 3 9 5-9 5-9-5Zm-9 9 9 5 9-5m-18 4 9 5 9-5",
  errors: "M12 3 2 20h20Zm0 6v5m0 3v.01", log: "M5 6h14M5 10h9M5 14h14M5 18h7", settings: "M4 7h10m4 0h2M4 17h2m4 0h10M16 9.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5Zm-8 10a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5Z",
  checks: "M4 12.5 9.5 18 20 6", access: "M6 11h12v9H6Zm2.5 0V8a3.5 3.5 0 0 1 7 0v3", more: "M5 12h.01M12 12h.01M19 12h.01", play: "M7 4v16l13-8Z",
  pause: "M8 5v14M16 5v14", close: "M6 6l12 12M18 6 6 18", download: "M12 4v11m-5-4 5 5 5-5M4 20h16", arrow: "M5 12h14m-6-6 6 6-6 6", eye: "M2 12s3.5-7 10-7 10 7 10 7-3.5 7-10 7S2 12 2 12Zm10 3a3 3 0 1 0 0-6 3 3 0 0 0 0 6Z",
  refresh: "M20 12a8 8 0 1 1-2.5-5.8M20 3v5h-5", search: "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13Zm5-2 5 5",
};

/** A line icon by name, hidden from screen readers. */
export function icon(name) {
  return s("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" }, s("path", { d: ICONS[name] ?? ICONS.more }));
}
