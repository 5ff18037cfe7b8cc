/* Everyone found: who takes part, from which folders, and what becomes of the originals. */
import { get, may, patch, post } from "../api.js";
import { ask, bytes, button, count, date, failed, h, icon, keyed, mount, number, timeAgo, viewHead } from "../dom.js";
import { AFTER, facts, faultNotice, load, lookOnly, notice, toggle } from "../kit.js";
import { store } from "../live.js";

const at = (user) => `/users/${encodeURIComponent(user.id)}`;
const rank = (user) => (user.home === "gone" ? 3 : user.asking ? 0 : user.decision === "include" ? 1 : 2);

export default {
  title: "Users",
  mount(root) {
    const stop = new AbortController();
    const body = h("div");
    const list = h("ul", { class: "users", "data-test": "users" });
    const drawn = new Map();
    let timer = 0;
    const fetching = () => get("/users", null, { signal: stop.signal });
    root.append(viewHead("Users"), h("p", { class: "muted" }, "Everyone whose home Nextcloud has. Nothing of a user is touched before you include them."), body);
    load(body, fetching, draw);
    const soon = () => {
      clearTimeout(timer);
      timer = setTimeout(() => fetching().then(draw, () => {}), 600);
    };
    const offs = [store.on((_, changed) => changed.has("users") && soon()), store.on((event) => /^(user|users|sweep|config)\./.test(event.type) && soon(), "event")];

    function draw({ users }) {
      const sorted = [...users].sort((a, b) => rank(a) - rank(b) || a.id.localeCompare(b.id));
      keyed(list, sorted, (user) => user.id, () => h("li"), (item, user) => {
        const face = JSON.stringify(user);
        if (drawn.get(user.id) === face || (drawn.has(user.id) && item.querySelector("form.rules"))) return;
        drawn.set(user.id, face);
        mount(item, card(user, (now) => {
          drawn.delete(now.id);
          draw({ users: users.map((other) => (other.id === now.id ? now : other)) });
          list.querySelector(`[data-id="${CSS.escape(now.id)}"] :is(input, button)`)?.focus({ preventScroll: true });
        }));
      });
      return [lookOnly("admin"), users.length ? list : notice("info", "No user was found yet. Is Nextcloud's data directory mounted? ", h("a", { href: "#/checks" }, "Run the checks"))];
    }
    return () => { offs.forEach((off) => off()); clearTimeout(timer); stop.abort(); };
  },
};

/** One user; `became(user)` is called with what the daemon answered. */
function card(user, became) {
  const gone = user.home === "gone";
  const change = async (changes) => became(await patch(at(user), changes));
  const inside = h("div", { class: "rules-place" });
  const edit = async (including) => {
    const whole = { ...user, ...(await get(at(user))) };
    mount(inside, rules(whole, including, became, () => { mount(inside); became(whole); }));
    inside.querySelector("input, select, button")?.focus();
  };
  const decide = user.asking && !gone && may("admin") && h("div", { class: "actions" },
    button("Include…", () => edit(true), { kind: "primary", "data-test": "include" }),
    button("Exclude", () => change({ decision: "exclude" }), { "data-test": "exclude" }),
    button("Decide later", (event) => { event.target.closest(".user").classList.add("later"); }, { kind: "quiet", "data-test": "later" }));
  const taking = toggle("Takes part", user.decision === "include", async (on) => {
    const input = taking.querySelector("input");
    if (on) {
      input.checked = false; // it is on when the person has read what that will do, and said yes
      await edit(true).catch(failed);
    } else if (await ask(`Leave ${user.id} alone from now on?`, h("p", null, "New photos of this user stay where they are. What is in the archive already stays there, and photos under way are finished first."), { yes: "Exclude" })) await change({ decision: "exclude" });
    else input.checked = true;
  }, { disabled: !may("admin"), "data-test": "takes-part" });
  const { photos = {} } = user;
  const figure = (n, words, query) => (n ? h(query ? "a" : "span", query ? { href: `#/photos?user=${encodeURIComponent(user.id)}${query}` } : null, h("b", null, number(n)), ` ${words}`) : null);
  return h("article", { class: `panel user ${gone ? "gone" : ""} ${user.asking ? "asking" : ""}`, "data-test": "user", "data-id": user.id, "aria-label": user.id },
    h("header", null, h("div", null, h("h2", null, user.id), h("p", { class: "muted" },
      gone ? ["The home is gone since ", date(user.gone_since), "."] : user.asking ? ["Found ", timeAgo(user.first_seen), " and asks to take part."] : user.last_photo_at ? ["Last photo ", timeAgo(user.last_photo_at), "."] : ["Here since ", date(user.first_seen), "; no photo yet."])),
      !gone && !user.asking && taking),
    decide,
    h("p", { class: "user-figures" }, figure(photos.relayed, "relayed", "&state=done"), figure(photos.waiting, "waiting", "&state=waiting"), figure(photos.held, "held", "&state=held"),
      figure(photos.standing, "stand in watched folders"), figure(photos.baseline, "from before, left alone")),
    user.decision === "include" && !gone && [facts(["From", user.rules.folders.map((folder) => h("span", { class: "tag" }, folder))], ["Originals", AFTER[user.rules.after]?.[0] ?? user.rules.after],
      ["Older photos", user.rules.existing ? "are relayed too" : "stay where they are"], release(user.rules.release_after)),
    may("admin") && h("div", { class: "actions" }, button("Change…", () => edit(false), { "data-test": "edit-user" }))],
    inside);
}

