/** What is wrong now, each with its code, what to do, and a button where a button can do it; and why photos wait. */

import { may, patch, post } from "../api.js";
import { button, count, h, mount, shortTime, timeAgo, viewHead } from "../dom.js";
import { mendedAt, toast } from "../popups.js";

export default {
  title: "Errors",

  mount(root, { store, go }) {
    const issues = h("div", { class: "stack", "data-test": "issues" });
    const troubles = h("div", { class: "stack", "data-test": "troubles" });
    const faults = h("div", { class: "stack" });
    const well = h("div", { class: "panel empty", "data-test": "all-well" }, h("span", { class: "lamp ok", "aria-hidden": "true" }), h("p", null, "Nothing is wrong."));
    root.append(
      viewHead("Errors", h("a", { class: "button", href: "#/log" }, "Log"), h("a", { class: "button", href: "#/checks" }, "Checks")),
      h("div", { class: "stack" }, well, faults, issues, troubles),
    );
    let drawn = "";
    const draw = (state) => {
      const now = JSON.stringify([state.issues, state.troubles, state.config?.faults, may("control")]);
      if (now === drawn) return;
      drawn = now;
      well.hidden = Boolean(state.issues?.length || state.troubles?.length || state.config?.faults?.length);
      redraw(issues, section("Issues", state.issues ?? [], (issue) => issueCard(issue, go)));
      redraw(troubles, section("Why photos wait or are held", state.troubles ?? [], troubleCard));
      redraw(faults, section("Faults in the settings file", state.config?.faults ?? [], (fault) => faultCard(fault, state.config)));
    };
    if (store.state) draw(store.state);
    return store.on(draw);
  },
};

/** Draw anew; what had the focus has it again, if it is still there. */
function redraw(parent, what) {
  const held = parent.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  mount(parent, what);
  if (held) parent.querySelector(`[data-key="${CSS.escape(held)}"]`)?.focus();
}

const section = (title, items, card) => (items.length ? [h("h2", null, title), items.map(card)] : null);

function issueCard(issue, go) {
  const [href, words] = mendedAt(issue.code, issue.about);
  const deeds = (issue.actions ?? []).filter(({ do: deed }) => may(LEVEL[deed] ?? "control")).map((action) => deedButton(action, issue, go));
  return h("article", { class: "panel issue", "data-test": "issue", data: { code: issue.code } },
    h("h3", null, issue.message),
    issue.hint && h("p", { class: "todo" }, issue.hint),
    h("footer", null,
      h("span", { class: "faint" }, h("span", { class: "code" }, issue.code), ` · ${issue.about} · since ${shortTime(issue.since)}`),
      h("div", { class: "actions" }, deeds, href !== "#/errors" && !deeds.length && h("a", { class: "button", href }, words))));
}

const LEVEL = { open_settings: "read", include: "admin", exclude: "admin" };

function deedButton({ do: deed, label, subject }, issue, go) {
  return button(label, () => DEEDS[deed]?.(subject, issue, go) ?? go("#/checks"), { "data-test": `do-${deed}`, "data-key": `${issue.about} ${deed} ${subject ?? ""}` });
}

const DEEDS = {
  retry_code: (code) => retry(code),
  include: (user) => decide(user, "include"),
  exclude: (user) => decide(user, "exclude"),
  resume: async () => {
    await post("/resume");
    toast("Going on.");
  },
  open_settings: async (key, _issue, go) => go(key ? `#/settings/${key.split(".")[0]}` : "#/settings"),
  run_checks: async (_, _issue, go) => go("#/checks"),
};

async function decide(user, decision) {
  await patch(`/users/${encodeURIComponent(user)}`, { decision });
  toast(decision === "include" ? `${user} is included.` : `${user} is left alone from now on.`);
}

/** Try again every photo that waits or is held with this code, now. */
async function retry(code) {
  const tried = code ? (await post("/retry", { code })).retried : 0;
  if (!tried) await post("/sweeps", { users: [], dry_run: false }); // it is no photo's own trouble: look at everything
  toast(tried ? `${count(tried, "photo")} tried again.` : "Everything is looked at again.");
}

function troubleCard(trouble) {
  const held = trouble.state === "held";
  return h("article", { class: `panel issue${held ? "" : " trouble"}`, "data-test": "trouble", data: { code: trouble.code } },
    h("h3", null, `${count(trouble.photos, "photo")} ${held ? (trouble.photos === 1 ? "is held" : "are held") : trouble.photos === 1 ? "waits" : "wait"}: ${trouble.message ?? trouble.code}`),
    trouble.hint && h("p", { class: "todo" }, trouble.hint),
    !held && !trouble.hint && h("p", { class: "muted" }, "They are tried again by themselves."),
    h("footer", null,
      h("span", { class: "faint" }, h("span", { class: "code" }, trouble.code), trouble.since && [" · since ", timeAgo(trouble.since, shortTime)]),
      h("div", { class: "actions" },
        h("a", { class: "button quiet", href: `#/photos?state=${trouble.state}` }, "Which photos"),
        may("control") && button("Try again now", () => retry(trouble.code), { "data-test": "retry", "data-key": `${trouble.state} ${trouble.code}` }))));
}

function faultCard(fault, config) {
  const { line, key, message } = typeof fault === "string" ? { message: fault } : fault;
  return h("article", { class: "panel issue", "data-test": "config-fault" },
    h("h3", null, line ? `Line ${line}: ` : "", key ? h("code", null, key) : null, key ? ": " : "", message),
    h("p", { class: "todo" }, "The last good settings stay in force until this is mended."),
    h("footer", null, h("span", { class: "code" }, config.path ?? ""), h("a", { class: "button", href: "#/settings" }, "Open Settings")));
}
