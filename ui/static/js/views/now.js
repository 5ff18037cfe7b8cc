/** How things are, at one glance: the conveyor, the batch under way, the lamps, figures, and what came last. */

import { get, may, onSession, post } from "../api.js";
import { bench } from "../bench.js";
import { button, bytes, count, dateTime, duration, h, keyed, mount, number, panel, setAttr, setText, shortTime, stateBadge, timeAgo } from "../dom.js";
import { follow, picture } from "../kit.js";
import { mendedAt, toast } from "../popups.js";
import { year } from "../year.js";

const BATCH_STEPS = { examine: "examine", place: "place", import: "import", confirm: "confirm" };
const MOVING = ["settled", "examined", "placed", "imported", "archived"];

export default {
  title: "Now",

  mount(root, { store }) {
    const head = headline(store);
    const parts = [head, conveyor(), batchCard(), lamps(), figures(), activity(), recent(), refreshed(head.runs), others()];
    const [, belt, ...cards] = parts.map((part) => part.element);
    const draw = (state, keys) => {
      // All at once, when there is something to show: what is filled bit by bit jumps.
      if (!belt.isConnected) mount(root, head.element, belt, h("div", { class: "duo" }, cards.slice(0, 3)), h("div", { class: "duo" }, cards.slice(3)));
      for (const part of parts) if (!keys || !part.keys || part.keys.some((key) => keys.has(key))) part.update(state);
    };
    if (store.state) draw(store.state);
    else root.append(h("h1", { tabindex: "-1", class: "loading" }, "Looking at the instruments…"));
    const off = store.on(draw);
    return () => {
      off();
      for (const part of parts) part.end?.();
    };
  },
};

// -- headline and deeds -----------------------------------------------------------------------------------------

function headline(store) {
  const lamp = h("span", { class: "lamp unknown", "aria-hidden": "true" });
  const title = h("h1", { tabindex: "-1", "data-test": "headline" }, "Looking…");
  const more = h("p", null);
  const actions = h("div", { class: "actions" });
  const runs = h("div", { class: "stack runs", "data-test": "runs" });
  const pause = button("Pause", async () => {
    const { paused } = await post(store.state?.paused ? "/resume" : "/pause");
    toast(paused ? "Paused. What is under way is finished; nothing new is begun." : "Going on.");
  }, { "data-test": "pause" });
  const deeds = [
    button("Run now", () => begin(runs, "/sweeps", { users: [], dry_run: false }, "Sweep"), { kind: "primary", "data-test": "run-now" }),
    button("Preview", () => begin(runs, "/sweeps", { users: [], dry_run: true }, "Preview: nothing is moved"), { "data-test": "preview", title: "Says of each file what would become of it, and why; nothing is touched" }),
    pause,
  ];
  const allowed = () => mount(actions, may("control") ? deeds : h("span", { class: "faint" }, "You may look, not touch."));
  allowed();
  return {
    element: h("div", null, h("div", { class: "view-head" }, h("div", { class: "headline" }, lamp, h("div", null, title, more)), actions), runs),
    runs,
    end: onSession(allowed),
    update(state) {
      const [kind, words, rest] = verdict(state);
      setAttr(lamp, "class", `lamp ${kind}`);
      setText(title, words);
      if (typeof rest !== "string" || more.textContent !== rest) mount(more, rest);
      setText(pause, state.paused ? "Resume" : "Pause");
    },
  };
}

/** How things are, in one sentence and a second one: [lamp, words, more]. */
function verdict(state) {
  const photos = state.photos ?? {};
  const issues = (state.issues ?? []).filter((issue) => issue.code !== "user.new");
  const moving = MOVING.reduce((sum, step) => sum + (photos[step] ?? 0), 0);
  const asking = state.users?.asking;
  const asks = asking ? h("a", { href: "#/users" }, `${count(asking, "new user")} ${asking === 1 ? "asks" : "ask"} to be included`) : null;
  const wrong = issues.length + (photos.held ? 1 : 0);
  if (state.paused) return ["warning", "Paused", `Nothing new is begun. ${count(moving + (photos.waiting ?? 0), "photo")} under way or waiting.`];
  if (wrong) {
    const what = issues[0]?.message ?? `${count(photos.held, "photo")} ${photos.held === 1 ? "is" : "are"} held for a person to decide`;
    const bad = photos.held || state.lamps?.some((lamp) => lamp.state === "error");
    return [bad ? "error" : "warning", wrong === 1 ? "One thing needs a look" : `${wrong} things need a look`, h("a", { href: "#/errors" }, what)];
  }
  if (state.dry_run) return ["warning", "Dry run", "Photos are looked at; nothing is moved. relay.dry_run is on."];
  if (moving) return ["ok", `Relaying ${count(moving, "photo")}`, asks ?? (photos.waiting ? `${number(photos.waiting)} more wait and are tried again.` : "All is well.")];
  if (asks) return ["ok", "All is well", asks];
  if (!state.users?.included) return ["warning", "Nobody is included yet", h("a", { href: "#/users" }, "Choose whose photos are relayed")];
  return ["ok", "All is well", photos.waiting ? `${count(photos.waiting, "photo")} ${photos.waiting === 1 ? "waits and is" : "wait and are"} tried again.` : "Nothing to do just now."];
}

