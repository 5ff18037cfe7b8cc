/* What `photon-relay check` says, run from here. */
import { get, may, post } from "../api.js";
import { button, count, h, mount, timeAgo, viewHead } from "../dom.js";
import { load, lookOnly, notice } from "../kit.js";

const ORDER = { failed: 0, error: 0, warning: 1, ok: 2 };
const WORDS = { failed: "Does not work", error: "Does not work", warning: "Warning", ok: "OK" };
const SIGN = { failed: "✕", error: "✕", warning: "!", ok: "✓" };

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

const levelOf = (check) => check.level ?? check.state;

function draw({ at, checks }) {
  if (!checks?.length) return [lookOnly(), notice("info", "The checks have not been run yet.")];
  const sorted = [...checks].sort((a, b) => ORDER[levelOf(a)] - ORDER[levelOf(b)]);
  const wrong = sorted.filter((check) => ORDER[levelOf(check)] === 0).length;
  const warned = sorted.filter((check) => levelOf(check) === "warning").length;
  const sum = wrong ? notice("error", h("strong", null, `${count(wrong, "thing")} ${wrong === 1 ? "does" : "do"} not work.`)) : warned ? notice("warning", h("strong", null, `All works, with ${count(warned, "warning")}.`)) : notice("ok", h("strong", null, "All is well."));
  return [lookOnly(), sum, h("p", { class: "muted below" }, "Looked at ", timeAgo(at), "."),
    h("ul", { class: "panel flush checks" }, sorted.map((check) => h("li", { class: `check ${levelOf(check)}`, "data-test": "check", "data-level": levelOf(check) },
      h("span", { class: "sign", "aria-hidden": "true" }, SIGN[levelOf(check)]),
      h("div", null, h("p", null, h("b", null, check.name ?? check.area), " ", h("span", { class: "visually-hidden" }, `${WORDS[levelOf(check)]}: `), check.message), check.hint && h("p", { class: "hint" }, check.hint), check.code && levelOf(check) !== "ok" && h("span", { class: "code" }, check.code)))))];
}
