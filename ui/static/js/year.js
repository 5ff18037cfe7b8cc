/** A year of activity: a day is a cell, the brighter the more photos; the same by month as a table. */

import { bytes, count, date, h, mount, number, s } from "./dom.js";

const DAY = 86400000;
const CELL = 11;
const iso = (day) => new Date(day).toISOString().slice(0, 10);

/** Give `{element, update(activity, timezone)}`. */
export function year() {
  const plot = h("div");
  const summary = h("p", { class: "faint" });
  const table = h("details", null, h("summary", null, "By month"), h("div"));
  return {
    element: h("div", { class: "year stack" }, plot, summary, table),
    update(activity = [], timezone = undefined) {
      const days = new Map(activity.map((day) => [day.date, day]));
      const today = Date.parse(new Intl.DateTimeFormat("sv-SE", { timeZone: timezone || undefined }).format(new Date()));
      const first = today - 364 * DAY;
      const monday = first - ((new Date(first).getUTCDay() + 6) % 7) * DAY;
      const most = activity.reduce((max, day) => (day.done > (max?.done ?? 0) ? day : max), null);
      const total = activity.reduce((sum, day) => sum + day.done, 0);
      const words = total
        ? `${count(total, "photo")} on ${count(activity.filter((day) => day.done).length, "day")} of the last year; most on ${date(most.date)}: ${number(most.done)}.`
        : "Nothing was relayed in the last year yet.";
      const cells = [];
      let month = -1;
      for (let day = monday; day <= today; day += DAY) {
        const week = Math.round((day - monday) / DAY / 7 - 0.43);
        const row = (new Date(day).getUTCDay() + 6) % 7;
        if (row === 0 && new Date(day).getUTCMonth() !== month && day >= first) {
          if (month !== -1 || new Date(day).getUTCDate() < 8) cells.push(s("text", { x: week * CELL, y: 8 }, new Date(day).toLocaleDateString("en-GB", { month: "short", timeZone: "UTC" })));
          month = new Date(day).getUTCMonth();
        }
        if (day < first) continue;
        const { done = 0, bytes: size = 0 } = days.get(iso(day)) ?? {};
        const level = done ? Math.max(1, Math.ceil(4 * Math.sqrt(done / most.done))) : 0;
        cells.push(
          s("rect", { class: `cell l${level}`, x: week * CELL, y: 14 + row * CELL, width: CELL - 2, height: CELL - 2, rx: 2 },
            done ? s("title", null, `${date(iso(day))}: ${count(done, "photo")}, ${bytes(size)}`) : null),
        );
      }
      mount(plot, s("svg", { viewBox: `0 0 ${54 * CELL - 11} ${14 + 7 * CELL}`, role: "img", "aria-label": words }, cells));
      mount(summary, words);
      mount(table.lastChild, byMonth(activity));
    },
  };
}

function byMonth(activity) {
  const months = new Map();
  for (const day of activity) {
    const sum = months.get(day.date.slice(0, 7)) ?? { done: 0, bytes: 0, duplicates: 0 };
    for (const key of Object.keys(sum)) sum[key] += day[key] ?? 0;
    months.set(day.date.slice(0, 7), sum);
  }
  return h("table", null,
    h("thead", null, h("tr", null, ["Month", "Photos", "Size", "Duplicates"].map((title) => h("th", { scope: "col" }, title)))),
    h("tbody", null, [...months].sort().reverse().map(([month, sum]) =>
      h("tr", null, h("th", { scope: "row" }, month), h("td", null, number(sum.done)), h("td", null, bytes(sum.bytes)), h("td", null, number(sum.duplicates))))));
}
