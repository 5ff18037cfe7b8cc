/* The settings as a form, made from their own description; it only collects edits, settings.js stores them. */
import { may, post, session } from "./api.js";
import { button, h, mount, setAttr } from "./dom.js";
import { faultNotice, notice, prose, toggle } from "./kit.js";
import { scheduleField } from "./schedule.js";
import { at, fault, letsIn, parse, same, sections } from "./schema_form.js";

const BY_HAND = "Only by hand in the file: it starts programs or names files.";

const brief = (value) => (Array.isArray(value) ? value.map((item) => (typeof item === "object" ? JSON.stringify(item) : item)).join(", ") || "none" : value === "" ? "empty" : typeof value === "object" ? "none" : String(value));

/**
 * Make the form, a section at a time. `edits`: Map from id to {path, value}; it is changed in place and `changed()` is
 * called. `first`: the section to open. Gives {element, section, mark(), faults() → [{key, message}], show(faults)}.
 */
export function settingsForm(schema, config, edits, changed, first = null) {
  const rows = new Map();
  const element = h("div", { class: "settings" });
  const all = sections(schema);
  const parts = new Map();
  const jump = h("nav", { class: "jump", "aria-label": "Sections" }, all.map((part) => h("button", { type: "button", class: "button small quiet", data: { jump: part.id }, onclick: () => open(part.id) }, part.title)));
  element.append(jump, h("form", { autocomplete: "off", onsubmit: (event) => event.preventDefault() }, all.map((part) => {
    parts.set(part.id, section(part, 2));
    return parts.get(part.id);
  })));
  const made = { element, section: first, mark, show, faults: () => [...rows].map(([id, one]) => ({ key: id, message: one.locked ? "" : one.judge() })).filter((one) => one.message) };
  open(parts.has(first) ? first : all[0].id);

  function open(id) {
    made.section = id;
    for (const [other, part] of parts) part.hidden = other !== id;
    for (const one of jump.children) setAttr(one, "aria-current", one.dataset.jump === id && "true");
  }
  /** Show in the row of sections where something was edited. */
  function mark() {
    for (const one of jump.children) one.classList.toggle("edited", [...edits.keys()].some((id) => id.startsWith(`${one.dataset.jump}.`)));
  }
  /** Show what is wrong at its fields, and go to the first. */
  function show(faults) {
    for (const found of faults) rows.get(found.key)?.judge(found.message);
    const id = faults.map((found) => found.key).find((key) => rows.has(key));
    if (!id) return;
    open(parts.has(id.split(".")[0]) ? id.split(".")[0] : "general");
    const { outer } = rows.get(id);
    outer.scrollIntoView({ block: "center" });
    outer.querySelector("input, select")?.focus({ preventScroll: true });
  }

  function section(part, level) {
    const special = part.id === "notify.ntfy" ? test() : part.id === "users" ? h("p", { class: "muted" }, "Who takes part is decided under ", h("a", { href: "#/users" }, "Users"), ".") : null;
    const inside = [h(`h${level}`, { tabindex: "-1" }, part.title), part.help && h("p", { class: "muted" }, prose(part.help)), part.fields.map(row), special, part.sections.map((inner) => section(inner, level + 1))];
    return level === 2 ? h("section", { class: "panel", "data-section": part.id, "aria-label": part.title }, inside) : h("fieldset", { class: `sub ${part.path.at(-1)}`, "aria-label": part.title }, inside);
  }

  function locked(spec) {
    const over = Object.entries(config.overridden ?? {}).find(([id]) => covers(id, spec.id));
    if (over) return `Comes from the ${over[1]}, and is changed there.`;
    if (spec.kind === "shown" || (config.by_hand ?? []).some((id) => covers(id, spec.id))) return spec.id === "hooks" ? "Changed in the file itself, under the tab File." : BY_HAND;
    if (spec.id === "ui.password_hash") return "Set and changed under Access.";
    return config.writable && may("admin") ? "" : "-";
  }

  function row(spec) {
    const why = locked(spec);
    const id = `s-${spec.id.replaceAll(".", "-")}`;
    /* The settings come whole: what is as the default counts as not set. */
    spec.default = at(config.defaults, spec.path) ?? spec.default;
    const stands = at(config.settings, spec.path) ?? undefined;
    const current = same(stands, spec.default) ? undefined : stands;
    const place = h("div", { class: "control" });
    const back = h("button", { type: "button", class: "button small quiet back", "data-test": "to-default", "aria-label": `Back to default: ${spec.label}`, onclick: () => { put(null); draw(); place.querySelector("input, select, button")?.focus(); } }, "Back to default");
    const wrong = h("p", { class: "wrong", id: `${id}-wrong`, role: "alert" });
    const outer = h("div", { class: "setting", "data-test": `setting-${spec.id}` });
    const value = () => (edits.has(spec.id) ? edits.get(spec.id).value ?? undefined : current);
    const props = { id, disabled: Boolean(why), "aria-describedby": `${id}-help ${id}-wrong` };

    function put(next) {
      if (spec.kind === "secret" ? next === undefined : same(next ?? undefined, current)) edits.delete(spec.id);
      else edits.set(spec.id, { path: spec.path, value: next ?? null, gone: spec.kind === "map" && next && current ? Object.keys(current).filter((key) => !(key in next)) : [] });
      judge();
      changed();
    }
    function judge(told = "") {
      const said = told || (edits.has(spec.id) ? fault(spec, value()) || guard(spec, value()) : "");
      if (wrong.textContent !== said) mount(wrong, said, said && spec.id === "ui.allow" && lockedOut(value()) && button(`Add ${session.address}`, () => { put([...value(), session.address]); draw(); }, { kind: "small" }));
      outer.classList.toggle("edited", edits.has(spec.id));
      outer.classList.toggle("bad", Boolean(said));
      place.querySelector(`#${id}`)?.setAttribute("aria-invalid", String(Boolean(said)));
      const set = spec.kind !== "secret" && value() !== undefined && value() !== null;
      back.hidden = Boolean(why) || !set;
      return said;
    }
    function draw() {
      mount(place, widget(spec, value(), put, props, draw, { stored: config.secrets_set?.[spec.id], removing: edits.get(spec.id)?.value === null }));
      judge();
    }
    rows.set(spec.id, { judge, outer, locked: Boolean(why) });
    const name = spec.kind === "switch" || spec.kind === "list" || spec.kind === "map" || spec.kind === "shown" ? h("span", { class: "label", id: `${id}-name` }, spec.label) : h("label", { class: "label", htmlFor: id }, spec.label);
    mount(outer, h("div", { class: "setting-name" }, name, back), place, h("div", { class: "setting-help" }, h("p", { class: "help", id: `${id}-help` }, prose(spec.help)), why.length > 1 && h("p", { class: "why" }, why), also(spec)), wrong);
    draw();
    return outer;
  }

  function also(spec) {
    const secret = { "photoprism.url": ["photoprism.token"], "notify.ntfy.url": ["notify.ntfy.token", "notify.ntfy.password"] }[spec.id]?.find((id) => config.secrets_set?.[id]);
    return secret && h("p", { class: "help" }, `A new address needs the ${secret.split(".").at(-1)} typed again, so that it is not sent to a stranger.`);
  }

  return made;
}

