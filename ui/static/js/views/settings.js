/* Settings: the form, the file itself and its earlier versions; nothing is stored before its difference was seen. */
import { call, get, may, patch, post, put } from "../api.js";
import { ask, bytes, button, count, dateTime, failed, h, mount, viewHead } from "../dom.js";
import { sideBySide, unified } from "../diff.js";
import { load, lookOnly, notice, tabs } from "../kit.js";
import { store } from "../live.js";
import { mergePatch } from "../schema_form.js";
import { fileEditor } from "../settings_file.js";
import { settingsForm } from "../settings_form.js";

const PARTS = [["form", "Form"], ["file", "File"], ["versions", "Versions"]];

export default {
  title: "Settings",
  async mount(root, { params, go }) {
    let part = "form";
    let config;
    let schema;
    let form;
    let file;
    let saving = false;
    const edits = new Map();
    const said = h("div", { "aria-live": "polite" });
    const heads = h("div", { "aria-live": "polite" });
    const body = h("div");
    const panels = Object.fromEntries(PARTS.map(([id]) => [id, h("div", { role: "tabpanel", id: `panel-${id}`, "aria-labelledby": `tab-${id}`, hidden: true })]));
    const words = h("span", { role: "status" });
    const bar = h("div", { class: "save-bar", role: "region", "aria-label": "Unsaved changes", hidden: true, "data-test": "save-bar" }, words,
      h("div", { class: "actions" }, button("Discard", discard, { "data-test": "discard" }), button("Review and save", review, { kind: "primary", "data-test": "review" })));
    const strip = tabs("Settings", PARTS, part, (id) => go(`#/settings/${id}`));
    root.append(viewHead("Settings"), strip, said, heads, body, bar);

    const typed = () => (file && file.text() !== config.yaml ? file.text() : null);
    const changes = () => (part === "file" ? (typed() === null ? 0 : 1) : edits.size);

    async function fetching() {
      const [answer, known] = await Promise.all([call("GET", "/config", undefined, { raw: true }), schema ?? get("/config/schema")]);
      schema = known;
      return { ...answer.data, match: answer.headers.get("ETag") ?? `"${answer.data.etag}"` };
    }
    /** Take what stands in the file now; edits of the form stay, being single values, and so does a typed file. */
    function become(now, keepFile = null) {
      config = now;
      form = settingsForm(schema, config, edits, arrange, form?.section);
      mount(panels.form, form.element);
      file = fileEditor(config.yaml, !config.writable || !may("admin"), arrange);
      if (keepFile !== null) file.set(keepFile);
      mount(panels.file, h("p", { class: "muted" }, h("span", { class: "path" }, config.path), ": comments and order stay as they are. Secrets are not shown; what stands in their place stays."), file.element);
      if (part === "versions") versions();
      arrange();
      watch();
      return PARTS.map(([id]) => panels[id]);
    }
    function show(where) {
      part = where.params[0] in panels ? where.params[0] : "form";
      strip.show(part);
      for (const [id, panel] of Object.entries(panels)) panel.hidden = id !== part;
      if (config) arrange();
      if (config && part === "versions") versions();
    }
    function arrange() {
      const n = changes();
      if (n) mount(said);
      form.mark();
      bar.hidden = part === "versions" || !n;
      words.textContent = part === "file" ? "The file was changed." : `${count(n, "change")}, not saved yet.`;
    }
    function discard() {
      if (part === "form") edits.clear();
      become(config, part === "form" ? typed() : null);
    }

    /** Say what a person must know about the file: not writable, wrong, changed by somebody else meanwhile. */
    function watch() {
      if (!config || saving) return;
      const live = store.state?.config;
      const other = live?.etag && plain(live.etag) !== plain(config.match);
      if (other && !edits.size && typed() === null) {
        fetching().then((now) => { if (!edits.size && typed() === null && now.match !== config.match) { become(now); mount(said, notice("info", "The file was changed outside this form; this is how it stands now.")); } }, () => {});
      }
      mount(heads, lookOnly("admin"), !config.writable && notice("info", h("strong", null, "The settings can only be looked at here."), " ", config.why_not ?? "The file cannot be written."),
        live?.valid === false && notice("error", h("strong", null, "The file has faults, so the last good one stays in force."), h("ul", { class: "plain" }, (live.faults ?? []).map(faultOf).map((one) => h("li", null, one.line && `Line ${one.line}: `, one.key && [h("code", null, one.key), ": "], one.message)))),
        live?.restart_needed && notice("warning", "A change is in force after the next start only."),
        other && (edits.size || typed() !== null) && notice("warning", h("strong", null, "The file was changed by hand meanwhile."), " Your changes are still here. ", button("Compare", () => conflict(), { kind: "small", "data-test": "compare" })));
    }

    async function review() {
      const isFile = part === "file";
      const faults = isFile ? [] : form.faults();
      if (faults.length) return form.show(faults);
      if (isFile && !(await file.check())) return;
      const content = isFile ? { yaml: file.text() } : { changes: mergePatch(edits) };
      let told;
      try {
        told = await post("/config/diff", content);
      } catch (error) {
        return refused(error);
      }
      let fault = null;
      const secrets = isFile ? [] : [...edits.keys()].filter((id) => id in (config.secrets_set ?? {}));
      const unseen = secrets.length > 0 && h("p", { "data-test": "secrets" }, "Set anew, and not shown: ", secrets.map((id) => [h("code", null, id), " "]));
      await ask("Save these changes?", [(told.diff || !unseen) && unified(told.diff), unseen], { yes: "Save", deed: async () => {
        saving = true;
        try {
          const headers = { "If-Match": config.match };
          await (isFile ? put("/config", content, { headers }) : patch("/config", content.changes, { headers }));
          const kept = isFile ? null : typed();
          if (!isFile) edits.clear();
          become(await fetching(), kept);
        } catch (error) {
          if (error.code !== "config.conflict" && error.code !== "config.invalid") throw error;
          fault = error;
        } finally {
          saving = false;
        }
      } });
      if (fault) return refused(fault);
      if (!changes()) mount(said, notice("ok", "Saved, and in force."));
      setTimeout(watch, 3000); // the live state may be a moment behind the answer
    }

    function refused(error) {
      if (error.code === "config.conflict") return conflict();
      if (part === "file") file.check().catch(failed);
      else form.show((error.body?.error?.faults ?? []).map(faultOf));
      failed(error);
    }

    /** Both sides of a file that somebody else changed: theirs, and theirs with what was edited here. */
    async function conflict() {
      const now = await fetching();
      const mine = part === "file" || !edits.size ? typed() : (await post("/config/diff", { changes: mergePatch(edits) })).yaml;
      const keep = await ask("The file was changed meanwhile", [h("p", null, "Somebody, or an editor, has saved it since you opened this page. Nothing of yours was stored."),
        sideBySide(now.yaml, mine ?? now.yaml, "As it stands now", part === "file" ? "As you typed it" : "With your changes")], { yes: "Go on with mine", no: "Leave it" });
      if (keep) become(now, typed());
      else if (await ask("Drop your changes?", h("p", null, "The file stays as the other one saved it."), { yes: "Drop them", no: "Keep them for now", kind: "danger" })) {
        edits.clear();
        become(now);
      }
    }

    function versions() {
      load(panels.versions, () => get("/config/versions"), ({ versions: all }) => (all.length ? h("ul", { class: "rows panel", "data-test": "versions" }, all.map((one) => h("li", { class: "line" },
        h("span", { class: "grow" }, h("b", null, dateTime(one.at)), h("small", { class: "muted" }, ` ${one.who || "by hand"} · ${bytes(one.size)}`)),
        one.current ?? plain(one.etag) === plain(config.match) ? h("span", { class: "badge ok" }, "in force") : button(may("admin") && config.writable ? "Look, put back…" : "Look", () => back(one), { kind: "small", "data-test": "version" })))) : notice("info", "No earlier version is kept yet.")));
    }
    async function back(one) {
      const { yaml } = await get(`/config/versions/${encodeURIComponent(one.id)}`);
      const can = may("admin") && config.writable;
      const done = await ask(`As it was on ${dateTime(one.at)}`, sideBySide(config.yaml, yaml, "Now", "Then"), { yes: can ? "Put back" : "Close", no: can ? "Cancel" : null,
        deed: can ? () => post(`/config/versions/${encodeURIComponent(one.id)}/restore`, {}, { headers: { "If-Match": config.match } }) : null });
      if (!done || !can) return;
      become(await fetching(), typed());
      mount(said, notice("ok", "Put back, and in force."));
    }

    show({ params });
    await load(body, fetching, become);
    const offs = [store.on((_, changed) => changed.has("config") && watch()), store.on((event) => event.type === "config.changed" && setTimeout(watch, 300), "event")];
    const guard = (event) => { if (edits.size || typed() !== null) event.preventDefault(); };
    addEventListener("beforeunload", guard);
    return { update: show, destroy() { offs.forEach((off) => off()); removeEventListener("beforeunload", guard); } };
  },
};

/** A fault as {line, key, message}; the daemon's own lines are `file:line: key: message`. */
function faultOf(fault) {
  const [, key, message] = typeof fault === "string" ? (fault.match(/: ([\w.]+): (.*)$/s) ?? [null, null, fault]) : [];
  return key === undefined ? fault : { key, message };
}

const plain = (etag) => String(etag ?? "").replace(/^W\//, "").replaceAll('"', "");