const release = (wait) => wait && !/^0(\.0)?(s)?$/.test(String(wait)) && ["Kept for", String(wait)];

/** The form of one user's rules; before anything is stored, the daemon says what it will do. */
function rules(user, including, became, close) {
  const chosen = new Set((user.own?.folders ?? user.rules.folders).map(tidy));
  const known = user.folders ?? [];
  const extra = [...chosen].filter((path) => !known.some((folder) => folder.path === path));
  const boxes = h("ul", { class: "folders", "data-test": "folders" });
  const add = (folder) => boxes.append(h("li", null, h("label", null,
    h("input", { type: "checkbox", value: folder.path, checked: chosen.has(folder.path) }), h("span", { class: "path" }, folder.path), h("small", null, folder.photos === undefined ? "not there yet" : count(folder.photos, "photo"), folder.auto_upload && ", filled by a phone"))));
  known.forEach(add);
  extra.forEach((path) => add({ path }));
  const other = h("input", { type: "text", placeholder: "Phone/Camera", "aria-label": "Another folder, below this user's files", spellcheck: "false", autocomplete: "off", "data-test": "other-folder" });
  const addOther = () => {
    const path = tidy(other.value);
    const there = path && [...boxes.querySelectorAll("input")].find((box) => box.value === path);
    if (there) there.checked = true;
    else if (path) { chosen.add(path); add({ path }); }
    other.value = "";
    other.focus();
  };
  other.addEventListener("keydown", (event) => event.key === "Enter" && (event.preventDefault(), addOther()));
  const common = h("input", { type: "checkbox", checked: !user.own?.folders, "data-test": "common-folders" });
  const picking = h("div", null, boxes, user.folders_cut && h("p", { class: "help" }, "There are more folders than are shown here."), h("div", { class: "adding" }, other, button("Add", addOther, { kind: "small" })));
  const onCommon = () => { picking.hidden = common.checked; };
  common.addEventListener("change", onCommon);
  onCommon();
  const unset = (key) => user.own?.[key] === undefined || user.own[key] === null;
  const after = h("fieldset", null, h("legend", null, "What becomes of the originals, once the archive provably has them"),
    [["", ["As for everybody", unset("after") ? `At present: ${AFTER[user.rules.after]?.[0]}.` : ""]], ...Object.entries(AFTER)].map(([value, [name, help]]) => h("label", { class: "option" },
      h("input", { type: "radio", name: "after", value, checked: value === (user.own?.after ?? "") }), h("span", null, name, h("small", null, help)))));
  const existing = toggle("Relay also the photos that stood there before", Boolean(user.rules.existing), () => {}, { "data-test": "existing" });
  const before = existing.querySelector("input");
  const said = h("div", { "aria-live": "polite" });
  const submit = h("button", { type: "submit", class: "button primary", "data-test": "preview" }, including ? "What would happen?" : "Save…");
  const body = () => ({ ...(including ? { decision: "include" } : {}),
    folders: common.checked ? null : [...boxes.querySelectorAll("input:checked")].map((box) => box.value),
    after: form.elements.after.value || null, existing: unset("existing") && before.checked === Boolean(user.rules.existing) ? null : before.checked });
  const form = h("form", { class: "rules", "data-test": "rules", "aria-label": `Rules for ${user.id}`, onsubmit: async (event) => {
    event.preventDefault();
    addOther();
    mount(said);
    const changes = body();
    if (changes.folders && !changes.folders.length) return void mount(said, notice("warning", "Pick at least one folder."));
    submit.setAttribute("aria-busy", "true");
    try {
      const told = await post(`${at(user)}/preview`, { include: true, ...changes });
      submit.removeAttribute("aria-busy");
      let now = null;
      if (await ask(including ? `Include ${user.id}?` : `Change the rules for ${user.id}?`, preview(told), { yes: including ? `Include ${user.id}` : "Save", deed: async () => { now = await patch(at(user), changes); } })) {
        form.remove();
        became(now);
      }
    } catch (error) {
      mount(said, faultNotice(error));
    } finally {
      submit.removeAttribute("aria-busy");
    }
  } },
  h("fieldset", null, h("legend", null, "Folders that are watched"), h("label", { class: "option" }, common, h("span", null, "As for everybody", h("small", null, unset("folders") ? user.rules.folders.join(", ") : "The list from the settings"))), picking),
  after, existing, said, h("div", { class: "actions" }, submit, button("Cancel", close)));
  return form;
}

const tidy = (path) => path.trim().replace(/^\/+|\/+$/g, "");

function preview({ sentence, counts = {}, folders = [], warnings = [] }) {
  const pair = (n, words, more) => (n ? [words, [number(n), more && ` (${more})`]] : null);
  return [h("p", { class: "lead", "data-test": "sentence" }, sentence),
    facts(["Moved now", [count(counts.would_move ?? 0, "photo"), counts.bytes ? ` (${bytes(counts.bytes)})` : ""]], pair(counts.existing_stay, "Stay as before"), pair(counts.screenshots, "Screenshots"), pair(counts.videos, "Videos"), pair(counts.side_files, "Side files")),
    folders.length > 0 && h("ul", { class: "plain" }, folders.map((folder) => h("li", null, h("span", { class: "path" }, folder.path), " ", h("span", { class: "muted" }, count(folder.photos, "photo"))))),
    warnings.map((warning) => h("p", { class: "notice warning", "data-test": "warning" }, icon("errors"), h("span", null, warning)))];
}