const covers = (id, key) => id === key || key.startsWith(`${id}.`) || id.startsWith(`${key}[`);
const lockedOut = (list) => Array.isArray(list) && !letsIn(list, session.address);

/** What would lock out the very person who saves it. */
function guard(spec, value) {
  if (spec.id === "ui.allow" && lockedOut(value)) return `You are at ${session.address}, which is not in this list: you would lock yourself out. `;
  const name = location.hostname;
  const plain = name === "localhost" || name.endsWith(".localhost") || /^[\d.]+$|^\[/.test(name);
  if (spec.id === "ui.hosts" && !plain && !(value ?? []).includes(name)) return `You call this page as ${name}, which is not in this list: you would lock yourself out.`;
  return "";
}

function widget(spec, value, put, props, draw, kept) {
  const text = (more = {}) => h("input", { type: "text", ...props, value: value ?? "", placeholder: spec.default === undefined || spec.default === "" ? "" : brief(spec.default), spellcheck: "false", autocomplete: "off",
    oninput: (event) => put(event.target.value.trim() === "" ? null : parse(spec, event.target.value)), ...more });
  if (spec.kind === "choice") return h("select", { ...props, onchange: (event) => put(event.target.value || null) }, h("option", { value: "" }, `Default: ${spec.default}`), spec.options.map((option) => h("option", { value: option, selected: option === value }, option)));
  if (spec.kind === "switch") return toggle((value ?? spec.default) ? "On" : "Off", Boolean(value ?? spec.default), (on) => { put(on === spec.default ? null : on); draw(); document.getElementById(props.id).focus(); }, { ...props, "aria-labelledby": `${props.id}-name` });
  if (spec.kind === "schedule") return scheduleField(value, spec.default, put, props).element;
  if (spec.kind === "secret") return secret(value, put, props, draw, kept);
  if (spec.kind === "list") return list(spec, value, put, props, draw);
  if (spec.kind === "map") return map(spec, value ?? {}, put, props, draw);
  if (spec.kind === "shown") return h("p", { class: "shown" }, value?.length ? value.map((item) => h("code", null, brief(Array.isArray(item) ? [item.join(" ")] : Object.entries(item).map(([key, what]) => `${key}: ${brief(what)}`)))) : h("span", { class: "muted" }, "none"));
  if (spec.kind === "number") return text({ inputmode: spec.word ? "text" : "numeric", class: "short" });
  if (spec.kind === "duration" || spec.kind === "size") return text({ class: "short" });
  if (spec.id.endsWith(".digest")) return text({ type: "time", class: "short" });
  const emptied = spec.default && /\bEmpty:/.test(spec.help) && !props.disabled;
  return [value === "" ? h("p", { class: "muted" }, "Left empty on purpose.") : text(), emptied && value !== "" && button("Leave empty", () => { put(""); draw(); }, { kind: "small quiet" })];
}

function secret(value, put, props, draw, { stored, removing }) {
  const own = h("input", { ...props, type: "password", autocomplete: "new-password", placeholder: stored ? "Type a new one to replace it" : "Type it here", value: value ?? "", oninput: () => put(own.value || undefined) });
  return [h("span", { class: `badge ${stored ? "ok" : ""}` }, removing ? "will be removed" : stored ? "set" : "not set"), !props.disabled && own,
    !props.disabled && stored && button(removing ? "Keep it" : "Remove", () => { put(removing ? undefined : null); draw(); }, { kind: "small quiet" })];
}

function list(spec, value, put, props, draw) {
  let items = Array.isArray(value) ? value : null;
  const focus = (i) => document.getElementById(props.id)?.parentElement.querySelectorAll("input")[i]?.focus();
  if (!items) return h("div", { class: "inline", id: props.id, role: "group", "aria-labelledby": `${props.id}-name` }, h("span", { class: "muted" }, `Default: ${brief(value ?? spec.default)}`),
    !props.disabled && button("Change", () => { const start = Array.isArray(spec.default) ? spec.default : []; put(start.length ? [...start] : [""]); draw(); focus(0); }, { kind: "small", "aria-label": `Change ${spec.label}` }));
  const change = (i, text) => put(items = items.with(i, text));
  return h("div", { class: "list", id: props.id, role: "group", "aria-labelledby": `${props.id}-name` }, items.map((item, i) => h("div", { class: "inline" },
    h("input", { type: "text", value: item, disabled: props.disabled, "aria-label": `${spec.label}, ${i + 1}`, placeholder: spec.example?.[0] ?? "", spellcheck: "false", oninput: (event) => change(i, event.target.value) }),
    !props.disabled && button("Remove", () => { put(items.toSpliced(i, 1)); draw(); focus(Math.max(0, i - 1)); }, { kind: "small quiet", "aria-label": `Remove ${item || `line ${i + 1}`}` }))),
  !items.length && h("span", { class: "muted" }, "Empty. "), !props.disabled && button("Add", () => { put([...items, ""]); draw(); focus(items.length); }, { kind: "small", "aria-label": `Add to ${spec.label}` }));
}

function map(spec, value, put, props, draw) {
  const entries = Object.entries(value);
  const free = spec.names.filter((name) => !(name in value));
  const level = (chosen, change, name) => h("select", { disabled: props.disabled, "aria-label": name, onchange: (event) => change(event.target.value) }, spec.options.map((option) => h("option", { value: option, selected: option === chosen }, option)));
  const without = (key) => { const rest = Object.fromEntries(entries.filter(([other]) => other !== key)); return Object.keys(rest).length ? rest : null; };
  const adding = h("select", { id: props.id, "aria-label": `Add to ${spec.label}`, onchange: () => { put({ ...value, [adding.value]: "default" }); draw(); } }, h("option", { value: "" }, "Add an event…"), free.map((name) => h("option", { value: name }, name)));
  return h("div", { class: "list", role: "group", "aria-labelledby": `${props.id}-name` }, entries.map(([key, chosen]) => h("div", { class: "inline" }, h("code", null, key), level(chosen, (next) => put({ ...value, [key]: next }), key),
    !props.disabled && button("Remove", () => { put(without(key)); draw(); }, { kind: "small quiet", "aria-label": `Remove ${key}` }))), !props.disabled && free.length > 0 && adding);
}

function test() {
  const said = h("div", { "aria-live": "polite" });
  return h("div", { class: "test" }, h("div", { class: "inline" }, button("Send a test message", async () => {
    mount(said);
    try {
      const answer = await post("/notify/test");
      mount(said, notice(answer.sent ? "ok" : "warning", h("strong", null, answer.sent ? "Sent." : "Not sent."), " ", answer.message, answer.server && h("p", { class: "muted" }, answer.server)));
    } catch (error) {
      mount(said, faultNotice(error));
    }
  }, { disabled: !may("control"), "data-test": "notify-test" }), h("span", { class: "muted" }, "With the settings as they are stored: save first.")), said);
}
