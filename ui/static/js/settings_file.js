/* The settings file itself, with line numbers and the daemon's verdict while typing. */
import { post } from "./api.js";
import { button, count, h, mount } from "./dom.js";
import { notice } from "./kit.js";

const PAUSE = 400; // milliseconds after the last key

/** Make the editor; gives {element, text(), set(text), check() → valid}. `changed()` is called after each key. */
export function fileEditor(text, readonly, changed) {
  const area = h("textarea", { class: "mono", wrap: "off", spellcheck: "false", autocapitalize: "off", autocomplete: "off", readonly, "aria-label": "The settings file, YAML", "aria-describedby": "file-said", "data-test": "yaml", oninput: () => { arrange(); changed(); later(); } });
  const gutter = h("ol", { class: "gutter", "aria-hidden": "true" });
  const said = h("div", { id: "file-said", role: "status", "data-test": "file-said" });
  let timer = 0;
  let asked = 0;
  let wrong = new Map();

  function arrange() {
    const lines = area.value.split("\n").length;
    area.rows = lines + 1;
    while (gutter.childElementCount > lines) gutter.lastChild.remove();
    while (gutter.childElementCount < lines) gutter.append(h("li"));
    [...gutter.children].forEach((line, i) => { line.className = wrong.get(i + 1) ?? ""; });
  }
  function later() {
    clearTimeout(timer);
    timer = setTimeout(() => check().catch((error) => mount(said, notice("warning", error.message))), PAUSE);
  }
  function goTo(line) {
    const lines = area.value.split("\n");
    const from = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
    area.focus({ preventScroll: true });
    area.setSelectionRange(from, from + (lines[line - 1] ?? "").length);
    gutter.children[line - 1]?.scrollIntoView({ block: "center" });
  }
  async function check() {
    const mine = ++asked;
    const { valid, faults = [], warnings = [] } = await post("/config/validate", { yaml: area.value });
    if (mine !== asked) return valid;
    wrong = new Map([...warnings.map((one) => [one.line, "warned"]), ...faults.map((one) => [one.line, "bad"])]);
    arrange();
    const row = (one) => h("li", null, one.line && button(`Line ${one.line}`, () => goTo(one.line), { kind: "small" }), " ", one.key && h("code", null, one.key), one.key && ": ", one.message ?? String(one));
    mount(said, valid ? notice("ok", "This file is valid.") : notice("warning", h("strong", null, `${count(faults.length, "fault")}; it cannot be saved like this.`), h("ul", { class: "plain", "data-test": "faults" }, faults.map(row))),
      warnings.length > 0 && notice("info", h("ul", { class: "plain" }, warnings.map(row))));
    return valid;
  }
  function set(next) {
    area.value = next;
    wrong = new Map();
    mount(said);
    arrange();
  }
  set(text);
  return { element: h("div", { class: "file panel flush" }, said, h("div", { class: "editor" }, gutter, area)), text: () => area.value, set, check };
}