async function begin(parent, path, body, words) {
  const { run } = await post(path, body);
  const result = h("div", { class: "run-result" });
  const { element, done } = follow(run);
  const box = panel(words, { name: `run-${run.kind}`, aside: button("Close", () => box.remove(), { kind: "small quiet" }) }, element, result);
  parent.prepend(box);
  // The run goes on without its button; how it ends is told in its own box.
  done.then((ended) => mount(result, ended.result ? outcome(ended) : null), () => {});
}

const VERDICTS = { would_move: "badge ok", would_stay: "badge", duplicate: "badge info", refused: "badge warning", known: "badge" };
const OUTCOMES = [["done", "relayed"], ["duplicates", "duplicates"], ["refused", "refused"], ["waiting", "wait"], ["held", "held"], ["folders", "folders"], ["failed", "failed"]];

function outcome({ kind, result }) {
  if (kind === "preview") {
    const reasons = [...(result.by_reason ?? [])].sort((a, b) => b.count - a.count);
    return [
      h("p", null, `${count(result.files, "file")} looked at; nothing was touched.`),
      h("ul", { class: "items", "data-test": "reasons" }, reasons.map(({ verdict, words, count: n }) =>
        h("li", null, h("span", { class: VERDICTS[verdict] ?? "badge" }, number(n)), h("span", { class: "grow" }, words)))),
    ];
  }
  const figures = OUTCOMES.filter(([key]) => result[key]);
  return h("p", null, figures.length ? figures.map(([key, words]) => `${number(result[key])} ${words}`).join(", ") : "There was nothing to do.");
}

// -- the cards --------------------------------------------------------------------------------------------------

function conveyor() {
  const belt = bench();
  const next = h("span", { class: "faint", "data-test": "next-sweep" });
  const box = panel("From upload to gallery", { name: "bench", aside: next }, belt.element);
  box.classList.add("bench");
  return {
    element: box,
    keys: ["photos", "batch", "paused", "sweep", "watch"],
    end: belt.end,
    update(state) {
      belt.update(state);
      const { running, next: at } = state.sweep ?? {};
      if (running) mount(next, "Sweep under way");
      else if (!at) mount(next, "No sweep planned");
      else if (next.dataset.at !== at || !next.querySelector("time")) mount(next, "Next sweep ", timeAgo(at));
      next.dataset.at = running ? "" : (at ?? "");
    },
  };
}

