/** The log as it is written, and the audit trail: what was removed or put back, when, by whom. */

import { get, url } from "../api.js";
import { button, count, dateTime, failed, h, icon, mount, setText, shortTime, viewHead } from "../dom.js";
import { lookOnly } from "../kit.js";
import { wantLog } from "../live.js";

const KEPT = 2000; // lines on the page
const PAGE = 200;
const LEVELS = ["debug", "info", "warning", "error"];
const TYPING = 300; // milliseconds of quiet before a search is begun

export default {
  title: "Log",

  mount(root, { query, store }) {
    const closed = lookOnly();
    if (closed) { // the daemon would not give it either: lines and audit name files, people and addresses
      root.append(viewHead("Log"), closed);
      return null;
    }
    const body = h("div", { id: "log-body", role: "tabpanel", "aria-labelledby": "tab-log" });
    let end = null;
    const tabs = [["log", "Log", logPane], ["audit", "Audit", auditPane]].map(([name, words, pane]) =>
      h("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "log-body", "data-test": `tab-${name}`, onclick: () => open(name, pane), data: { pane: name } }, words));
    const bar = h("div", { class: "tabs", role: "tablist", "aria-label": "Log or audit", onkeydown: (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
      const other = tabs.find((tab) => tab !== event.target);
      other.focus();
      other.click();
    } }, tabs);

    function open(name, pane) {
      end?.();
      for (const tab of tabs) {
        const here = tab.dataset.pane === name;
        tab.setAttribute("aria-selected", here);
        tab.tabIndex = here ? 0 : -1;
        if (here) body.setAttribute("aria-labelledby", tab.id);
      }
      body.replaceChildren();
      end = pane(body, store, query);
    }

    root.append(viewHead("Log", h("a", { class: "button", href: url("/log/download"), download: "", "data-test": "download" }, icon("download"), "Download")), bar, body);
    open(...(query.get("tab") === "audit" ? ["audit", auditPane] : ["log", logPane]));
    return () => end?.();
  },
};

function logPane(body, store, query) {
  let paused = false;
  let waiting = [];
  let next = null;
  let turn = 0;
  const known = new Set();
  const level = h("select", { id: "log-level", "data-test": "level", onchange: reload }, LEVELS.map((name) => h("option", { value: name }, name === "error" ? name : `${name} and above`)));
  level.value = LEVELS.includes(query.get("level")) ? query.get("level") : "info";
  const search = h("input", { type: "search", id: "log-q", "data-test": "search", value: query.get("q") ?? "", autocomplete: "off", oninput: () => (clearTimeout(typed), (typed = setTimeout(reload, TYPING))) });
  let typed = 0;
  const pause = h("button", { type: "button", class: "button", "aria-pressed": "false", "data-test": "log-pause", onclick: () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", paused);
    if (!paused) flush();
    say();
  } }, icon("pause"), h("span", null, "Pause"));
  const list = h("ol", { class: "log", tabindex: "0", "aria-label": "Log lines, newest first", "data-test": "log" });
  const said = h("span", { class: "faint", role: "status" });
  const more = button("Older lines", older, { kind: "small", "data-test": "older" });
  body.append(
    h("div", { class: "toolbar" },
      h("div", { class: "field" }, h("label", { for: "log-level" }, "Level"), level),
      h("div", { class: "field wide" }, h("label", { for: "log-q" }, "Search"), search), pause),
    list, h("div", { class: "log-foot" }, said, more));

  function say() {
    setText(pause.lastChild, paused ? "Go on" : "Pause");
    setText(said, paused ? `Paused${waiting.length ? `, ${count(waiting.length, "new line")} waiting` : ""}.` : list.childElementCount ? "" : search.value ? "No line fits." : "Nothing of this level was logged since the start.");
  }

  const fits = (line) => {
    const q = search.value.trim().toLowerCase();
    return !q || `${line.message} ${line.area}`.toLowerCase().includes(q);
  };

  function flush() {
    const fresh = waiting.filter((line) => !known.has(line.id) && known.add(line.id));
    waiting = [];
    if (!fresh.length) return;
    const top = list.scrollTop;
    const tall = list.scrollHeight;
    list.prepend(...fresh.map(row).reverse());
    if (top > 4) list.scrollTop = top + list.scrollHeight - tall; // whoever reads further down is not pushed away
    while (list.childElementCount > KEPT) list.lastElementChild.remove();
  }

  async function reload() {
    const mine = ++turn;
    wantLog(level.value);
    try {
      const answer = await get("/log", { level: level.value, q: search.value.trim(), limit: PAGE });
      if (mine !== turn) return;
      known.clear();
      waiting = [];
      for (const line of answer.lines) known.add(line.id);
      mount(list, answer.lines.map(row));
      list.scrollTop = 0;
      keepNext(answer.next);
      say();
    } catch (error) {
      if (mine === turn) failed(error);
    }
  }

  async function older() {
    const mine = turn;
    const answer = await get("/log", { level: level.value, q: search.value.trim(), before: next, limit: PAGE });
    if (mine !== turn) return;
    list.append(...answer.lines.filter((line) => !known.has(line.id) && known.add(line.id)).map(row));
    keepNext(answer.next);
  }

  function keepNext(cursor) {
    next = cursor;
    more.hidden = !cursor;
  }

  const off = [
    store.on((lines) => {
      waiting.push(...lines.filter(fits));
      if (waiting.length > KEPT) waiting.splice(0, waiting.length - KEPT);
      if (!paused) flush();
      say();
    }, "log"),
    // A reconnect may have missed lines: they are no part of the numbered changes.
    store.on((link) => link === "live" && reload(), "link"),
  ];
  reload();
  return () => {
    turn += 1;
    clearTimeout(typed);
    wantLog(null);
    for (const end of off) end();
  };
}

function row(line) {
  const extra = line.extra && Object.keys(line.extra).length ? Object.entries(line.extra).map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`).join(" ") : null;
  return h("li", { class: `lv-${line.level.toLowerCase()}` },
    h("time", { class: "at", datetime: line.time, title: dateTime(line.time) }, clock(line.time)),
    h("span", { class: "lv" }, line.level.toLowerCase()), h("span", { class: "area clip", title: line.area }, line.area),
    h("span", { class: "what", title: extra }, line.message));
}

function clock(iso) {
  const day = shortTime(iso);
  return /^\d\d:\d\d$/.test(day) ? dateTime(iso).split(", ").at(-1) : day;
}

function auditPane(body) {
  const list = h("ol", { class: "log audit", tabindex: "0", "aria-label": "Audit, newest first", "data-test": "audit" });
  const said = h("p", { class: "faint", role: "status" }, "Loading…");
  let next = null;
  const more = button("Older entries", load, { kind: "small", hidden: true });
  body.append(h("p", { class: "toolbar muted" }, "Every removal, every file put back, and every change made from the page."), list, h("div", { class: "log-foot" }, said, more));

  async function load() {
    const answer = await get("/audit", { before: next, limit: 100 });
    list.append(...answer.lines.map((line) => h("li", null,
      h("time", { class: "at", datetime: line.at, title: dateTime(line.at) }, clock(line.at)),
      h("b", null, line.deed), h("span", { class: "area" }, line.who || "by itself"),
      h("span", { class: "what" }, line.photo_id ? h("a", { href: `#/photo/${line.photo_id}` }, line.path || `photo ${line.photo_id}`) : line.path, line.user ? ` of ${line.user}` : "", line.note ? h("div", { class: "faint" }, line.note) : null))));
    next = answer.next;
    more.hidden = !next;
    setText(said, list.childElementCount ? "" : "Nothing was removed or changed yet.");
  }
  load().catch((error) => (setText(said, ""), failed(error)));
  return null;
}
