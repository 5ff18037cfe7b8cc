/**
 * The page itself: which view is shown, the header, log-in, and the start of everything.
 *
 * Views are `export default {title, mount(root, {params, query, store, api, go}) → cleanup}`. `params` are the parts of
 * the address after the view's name, `query` its URLSearchParams. Instead of a cleanup function, mount may give
 * `{destroy(), update({params, query})}`; update is then called where only these changed. It may be async.
 */

import * as api from "./api.js";
import { count, h, mount, setText } from "./dom.js";
import { retryNow, start, stop, store } from "./live.js";
import { startPopups } from "./popups.js";

const VIEWS = {
  now: () => import("./views/now.js"),
  users: () => import("./views/users.js"),
  photos: () => import("./views/photos.js"),
  photo: () => import("./views/photo.js"),
  batches: () => import("./views/batches.js"),
  errors: () => import("./views/errors.js"),
  log: () => import("./views/log.js"),
  settings: () => import("./views/settings.js"),
  checks: () => import("./views/checks.js"),
  access: () => import("./views/access.js"),
  login: () => import("./views/login.js"),
};
const PART_OF = { photo: "photos" };

const $ = (id) => document.getElementById(id);
let shown = null; // {name, view, handle}
let turn = 0; // a view that loads slowly must not replace a later one

/** Go to an address such as "#/photos?user=alice". */
function go(hash) {
  if (location.hash === hash) route();
  else location.hash = hash;
}

function address() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...params] = path.split("/").filter(Boolean).map(unescaped);
  return { name: name ?? "now", params, query: new URLSearchParams(query) };
}

function unescaped(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const wantsLogin = () => !api.session.authenticated && api.session.scope === "none";

async function route() {
  const where = address();
  const login = wantsLogin() && where.name !== "access";
  const name = login ? "login" : Object.hasOwn(VIEWS, where.name) && where.name !== "login" ? where.name : "now";
  markNav(login ? null : name);
  closeMore();
  if (shown?.name === name && shown.handle?.update) {
    shown.handle.update(where);
    return;
  }
  const mine = ++turn;
  const first = shown === null;
  let view;
  try {
    view = (await VIEWS[name]()).default;
  } catch (error) {
    console.error(error);
    if (mine === turn) notLoaded();
    return;
  }
  if (mine !== turn) return;
  leave();
  const root = h("div", { class: `view view-${name}` });
  $("view").replaceWith(root);
  root.id = "view";
  document.title = `${view.title} · Photon Relay`;
  shown = { name, view, handle: null };
  if (!first) scrollTo(0, 0);
  try {
    const handle = await view.mount(root, { ...where, store, api, go });
    const kept = typeof handle === "function" ? { destroy: handle } : handle;
    if (mine !== turn) return void kept?.destroy?.();
    shown.handle = kept;
  } catch (error) {
    if (mine !== turn) return;
    console.error(error);
    root.append(h("p", { class: "fault", role: "alert" }, error.message ?? String(error), error.hint ? `; ${error.hint}` : ""));
  }
  if (!first && !root.contains(document.activeElement)) (root.querySelector("h1") ?? $("main")).focus({ preventScroll: true });
}

function leave() {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close(); // it belongs to the view that it was opened from
  try {
    shown?.handle?.destroy?.();
  } catch (error) {
    console.error(error);
  }
}

function notLoaded() {
  leave();
  shown = null;
  mount(
    $("view"),
    h("h1", { tabindex: "-1" }, "This view could not be loaded"),
    h("p", null, "Perhaps Photon Relay has just been updated or restarted."),
    h("button", { class: "button primary", type: "button", onclick: () => location.reload() }, "Load the page again"),
  );
}

// -- header and navigation --------------------------------------------------------------------------------------

function markNav(name) {
  const part = PART_OF[name] ?? name;
  document.body.classList.toggle("locked", name === null);
  for (const link of document.querySelectorAll("[data-nav]")) {
    if (link.dataset.nav === part) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  $("more").classList.toggle("here", Boolean($("more-list").querySelector("[aria-current]")));
}

function closeMore() {
  $("more").setAttribute("aria-expanded", "false");
}

const LINK_WORDS = { connecting: "Connecting…", live: "Live", polling: "Live, every few seconds", lost: "Connection lost", off: "Not connected" };

function drawLink() {
  const chip = $("link");
  chip.dataset.link = store.link;
  setText($("link-words"), LINK_WORDS[store.link]);
  $("link-retry").hidden = store.link !== "lost";
  document.body.classList.toggle("stale", store.link === "lost");
}

function drawState(state) {
  const chip = $("pause-chip");
  chip.hidden = !state.paused && !state.dry_run;
  setText(chip, state.paused ? "Paused" : "Dry run: nothing is moved");
  const held = state.photos?.held ?? 0;
  const wrong = (state.issues ?? []).filter((issue) => issue.code !== "user.new").length;
  pip("users", state.users?.asking, (n) => `${count(n, "new user")} asking`);
  pip("errors", wrong + held, () => `${count(wrong, "issue")}, ${count(held, "photo")} held`, true);
  pip("settings", state.config?.faults?.length, (n) => `${count(n, "fault")} in the settings file`, true);
}

function pip(name, n, words, bad = false) {
  const element = document.querySelector(`[data-pip="${name}"]`);
  element.hidden = !n;
  element.classList.toggle("bad", bad);
  if (n) {
    element.setAttribute("title", words(n));
    if (element.dataset.n !== String(n)) mount(element, h("span", { "aria-hidden": "true" }, n > 99 ? "99+" : n), h("span", { class: "visually-hidden" }, `: ${words(n)}`));
    element.dataset.n = n;
  }
}

function drawSession(session) {
  const banner = $("banner");
  banner.hidden = session.authenticated || session.scope !== "read";
  if (!banner.hidden)
    mount(
      banner,
      h("p", null, h("strong", null, "Anybody in your network can see this page."), " It changes nothing until it is protected."),
      h("a", { class: "button primary", href: "#/access", "data-test": "set-password" }, "Set a password"),
    );
  $("logout").hidden = !(session.authenticated && session.password_set);
  if (wantsLogin()) stop();
  else start();
}

// -- start ------------------------------------------------------------------------------------------------------

async function begin() {
  $("more").addEventListener("click", () => $("more").setAttribute("aria-expanded", $("more").getAttribute("aria-expanded") !== "true"));
  $("link-retry").addEventListener("click", retryNow);
  $("logout").addEventListener("click", () => api.logOut().catch(() => api.refreshSession()));
  $("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the address after # belongs to the router
    $("main").focus();
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && $("more").getAttribute("aria-expanded") === "true") {
      closeMore();
      $("more").focus();
    }
  });
  addEventListener("click", (event) => !$("nav").contains(event.target) && closeMore());
  addEventListener("hashchange", route);
  store.on(drawLink, "link");
  store.on(drawState);
  startPopups();
  for (let pause = 1000; ; pause = Math.min(pause * 2, 15000)) {
    try {
      await api.refreshSession();
      break;
    } catch (error) {
      store.link = "lost";
      drawLink();
      setText($("view"), error.message);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
  drawLink();
  let locked = wantsLogin();
  drawSession(api.session);
  api.onSession((session) => {
    drawSession(session);
    if (wantsLogin() !== locked) {
      locked = wantsLogin();
      route();
    }
  });
  await route();
}

begin();