function batchCard() {
  const title = h("span", { class: "faint" });
  const steps = h("ol", { class: "batch-steps" }, Object.keys(BATCH_STEPS).map((step) => h("li", null, step)));
  const fill = h("i");
  const bar = h("div", { class: "bar", role: "progressbar", "aria-label": "This step of the batch", "aria-valuemin": 0, "aria-valuemax": 100 }, fill);
  const values = ["Photos", "Data", "Speed", "Time left"].map((name) => [name, h("dd", null, "–")]);
  const hand = h("div", { class: "hand" });
  const trouble = h("p", { class: "fault", hidden: true });
  const works = h("div", null, steps, bar, h("dl", { class: "meters" }, values.map(([name, dd]) => h("div", null, h("dt", null, name), dd))), hand, trouble);
  const rests = h("div");
  const box = panel("Batch under way", { name: "batch", aside: title }, h("div", { class: "either" }, works, rests));
  let handed = null;
  return {
    element: box,
    keys: ["batch", "last_batch"],
    update({ batch, last_batch: last }) {
      works.style.visibility = batch ? "visible" : "hidden"; // keeps its room, so that nothing below jumps
      rests.style.visibility = batch ? "hidden" : "visible";
      setText(box.querySelector("h2"), batch ? "Batch under way" : "No batch under way");
      mount(title, batch ? h("a", { href: `#/batches/${batch.id}` }, batch.name) : null);
      if (!batch) return mount(rests, resting(last));
      const order = Object.keys(BATCH_STEPS);
      const at = order.indexOf(batch.step);
      [...steps.children].forEach((li, n) => {
        setAttr(li, "class", n < at ? "past" : null);
        setAttr(li, "aria-current", n === at ? "step" : null);
      });
      const part = Math.min(1, batch.bytes ? (batch.bytes_done ?? 0) / batch.bytes : batch.photos ? batch.done / batch.photos : 0);
      fill.style.transform = `scaleX(${part})`;
      setAttr(bar, "aria-valuenow", Math.round(part * 100));
      const words = [`${number(batch.done)} of ${number(batch.photos)}`, batch.bytes ? `${bytes(batch.bytes_done)} of ${bytes(batch.bytes)}` : "–", batch.bytes_per_second ? `${bytes(batch.bytes_per_second)}/s` : "–", batch.seconds_left === null ? "–" : duration(batch.seconds_left)];
      values.forEach(([, dd], n) => setText(dd, words[n]));
      trouble.hidden = !batch.waits_since;
      if (batch.waits_since) mount(trouble, `${batch.message || "It waits"}. Waits since ${shortTime(batch.waits_since)}`, batch.next_try ? [", next try ", timeAgo(batch.next_try)] : null, ".");
      const now = batch.in_hand ? `${batch.in_hand.id} ${batch.in_hand.name}` : "";
      if (now === handed) return undefined;
      handed = now;
      hand.className = now ? "hand" : "hand none";
      const { in_hand: photo } = batch;
      return mount(hand, photo
        ? [picture({ ...photo, thumbnail: photo.thumbnail ?? `/api/v1/photos/${photo.id}/thumbnail` }, true), h("div", null, h("p", { class: "faint" }, `In hand, of ${photo.user}`), h("p", { class: "clip" }, h("a", { href: `#/photo/${photo.id}` }, photo.name)))]
        : "No single photo in hand.");
    },
  };
}

function resting(last) {
  if (!last) return h("p", { class: "empty" }, "As soon as an upload has gone quiet, its batch shows here.");
  return h("p", { class: "empty" }, "The last one, ", h("a", { href: `#/batches/${last.id}` }, count(last.photos, "photo")), ", ", last.ended_at ? ["ended ", timeAgo(last.ended_at)] : `is ${last.state}`, ".");
}

function lamps() {
  const list = h("ul", { class: "lamps" });
  const box = panel("Instruments", { name: "lamps", aside: h("a", { href: "#/checks", class: "faint" }, "Run the checks") }, list);
  box.classList.add("side");
  return {
    element: box,
    keys: ["lamps"],
    update({ lamps: all = [] }) {
      keyed(list, all, (lamp) => lamp.id,
        (lamp) => h("li", { "data-test": `lamp-${lamp.id}` }, h("span", { class: "lamp", "aria-hidden": "true" }), h("strong", null, lamp.name), h("span", { class: "faint" }), h("div", { class: "say" })),
        (li, lamp) => {
          const [light, , since, say] = li.children;
          setAttr(light, "class", `lamp ${lamp.state}`);
          const key = JSON.stringify(lamp);
          if (li.drawn === key) return;
          li.drawn = key;
          const well = lamp.state === "ok" || lamp.state === "off";
          mount(since, LAMP_WORDS[lamp.state] ?? lamp.state, lamp.since && !well ? [" since ", h("time", { datetime: lamp.since, title: dateTime(lamp.since) }, shortTime(lamp.since))] : null);
          mount(say, details(lamp), !well && lamp.hint ? h("div", null, `→ ${lamp.hint} `, mend(lamp)) : null);
        });
    },
  };
}

const LAMP_WORDS = { ok: "well", warning: "warning", error: "not well", off: "off", unknown: "not known yet" };

function mend(lamp) {
  const [href, words] = mendedAt(lamp.code ?? lamp.id, "");
  return h("a", { href }, words);
}

function details({ state, message, detail }) {
  const told = state === "ok" && detail?.total ? `${bytes(detail.free)} free of ${bytes(detail.total)}` : message;
  return detail?.verified_at ? [told, told ? ", " : null, "verified ", timeAgo(detail.verified_at)] : told;
}

