/* Differences of two texts, line by line: as the server's unified text, and side by side. */
import { h } from "./dom.js";

const KINDS = { "+": "add", "-": "del", "@": "hunk" };
const MOST_CELLS = 4_000_000;

/** Show a unified diff; + and - stay in the text, so that colour alone says nothing. */
export function unified(text) {
  const lines = text.split("\n").filter((line) => !/^(---|\+\+\+) /.test(line));
  while (lines.at(-1) === "") lines.pop();
  if (!lines.length) return h("p", { class: "muted" }, "No difference.");
  return h("pre", { class: "diff", tabindex: "0", "data-test": "diff", "aria-label": "What changes in the file" },
    lines.map((line) => h("span", { class: `line ${KINDS[line[0]] ?? ""}` }, line || " ")));
}

/** Pair the lines of two texts: [left or null, right or null] each, equal lines in one row. */
export function pairs(before, after) {
  const a = before.split("\n");
  const b = after.split("\n");
  const rows = [];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) rows.push([a[start], b[start++]]);
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  rows.push(...middle(a.slice(start, a.length - end), b.slice(start, b.length - end)));
  for (let i = end; i > 0; i--) rows.push([a.at(-i), b.at(-i)]);
  return rows;
}

function middle(a, b) {
  if (a.length * b.length > MOST_CELLS) return [...a.map((line) => [line, null]), ...b.map((line) => [null, line])];
  const width = b.length + 1;
  const common = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const here = i * width + j;
      common[here] = a[i] === b[j] ? common[here + width + 1] + 1 : Math.max(common[here + width], common[here + 1]);
    }
  }
  const rows = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) rows.push([a[i++], b[j++]]);
    else if (j >= b.length || (i < a.length && common[(i + 1) * width + j] >= common[i * width + j + 1])) rows.push([a[i++], null]);
    else rows.push([null, b[j++]]);
  }
  return rows;
}

/** Show two texts side by side, only the lines that differ and two around each. */
export function sideBySide(left, right, leftTitle, rightTitle) {
  const rows = pairs(left, right);
  const near = rows.map((_, i) => rows.slice(Math.max(0, i - 2), i + 3).some(([a, b]) => a === null || b === null));
  const cell = (line, kind) => h("td", { class: line === null ? "none" : kind }, h("code", null, line ?? ""));
  const body = [];
  rows.forEach(([a, b], i) => {
    if (!near[i]) { if (near[i - 1] || i === 0) body.push(h("tr", { class: "gap" }, h("td", { colspan: "2" }, "…"))); return; }
    const equal = a !== null && b !== null;
    body.push(h("tr", null, cell(a, equal ? "" : "del"), cell(b, equal ? "" : "add")));
  });
  return h("div", { class: "scroll-x", tabindex: "0", role: "group", "aria-label": `${leftTitle}, ${rightTitle}` },
    h("table", { class: "sides", "data-test": "sides" },
      h("thead", null, h("tr", null, h("th", { scope: "col" }, leftTitle), h("th", { scope: "col" }, rightTitle))), h("tbody", null, body)));
}
