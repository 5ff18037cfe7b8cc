/* Pieces that several views share: notices, switches, facts, long lists, runs that are followed to their end. */
import { get, may, session } from "./api.js";
import { button, count, failed, h, icon, mount, setText, stateBadge, bytes, timeAgo } from "./dom.js";
import { store } from "./live.js";

/** What becomes of an original, in plain words. */
export const AFTER = {
  trash: ["Into Nextcloud's bin", "The original goes to the user's own bin in Nextcloud and can be taken back from there."],
  delete: ["Deleted at once", "The original is deleted. The archive keeps the only copy."],
  archive: ["Moved into a folder beside", "The original moves to a folder beside the watched one that galleries do not show."],
  tag: ["Stays, with a tag", "The original stays where it is and gets a tag in Nextcloud."],
  keep: ["Stays as it is", "The original is not touched. The archive gets a copy."],
};

export const STATES = ["found", "settled", "examined", "placed", "imported", "archived", "released", "done", "waiting", "held", "refused", "restored"];

/** A sentence of the daemon; `words` in backquotes become code. */
export const prose = (text) => (text ?? "").split("`").map((part, i) => (i % 2 ? h("code", null, part) : part));

/** A box that says something: kind "info", "ok", "warning" or "error". The words come before the colour. */
export function notice(kind, ...children) {
  return h("div", { class: `notice ${kind}`, role: kind === "error" ? "alert" : "status", "data-test": `notice-${kind}` }, h("div", null, children));
}

export function faultNotice(error, again = null) {
  return notice("error", h("strong", null, prose(error.message)), error.hint && h("p", null, prose(error.hint)),
    error.code && h("p", null, h("span", { class: "code" }, error.code)), again && button("Try again", again, { kind: "small" }));
}

/** Fetch, then draw into `root`; says that it loads, and a failure with a button to try again. */
export async function load(root, fetching, draw) {
  root.setAttribute("aria-busy", "true");
  if (!root.childNodes.length) mount(root, h("p", { class: "loading muted", role: "status" }, "Loading…"));
  try {
    const data = await fetching();
    mount(root, draw(data));
  } catch (error) {
    if (error.name === "AbortError") return;
    mount(root, faultNotice(error, () => load(root, fetching, draw)));
  } finally {
    root.removeAttribute("aria-busy");
  }
}

/** Say that this session may only look, or give nothing. */
export function lookOnly(level = "control") {
  if (may(level)) return null;
  const why = session.authenticated && session.password_set ? "This log-in may look, but not change anything here." : "Nothing can be changed from here yet.";
  return notice("info", why, " ", h("a", { href: "#/access" }, "How to get in"));
}

/** A switch; where `change(on)` throws, it goes back and the person is told. */
export function toggle(label, on, change, props = {}) {
  const input = h("input", { type: "checkbox", role: "switch", checked: on, ...props });
  input.addEventListener("change", async () => {
    try {
      await change(input.checked);
    } catch (error) {
      input.checked = !input.checked;
      failed(error);
    }
  });
  return h("label", { class: "switch" }, input, h("span", { class: "track", "aria-hidden": "true" }), h("span", null, label));
}

export function copyButton(text, what) {
  const said = h("span", { class: "said", role: "status" });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      byHand(text); // no clipboard without https
    }
    setText(said, "Copied");
    setTimeout(() => setText(said, ""), 2000);
  };
  return h("span", { class: "copy" }, button("Copy", copy, { kind: "small", "aria-label": `Copy ${what}` }), said);
}

function byHand(text) {
  const field = h("textarea", { class: "off-screen", "aria-hidden": "true", readonly: true }, text);
  (document.querySelector("dialog[open]") ?? document.body).append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}

/** Facts as a description list; pairs whose second half is empty are left out. */
export function facts(...pairs) {
  return h("dl", { class: "facts" }, pairs.filter((pair) => pair?.[1])
    .map(([term, what]) => h("div", null, h("dt", null, term), h("dd", null, what))));
}

/** A field with its label, help and fault wired together for screen readers. */
export function labelled(label, input, help = null) {
  const id = input.id || (input.id = `f-${Math.random().toString(36).slice(2, 9)}`);
  const about = help && h("p", { class: "help", id: `${id}-help` }, help);
  if (about) input.setAttribute("aria-describedby", about.id);
  return h("div", { class: "field" }, h("label", { htmlFor: id }, label), input, about);
}

/** A small picture, or a quiet box where there is none. */
export function picture(photo, eager = false) {
  const box = h("span", { class: "thumb", "aria-hidden": "true" });
  const none = () => mount(box, icon("photos"));
  if (!photo.thumbnail || !may("control")) none();
  else box.append(h("img", { src: photo.thumbnail, alt: "", loading: eager ? "eager" : "lazy", decoding: "async", onerror: none }));
  return box;
}

/** A photo as one row of a list; gives the element with `show(photo)` to bring it up to date. */
export function photoRow(photo) {
  const badge = h("span", { class: "row-state" });
  const row = h("li", { class: "photo-row", "data-test": "photo", "data-id": photo.id },
    h("a", { href: `#/photo/${photo.id}` }, picture(photo),
      h("span", { class: "row-name" }, h("b", null, photo.name), h("small", null, photo.folder || "/")),
      h("span", { class: "row-user" }, photo.user), badge,
      h("span", { class: "row-size" }, bytes(photo.size)), h("span", { class: "row-time" }, timeAgo(photo.ended_at ?? photo.found_at))));
  row.show = (now) => mount(badge, stateBadge(now.state, Boolean(now.duplicate_of ?? photo.duplicate_of)), now.code && h("small", { title: now.message }, now.code));
  row.show(photo);
  return row;
}

