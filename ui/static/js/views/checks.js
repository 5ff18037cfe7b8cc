/* What `photon-relay check` says, run from here. */
import { get, may, post } from "../api.js";
import { button, count, h, mount, timeAgo, viewHead } from "../dom.js";
import { load, lookOnly, notice, prose } from "../kit.js";

const ORDER = { failed: 0, warning: 1, ok: 2 };
const WORDS = { failed: "Does not work", warning: "Warning", ok: "OK" };
const SIGN = { failed: "✕", warning: "!", ok: "✓" };

export default {
  title: "Checks",
  mount(root) {
    const stop = new AbortController();
    const body = h("div");
    const said = h("p", { class: "muted", role: "status" });
    const run = button("Run the checks", async () => {
      said.textContent = "Looking at everything; this takes up to a minute…";
      try {
        mount(body, draw(await post("/checks", {}, { signal: stop.signal })));
      } finally {
        said.textContent = "";
      }
    }, { kind: "primary", "data-test": "run-checks", disabled: !may("control") });
    root.append(viewHead("Checks", run), h("p", { class: "muted" }, "Mounts, rights, free space, Nextcloud, PhotoPrism and ntfy: everything that the relay needs, each tried for real."), said, body);
    load(body, () => get("/checks", null, { signal: stop.signal }), draw);
    return () => stop.abort();
  },
};

function draw({ at, checks }) {
  if (!checks?.length) return [lookOnly(), notice("info", "The checks have not been run yet.")];
  const sorted = [...checks].sort((a, b) => ORDER[a.level] - ORDER[b.level]);
  const wrong = sorted.filter((check) => ORDER[check.level] === 0).length;
  const warned = sorted.filter((check) => check.level === "warning").length;
  const sum = wrong ? notice("error", h("strong", null, `${count(wrong, "thing")} ${wrong === 1 ? "does" : "do"} not work.`)) : warned ? notice("warning", h("strong", null, `All works, with ${count(warned, "warning")}.`)) : notice("ok", h("strong", null, "All is well."));
  return [lookOnly(), sum, h("p", { class: "muted below" }, "Looked at ", timeAgo(at), "."),
    h("ul", { class: "panel flush checks" }, sorted.map((check) => h("li", { class: `check ${check.level}`, "data-test": "check", "data-level": check.level },
      h("span", { class: "sign", "aria-hidden": "true" }, SIGN[check.level]),
      h("div", null, h("p", null, h("b", null, check.name), " ", h("span", { class: "visually-hidden" }, `${WORDS[check.level]}: `), prose(check.message)), check.hint && h("p", { class: "hint" }, prose(check.hint)), check.code && check.level !== "ok" && h("span", { class: "code" }, check.code)))))];
}
