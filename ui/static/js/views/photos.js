/* The ledger: every photo that was ever seen, searched and listed without end. */
import { get, may, url } from "../api.js";
import { count, date, h, icon, mount, viewHead } from "../dom.js";
import { endless, labelled, photoRow, STATES } from "../kit.js";
import { store } from "../live.js";

const PAGE = 50;
const KEYS = ["q", "user", "state", "since", "until", "batch"];

export default {
  title: "Photos",
  mount(root, { query }) {
    let filter = {};
    const rows = new Map();
    const fresh = new Map();
    const stop = new AbortController();

    const page = async (before) => {
      const answer = await get("/photos", { ...filter, before, limit: PAGE }, { signal: stop.signal });
      const back = answer.searched_back_to && `Searched back to ${date(answer.searched_back_to)}.`;
      return { rows: answer.photos.filter((photo) => !rows.has(photo.id)), next: answer.next, note: back };
    };
    const make = (photo) => {
      const row = photoRow(photo);
      rows.set(photo.id, row);
      return row;
    };
    const list = endless(page, make, { name: "photos", empty: "No photo like that has been seen." });
    const pill = h("button", { type: "button", class: "pill", hidden: true, "data-test": "new-photos", onclick: () => { restart(); scrollTo({ top: 0 }); } });
    const restart = () => {
      rows.clear();
      fresh.clear();
      pill.hidden = true;
      return list.start();
    };

    const input = (key, props) => h("input", { name: key, autocomplete: "off", "data-test": `filter-${key}`, ...props });
    const states = h("select", { name: "state", "data-test": "filter-state", onchange: () => apply() }, h("option", { value: "" }, "Any"),
      STATES.map((state) => h("option", { value: state }, state)));
    const users = h("datalist", { id: "known-users" });
    const clear = h("a", { class: "button", href: "#/photos", "data-test": "clear" }, "Clear");
    const form = h("form", { class: "filters panel", role: "search", onsubmit: (event) => { event.preventDefault(); apply(); } },
      labelled("Name or checksum", input("q", { type: "search", placeholder: "IMG_2041, Camera/, 9f86d081…", spellcheck: "false" })),
      labelled("User", input("user", { list: "known-users" })), users, labelled("State", states),
      labelled("From", input("since", { type: "date" })), labelled("To", input("until", { type: "date" })), input("batch", { type: "hidden" }),
      h("div", { class: "actions" }, h("button", { type: "submit", class: "button primary", "data-test": "search" }, icon("search"), "Search"), clear));
    function apply() {
      const given = [...new FormData(form)].map(([key, value]) => [key, value.trim()]).filter(([, value]) => value);
      const hash = `#/photos${given.length ? `?${new URLSearchParams(given)}` : ""}`;
      if (location.hash === hash) restart();
      else location.hash = hash;
    }

    const csv = h("a", { class: "button", download: "", "data-test": "export-csv" }, icon("download"), "CSV");
    const sums = h("a", { class: "button", download: "", title: "A list that b3sum --check accepts, from the archive's folder", "data-test": "export-b3sum" }, icon("download"), "Checksums");
    const batch = h("p", { class: "muted" });
    root.append(viewHead("Photos", may("control") && csv, may("control") && sums), form, batch, h("div", { class: "pill-place" }, pill),
      h("section", { class: "panel flush", "aria-label": "Photos, newest first" }, list.list, list.foot));
    const off = store.on(arrived, "photos");
    update({ query });
    get("/users", null, { signal: stop.signal }).then(({ users: all }) => users.append(...all.map(({ id }) => h("option", { value: id }))), () => {});

    function update({ query: now }) {
      filter = Object.fromEntries(KEYS.map((key) => [key, now.get(key) ?? ""]));
      for (const key of KEYS) form.elements[key].value = filter[key];
      clear.hidden = !KEYS.some((key) => filter[key]);
      csv.href = url("/photos/export", { format: "csv", ...filter });
      sums.href = url("/photos/export", { format: "b3sum", ...filter });
      mount(batch, filter.batch && ["Only those of ", h("a", { href: `#/batches/${encodeURIComponent(filter.batch)}` }, `batch ${filter.batch}`), "."]);
      restart();
    }
    function arrived(photos) {
      for (const photo of photos) {
        if (rows.has(photo.id)) rows.get(photo.id).show(photo);
        else if (fits(photo)) fresh.set(photo.id, photo);
      }
      pill.hidden = !fresh.size;
      if (fresh.size) pill.textContent = `${count(fresh.size, "new photo")}: show`;
    }
    function fits(photo) {
      return !filter.until && (!filter.user || photo.user === filter.user) && (!filter.state || photo.state === filter.state)
        && (!filter.batch || String(photo.batch_id) === filter.batch) && (!filter.q || photo.name.toLowerCase().includes(filter.q.toLowerCase()));
    }
    return { update, destroy() { off(); list.end(); stop.abort(); } };
  },
};
