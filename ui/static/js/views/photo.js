/* One photo: where it is, how it got there, and what can be done. */
import { get, may, post } from "../api.js";
import { ask, button, bytes, dateTime, h, mount, panel, stateBadge, timeAgo, viewHead } from "../dom.js";
import { AFTER, copyButton, facts, load, lookOnly, notice, picture } from "../kit.js";
import { store } from "../live.js";

const STEPS = {
  found: "Seen for the first time", settled: "Nothing changed any more", examined: "Read and hashed", placed: "Copied for the archive",
  imported: "Taken in by the archive", archived: "Proved, byte for byte, in the archive", released: "The original was dealt with", done: "Shown in the galleries",
  waiting: "Waits, and is tried again by itself", held: "Held until a person decides", refused: "Will not be moved", restored: "Copied back to where it came from",
};
const ROLES = { main: "", side: "side file" };

export default {
  title: "Photo",
  mount(root, { params }) {
    const id = encodeURIComponent(params[0] ?? "");
    const stop = new AbortController();
    const said = h("div"); // stays when the photo is drawn anew
    const body = h("div");
    const again = () => load(body, () => get(`/photos/${id}`, null, { signal: stop.signal }), draw);
    root.append(viewHead("Photo", h("a", { class: "button", href: "#/photos" }, "All photos")), said, body);
    again();
    let moving = false;
    let timer = 0;
    const soon = () => { timer ||= setTimeout(() => { timer = 0; again(); }, 1500); };
    const offs = [store.on((photos) => photos.some((photo) => String(photo.id) === id) && again(), "photos"), store.on((_, changed) => moving && (changed.has("photos") || changed.has("batch")) && soon())];

    function draw(photo) {
      moving = !["done", "refused", "restored"].includes(photo.state);
      root.querySelector("h1").textContent = photo.name;
      const can = may("control") ? photo.can : {};
      return [
        lookOnly(),
        h("section", { class: "panel photo-head" }, picture(photo, true), h("div", null,
          h("p", null, stateBadge(photo.state, Boolean(photo.duplicate_of)), " ", STEPS[photo.state]),
          photo.message && notice(photo.state === "refused" || photo.state === "held" ? "warning" : "info", h("strong", null, photo.message), photo.hint && h("p", null, photo.hint),
            photo.next_try && h("p", null, "Next try ", timeAgo(photo.next_try), "."), photo.code && h("span", { class: "code" }, photo.code)),
          h("div", { class: "actions" }, can.retry && button("Try again now", () => retry(photo), { kind: "primary", "data-test": "retry" }),
            can.restore && button("Copy back to the user", () => restore(photo), { "data-test": "restore" })))),
        h("div", { class: "columns" },
          h("div", null,
            panel("Where it is", { name: "places" }, places(photo)),
            panel("About", {}, facts(["Number", photo.id], ["User", h("a", { href: `#/photos?user=${encodeURIComponent(photo.user)}` }, photo.user)], ["Size", bytes(photo.size)], ["Kind", photo.kind],
              ["Taken", photo.taken?.replace("T", " ")], ["Found", dateTime(photo.found_at)], ["Ended", photo.ended_at && dateTime(photo.ended_at)],
              ["Batch", photo.batch_id && h("a", { href: `#/batches/${photo.batch_id}` }, photo.places?.batch?.split("/")[0] ?? photo.batch_id)],
              ["Same as", photo.duplicate_of && h("a", { href: `#/photo/${photo.duplicate_of}` }, `photo ${photo.duplicate_of}`)],
              ["Original", AFTER[photo.after]?.[0]], hash("BLAKE3", photo.blake3), hash("SHA-1", photo.sha1)))),
          h("div", null,
            panel("Its way", { name: "way" }, h("ol", { class: "way" }, photo.history.map((step) => h("li", { class: `state-${step.state}` },
              h("b", null, STEPS[step.state] ?? step.state), h("time", { datetime: step.at }, dateTime(step.at)), step.note && h("span", { class: "muted" }, step.note))))),
            photo.members?.length > 0 && panel("Belongs together", { name: "members" }, h("ul", { class: "plain" }, photo.members.map((member) => h("li", null,
              h("a", { href: `#/photo/${member.id}` }, member.name), " ", h("span", { class: "muted" }, ROLES[member.role] ?? member.role), " ", stateBadge(member.state))))),
            photo.audit?.length > 0 && panel("Done by hand and by the program", { name: "audit" }, h("ul", { class: "plain audit" }, photo.audit.map((line) => h("li", null,
              h("time", { datetime: line.at }, dateTime(line.at)), " ", h("b", null, line.deed), " ", h("span", { class: "muted" }, [line.who, line.note].filter(Boolean).join(" · "))))))),
        ),
      ];
    }

    async function retry(photo) {
      await post(`/photos/${photo.id}/retry`);
      await again();
    }
    async function restore(photo) {
      let at = "";
      const done = await ask("Copy this photo back?", [
        h("p", null, `${photo.name} is copied from the archive to where it came from, in the files of ${photo.user}. The archive keeps its copy, and the program will not take this file again.`),
        h("p", { class: "path" }, photo.path)], { yes: "Copy back", deed: async () => { at = (await post(`/photos/${photo.id}/restore`)).path; } });
      if (!done) return;
      await again();
      mount(said, notice("ok", h("strong", null, "Copied back."), h("p", { class: "path" }, at)));
    }
    return () => { offs.forEach((off) => off()); clearTimeout(timer); stop.abort(); };
  },
};

function places({ places: at = {} }) {
  const there = (place) => (place.exists === true ? h("span", { class: "badge ok" }, "there") : place.exists === false ? h("span", { class: "badge" }, "not there") : h("span", { class: "badge" }, "not looked"));
  const place = (found) => found?.path && [h("span", { class: "path" }, found.path), " ", there(found)];
  return facts(["Original", place(at.original)], ["Archive", place(at.archive)], ["In Nextcloud", at.nextcloud_album && h("span", { class: "path" }, at.nextcloud_album)], ["Batch folder", at.batch && h("span", { class: "path" }, at.batch)]);
}

function hash(name, hex) {
  return [name, hex && [h("code", { class: "hash" }, hex), copyButton(hex, name)]];
}
