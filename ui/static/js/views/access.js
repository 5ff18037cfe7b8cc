/* Who may come in: the password, sessions, and tokens for programs. */
import { del, get, logOut, may, post, put, refreshSession, session } from "../api.js";
import { ask, button, date, h, mount, panel, timeAgo, viewHead } from "../dom.js";
import { copyButton, facts, faultNotice, labelled, load, notice } from "../kit.js";

const HOW = {
  password: ["ok", "Protected by a password."], list: ["ok", "Protected by the list of addresses: whoever comes from one of them may change things."], loopback: ["ok", "Only this machine itself reaches the page."],
  open: ["warning", "Open on purpose: everybody who reaches the page may change things (ui.open)."], none: ["warning", "Not protected: others can reach this page, so it only shows how things are. Set a password to use it."],
};
const SCOPES = { read: "Look only", control: "Run, pause, retry, restore", admin: "Everything, settings too" };

let lately = null; // said after the password changed, which may draw this view anew

export default {
  title: "Access",
  mount(root) {
    const body = h("div", { class: "stack narrow" });
    root.append(viewHead("Access", session.password_set && session.authenticated && button("Log out", logOut, { "data-test": "log-out" })), body);
    draw();

    function draw() {
      const [kind, words] = HOW[session.protection] ?? HOW.none;
      mount(body, lately && notice("ok", lately), notice(kind, words), panel("You", {}, facts(["Address", h("code", null, session.address)], ["May", SCOPES[session.scope] ?? "nothing yet"], ["Connection", session.secure ? "https" : "http, not encrypted"])),
        (may("admin") || session.can_set_password) && password(), may("admin") && sessions(), may("admin") && tokens());
    }

    function password() {
      const field = (name, autocomplete, more = {}) => h("input", { type: "password", name, autocomplete, required: true, maxlength: "512", "data-test": name, ...more });
      const current = session.password_set ? field("current", "current-password") : null;
      const code = !current && session.can_set_password && !may("admin") ? field("code", "one-time-code", { type: "text", spellcheck: "false" }) : null;
      const first = field("password", "new-password", { minlength: "8" });
      const second = field("again", "new-password");
      const said = h("div", { "aria-live": "polite" });
      const form = h("form", { class: "stack", onsubmit: async (event) => {
        event.preventDefault();
        if (first.value !== second.value) return void (mount(said, notice("warning", "The two are not the same.")), second.focus());
        try {
          await put("/password", { password: first.value, ...(current && { current: current.value }), ...(code && { code: code.value.trim() }) });
          lately = "The password is set. Other log-ins have ended.";
          setTimeout(() => { lately = null; }, 5000);
          await refreshSession();
          draw();
        } catch (error) {
          mount(said, faultNotice(error));
        }
      } }, h("input", { type: "text", autocomplete: "username", value: "photon-relay", class: "visually-hidden", tabindex: "-1", "aria-hidden": "true", readonly: true }),
      code && labelled("One-time code", code, "It stands in the program's log: docker logs photon-relay"), current && labelled("The password until now", current), labelled("New password", first, "At least 8 characters; a sentence is easy to remember."), labelled("Once more", second),
      said, h("div", { class: "actions" }, h("button", { type: "submit", class: "button primary", "data-test": "set-password" }, current ? "Change the password" : "Set the password")));
      return panel(current ? "Change the password" : "Set a password", { name: "password-panel" }, form);
    }

    function sessions() {
      const list = h("div");
      const again = () => load(list, () => get("/sessions"), ({ sessions: all = [] }) => (all.length ? h("ul", { class: "rows" }, all.map((one) => h("li", { class: "line" },
        h("span", { class: "grow" }, h("b", null, one.address), one.current && " (this one)", h("small", { class: "muted" }, ` ${one.agent}`)), h("small", null, timeAgo(one.used_at))))) : h("p", { class: "muted" }, "Nobody is logged in.")));
      again();
      return panel("Logged in", { name: "sessions" }, list, h("div", { class: "actions" }, button("Log out everywhere", async () => {
        if (await ask("Log out everywhere?", h("p", null, "All sessions end, this one too. Tokens of programs stay."), { yes: "Log out everywhere", kind: "danger", deed: () => del("/sessions") })) await refreshSession();
      }, { "data-test": "log-out-everywhere" })));
    }

    function tokens() {
      const list = h("div");
      const fresh = h("div", { "aria-live": "polite" });
      const again = () => load(list, () => get("/tokens"), ({ tokens: all = [] }) => (all.length ? h("ul", { class: "rows" }, all.map((one) => h("li", { class: "line", "data-test": "token" },
        h("span", { class: "grow" }, h("b", null, one.name), h("small", { class: "muted" }, ` ${SCOPES[one.scope] ?? one.scope} · until ${date(one.expires_at)}`)),
        h("small", { class: "muted" }, one.expired ? "expired" : one.used_at ? ["used ", timeAgo(one.used_at)] : "never used"),
        button("Revoke", () => revoke(one), { kind: "small", "aria-label": `Revoke ${one.name}` })))) : h("p", { class: "muted" }, "None yet.")));
      const revoke = async (one) => { if (await ask(`Revoke “${one.name}”?`, h("p", null, "The program that uses it cannot come in any more."), { yes: "Revoke", kind: "danger", deed: () => del(`/tokens/${encodeURIComponent(one.id)}`) })) await again(); };
      const name = h("input", { name: "name", required: true, maxlength: "100", autocomplete: "off", placeholder: "dashboard", "data-test": "token-name" });
      const scope = h("select", { name: "scope", "data-test": "token-scope" }, Object.entries(SCOPES).map(([value, words]) => h("option", { value }, words)));
      const form = h("form", { class: "toolbar", onsubmit: async (event) => {
        event.preventDefault();
        try {
          const made = await post("/tokens", { name: name.value.trim(), scope: scope.value });
          mount(fresh, notice("ok", h("strong", null, "Copy it now; it is shown only once."), h("p", null, h("code", { class: "hash", "data-test": "new-token" }, made.token), copyButton(made.token, "the token"))));
          form.reset();
          await again();
        } catch (error) {
          mount(fresh, faultNotice(error));
        }
      } }, labelled("For", name), labelled("It may", scope), h("button", { type: "submit", class: "button", "data-test": "make-token" }, "Make a token"));
      again();
      return panel("Tokens for programs", { name: "tokens" }, h("p", { class: "muted" }, "For dashboards and scripts: ", h("code", null, "Authorization: Bearer …")), list, fresh, form);
    }
  },
};