function figures() {
  const names = [["Relayed", (f) => [number(f.done), bytes(f.bytes)]], ["Saved", (f) => [bytes(f.duplicate_bytes), `by ${count(f.duplicates ?? 0, "duplicate")}`]]];
  const cells = ["today", "total"].flatMap((span) => names.map(([title, words]) => [span, words, h("div", { class: "figure" }, h("dt", null, `${title} ${span === "today" ? "today" : "in all"}`), h("dd", null))]));
  const box = panel("Today and in all", { name: "figures" }, h("dl", { class: "figures" }, cells.map(([, , cell]) => cell)));
  return {
    element: box,
    keys: ["today", "total"],
    update(state) {
      for (const [span, words, cell] of cells) {
        const [big, small] = words(state[span] ?? {});
        const dd = cell.lastChild;
        if (dd.textContent !== big + small) mount(dd, big, h("small", null, small));
      }
    },
  };
}

function activity() {
  const plot = year();
  return { element: panel("A year of light", { name: "year" }, plot.element), keys: ["activity", "page"], update: (state) => plot.update(state.activity, state.page?.timezone) };
}

function recent() {
  const list = h("ul", { class: "items recent", "data-test": "recent" });
  const none = h("p", { class: "empty" }, "No photo has come to its end yet.");
  const box = panel("Latest photos", { name: "recent-panel", aside: h("a", { href: "#/photos", class: "faint" }, "All photos") }, none, list);
  box.classList.add("side");
  let first = true;
  return {
    element: box,
    keys: ["recent"],
    update({ recent: all = [] }) {
      none.hidden = all.length > 0;
      keyed(list, all.slice(0, 10), (photo) => `${photo.id} ${photo.ended_at}`, (photo) =>
        h("li", { class: first ? null : "fresh", "data-test": "recent-photo" }, picture(photo, true),
          h("div", { class: "grow" }, h("a", { class: "clip", href: `#/photo/${photo.id}` }, photo.name), h("span", { class: "faint clip" }, photo.user, ", ", timeAgo(photo.ended_at))),
          stateBadge(photo.state, Boolean(photo.duplicate_of))));
      first = false;
    },
  };
}

/** The relays of other machines; not there where there are none. */
function others() {
  const list = h("ul", { class: "items", "data-test": "others" });
  const box = panel("Other relays", { name: "others-panel" }, list);
  box.hidden = true;
  const look = async () => {
    if (box.hidden || document.hidden) return;
    const found = await get("/others").catch(() => null);
    if (!found) return;
    mount(list, found.others.map(({ name, url, summary, trouble }) => {
      const state = trouble ? "error" : { ok: "ok", error: "error" }[summary.state] ?? "warning";
      const words = trouble || summary.first_issue || `${count(summary.done_today, "photo")} today, ${number(summary.done_total)} in all`;
      return h("li", null, h("span", { class: `lamp ${state}`, "aria-hidden": "true" }), h("div", { class: "grow" }, h("a", { href: url, rel: "noreferrer" }, name), h("div", { class: "faint" }, words)), h("span", { class: "faint" }, trouble ? "not seen" : summary.state));
    }));
  };
  const timer = setInterval(look, 30_000);
  return {
    element: box,
    keys: ["page"],
    update(state) {
      const there = (state.page?.others ?? 0) > 0;
      if (box.hidden === !there) return;
      box.hidden = !there;
      look();
    },
    end: () => clearInterval(timer),
  };
}

function refreshed(runs) {
  const list = h("ul", { class: "items refreshed", "data-test": "refreshed" });
  const jobs = h("span");
  const index = button("Index now", () => begin(runs, "/index", { users: [], album: true }, "Index"), { kind: "small", "data-test": "index", title: "Have Nextcloud look again at the watched folders and the album" });
  const none = h("p", { class: "empty" }, "Nextcloud was not asked to look at a folder yet.");
  const box = panel("Told to Nextcloud", { name: "refreshed-panel", aside: h("div", { class: "actions faint" }, jobs, index) }, none, list);
  return {
    element: box,
    keys: ["refreshed", "nextcloud_jobs"],
    update(state) {
      const all = state.refreshed ?? [];
      none.hidden = all.length > 0;
      index.hidden = !may("control");
      setText(jobs, state.nextcloud_jobs ? `${count(state.nextcloud_jobs, "call")} waiting` : "");
      keyed(list, all.slice(0, 8), (one) => `${one.kind} ${one.user} ${one.path} ${one.at}`, (one) =>
        h("li", null, h("div", { class: "grow" }, h("div", { class: "path clip", title: one.path }, one.path || "/"), h("div", { class: "faint clip" }, [one.kind, one.user, one.result].filter(Boolean).join(" · "))), timeAgo(one.at)));
    },
  };
}