/**
 * A list that goes on by itself: `page(before)` gives {rows, next, note}. Pages that hold little are followed by the
 * next ones at once, `BOUND` of them at most, and can be stopped; then a button goes on.
 */
export function endless(page, make, { empty = "Nothing here yet.", name = "list" } = {}) {
  const BOUND = 40;
  const ENOUGH = 20;
  const list = h("ul", { class: "rows", "data-test": name });
  const words = h("span", { role: "status" });
  const more = h("button", { type: "button", class: "button", "data-test": "more" }, "Load more");
  const foot = h("div", { class: "list-foot" }, words, more);
  let next = null;
  let busy = false;
  let over = false;
  let run = 0;
  let old = false; // rows of before stay until the first new ones are there, so that nothing jumps

  async function go() {
    if (busy) { run++; busy = false; eye.unobserve(foot); idle("Stopped."); return; }
    const mine = ++run;
    busy = true;
    over = false;
    setText(more, "Stop");
    setText(words, "Loading…");
    let got = 0;
    try {
      for (let asked = 0; asked < BOUND && got < ENOUGH; asked++) {
        const answer = await page(next);
        if (mine !== run) return;
        if (old) list.replaceChildren();
        old = false;
        list.append(...answer.rows.map(make));
        got += answer.rows.length;
        next = answer.next;
        if (!next) { over = true; break; }
        if (answer.note) setText(words, answer.note);
      }
      busy = false;
      const shown = list.childElementCount;
      if (got && !over) look();
      idle(over ? (shown ? `That is all: ${count(shown, "row")}.` : empty) : words.textContent === "Loading…" ? "" : words.textContent);
    } catch (error) {
      if (mine !== run || error.name === "AbortError") return;
      busy = false;
      eye.unobserve(foot);
      idle("");
      mount(words, faultNotice(error));
    }
  }
  function idle(text) {
    setText(words, text);
    setText(more, "Load more");
    more.hidden = over;
    list.hidden = !list.childElementCount;
  }
  const eye = new IntersectionObserver((seen) => seen.at(-1).isIntersecting && !busy && !over && go(), { rootMargin: "600px" });
  /* Watched anew after each page: it tells of changes only, and the foot may still be in view. A stop or a fault ends it. */
  const look = () => { eye.unobserve(foot); eye.observe(foot); };
  more.addEventListener("click", go);
  return {
    list,
    foot,
    /** Begin, or begin again from the top. */
    start() { run++; busy = false; next = null; old = true; return go(); },
    end() { run++; eye.disconnect(); },
  };
}

/** Tabs by the pattern of the ARIA guide: one Tab stop, arrows go between them. `items`: [id, words]. */
export function tabs(name, items, chosen, choose) {
  const list = h("div", { class: "tabs", role: "tablist", "aria-label": name }, items.map(([id, words]) =>
    h("button", { type: "button", role: "tab", id: `tab-${id}`, "aria-controls": `panel-${id}`, "data-test": `tab-${id}`, onclick: () => choose(id) }, words)));
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const here = items.findIndex(([id]) => id === chosen);
    const next = event.key === "Home" ? 0 : event.key === "End" ? items.length - 1 : step ? (here + step + items.length) % items.length : null;
    if (next === null) return;
    event.preventDefault();
    choose(items[next][0]);
    list.children[next].focus();
  });
  list.show = (id) => {
    chosen = id;
    for (const tab of list.children) {
      tab.setAttribute("aria-selected", String(tab.id === `tab-${id}`));
      tab.tabIndex = tab.id === `tab-${id}` ? 0 : -1;
    }
  };
  list.show(chosen);
  return list;
}

/** Follow a run to its end, showing its lines; gives {element, done} where `done` is the run as it ended. */
export function follow(run) {
  const status = h("p", { role: "status", class: "run-state" });
  const lines = h("pre", { class: "lines", tabindex: "0", "aria-label": "What is being done", hidden: true });
  const element = h("div", { class: "run", "data-test": "run" }, status, lines);
  const show = () => {
    const text = run.lines.join("\n");
    lines.hidden = !text;
    const low = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 40;
    setText(lines, text);
    if (low) lines.scrollTop = lines.scrollHeight;
    element.dataset.state = run.state;
    mount(status, run.state === "running" ? `Working… ${count(run.line_count ?? run.lines.length, "line")}` : run.state === "failed" ? faultNotice(run.error ?? { message: "It failed." }) : notice("ok", "Done."));
  };
  const done = (async () => {
    show();
    let misses = 0;
    while (run.state === "running") {
      await soon();
      try {
        const answer = await get(`/runs/${encodeURIComponent(run.id)}`);
        run = answer.run ?? answer;
        misses = 0;
      } catch (error) {
        if (++misses > 5 || error.status === 404) throw error;
      }
      show();
    }
    return run;
  })();
  done.catch((error) => mount(status, faultNotice(error)));
  return { element, done };
}

/** Wait for a sign of a run's progress, or a second. */
function soon() {
  return new Promise((resolve) => {
    const end = () => { off(); clearTimeout(timer); resolve(); };
    const off = store.on((event) => event.type.startsWith("run.") && setTimeout(end, 150), "event");
    const timer = setTimeout(end, 1000);
  });
}
