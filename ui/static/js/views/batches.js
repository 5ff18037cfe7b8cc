/* What was moved when; one batch, and how to undo it. */
import { get, may, post } from "../api.js";
import { ask, button, bytes, count, dateTime, h, mount, number, panel, shortTime, stateBadge, timeAgo, viewHead } from "../dom.js";
import { endless, facts, follow, load, lookOnly, notice, photoRow } from "../kit.js";
import { store } from "../live.js";

const WORDS = { open: "being filled", placed: "being imported", imported: "being proved", ended: "done" };

export default {
  title: "Batches",
  mount(root, { params }) {
    return params[0] ? one(root, params[0]) : all(root);
  },
};

const badge = (batch) => (batch.state in WORDS ? h("span", { class: `badge state-${batch.state === "ended" ? "done" : batch.code ? "waiting" : batch.state}` }, WORDS[batch.state]) : stateBadge(batch.state));

function all(root) {
  const page = async (before) => {
    const { batches, next } = await get("/batches", { before, limit: 50 });
    return { rows: batches, next };
  };
  const list = endless(page, row, { name: "batches", empty: "Nothing has been moved yet." });
  root.append(viewHead("Batches"), h("p", { class: "muted" }, "Photos travel in batches. Each can be undone: its originals are copied back, the archive keeps what it has."),
    h("section", { class: "panel flush", "aria-label": "Batches, newest first" }, list.list, list.foot));
  list.start();
  const off = store.on((event) => {
    if ((event.type === "batch.opened" || event.type === "batch.ended") && scrollY < 200 && !root.contains(document.activeElement.closest("li"))) list.start();
  }, "event");
  return () => { off(); list.end(); };
}

function row(batch) {
  return h("li", { class: "batch-row", "data-test": "batch", "data-id": batch.id }, h("a", { href: `#/batches/${batch.id}` },
    h("span", { class: "row-name" }, h("b", null, batch.ended_at ? shortTime(batch.created_at) : ["since ", shortTime(batch.created_at)]), h("small", null, batch.name)),
    h("span", { class: "row-user" }, people(batch.users)), h("span", { class: "row-state" }, badge(batch), batch.code && h("small", null, batch.code)),
    h("span", { class: "row-size" }, count(batch.photos, "photo"), h("small", null, bytes(batch.bytes))),
    h("span", { class: "row-time" }, [batch.duplicates && `${count(batch.duplicates, "duplicate")}`, batch.held && `${number(batch.held)} held`, batch.restored && `${number(batch.restored)} copied back`].filter(Boolean).join(", "))));
}

const people = (users = []) => (users.length > 3 ? `${users.slice(0, 2).join(", ")} and ${users.length - 2} more` : users.join(", "));

function one(root, id) {
  const at = `/batches/${encodeURIComponent(id)}`;
  const stop = new AbortController();
  const body = h("div");
  const run = h("div", { class: "run-place" });
  const rows = new Map();
  const again = () => load(body, () => get(at, null, { signal: stop.signal }), draw);
  root.append(viewHead("Batch", h("a", { class: "button", href: "#/batches" }, "All batches")), run, body);
  again();
  const offs = [
    store.on((photos) => photos.forEach((photo) => rows.get(photo.id)?.show(photo)), "photos"),
    store.on((event) => event.type === "batch.ended" && String(event.data?.id ?? id) === String(id) && again(), "event"),
  ];

  function draw(batch) {
    rows.clear();
    root.querySelector("h1").textContent = `Batch of ${dateTime(batch.created_at)}`;
    const left = batch.rows.some((photo) => photo.state !== "restored" && photo.role !== "side" && (photo.archived_as || photo.duplicate_of || photo.state === "done"));
    return [
      lookOnly(),
      panel("What was moved", { name: "batch", aside: badge(batch) },
        batch.message && notice("warning", h("strong", null, batch.message), batch.next_try && h("p", null, "Next try ", timeAgo(batch.next_try), "."), batch.code && h("span", { class: "code" }, batch.code)),
        facts(["Number", batch.id], ["Photos", number(batch.photos)], ["Size", bytes(batch.bytes)], ["Duplicates", batch.duplicates && number(batch.duplicates)], ["Held", batch.held && number(batch.held)], ["Copied back", batch.restored && number(batch.restored)],
          ["Users", batch.users?.join(", ")], ["Began", dateTime(batch.created_at)], ["Ended", batch.ended_at && dateTime(batch.ended_at)], ["Folder", h("span", { class: "path" }, batch.name)]),
        may("control") && left && h("div", { class: "actions" }, button("Undo this batch", () => undo(batch), { kind: "danger", "data-test": "undo" }))),
      panel("Photos", { aside: h("a", { href: `#/photos?batch=${encodeURIComponent(id)}` }, "Search in them") }, h("ul", { class: "rows" }, batch.rows.map((photo) => {
        const made = photoRow(photo);
        rows.set(photo.id, made);
        return made;
      })), batch.rows.length < batch.photos && h("p", { class: "muted" }, `The first ${number(batch.rows.length)} of ${number(batch.photos)}.`)),
    ];
  }

  async function undo(batch) {
    let begun = null;
    const yes = await ask("Undo this batch?", [
      h("p", null, `${count(batch.photos, "photo")} (${bytes(batch.bytes)}) ${batch.photos === 1 ? "is" : "are"} copied from the archive back to where they came from, for ${people(batch.users)}.`),
      h("ul", null, h("li", null, "The archive keeps its copies; nothing is deleted."), h("li", null, "A file that stands there under the same name is not overwritten."), h("li", null, "The program will not take these files again."))],
    { yes: "Undo", kind: "danger", deed: async () => { begun = (await post(`${at}/restore`)).run; } });
    if (!yes) return;
    const followed = follow(begun);
    mount(run, panel("Copying back", { name: "undo-run" }, followed.element));
    await followed.done.catch(() => {});
    if (!stop.signal.aborted) await again();
  }
  return () => { offs.forEach((off) => off()); stop.abort(); };
}
