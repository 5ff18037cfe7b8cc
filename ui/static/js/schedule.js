/* The schedule of the sweep: a drop-down for what most people want, cron for the rest, and what it comes to in words. */
import { get } from "./api.js";
import { dateTime, h, mount } from "./dom.js";

const EVERY = ["1m", "5m", "15m", "30m", "1h", "6h", "12h", "24h"];
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const UNITS = { m: "minutes", h: "hours" };
const words = (length) => (/^1[mh]$/.test(length) ? `Every ${UNITS[length[1]].slice(0, -1)}` : `Every ${length.slice(0, -1)} ${UNITS[length.at(-1)]}`);

/** Take an expression apart: which entry of the drop-down, with time and day. */
export function takeApart(expression) {
  const every = expression.match(/^every (\w+)$/)?.[1];
  if (EVERY.includes(every)) return { kind: `every ${every}` };
  const cron = expression.match(/^(\d{1,2}) (\d{1,2}) \* \* (\*|[0-6])$/);
  if (!cron) return { kind: "cron" };
  const time = `${cron[2].padStart(2, "0")}:${cron[1].padStart(2, "0")}`;
  return cron[3] === "*" ? { kind: "daily", time } : { kind: "weekly", time, day: cron[3] };
}

/** Make the field; `set(value)` is called with what was chosen, null for the default. */
export function scheduleField(value, standard, set, props) {
  const known = takeApart(value ?? standard);
  const option = (kind, text) => h("option", { value: kind, selected: kind === (value ? known.kind : "") }, text);
  const kind = h("select", { ...props, onchange: changed }, option("", `Default: ${standard}`), EVERY.map((length) => option(`every ${length}`, words(length))),
    option("daily", "Every day at…"), option("weekly", "Every week on…"), option("cron", "As a cron expression…"));
  const disabled = props.disabled;
  const day = h("select", { "aria-label": "Day", disabled, onchange: changed }, DAYS.map((name, i) => h("option", { value: i, selected: String(i) === (known.day ?? "0") }, name)));
  const time = h("input", { type: "time", "aria-label": "Time", value: known.time ?? "03:00", disabled, required: true, onchange: changed });
  const cron = h("input", { type: "text", "aria-label": "Cron expression: minute hour day month weekday", value: value ?? standard, disabled, spellcheck: "false", autocomplete: "off", class: "mono", "data-test": "cron", oninput: changed });
  const said = h("div", { class: "schedule-said", role: "status", "data-test": "schedule" });
  let timer = 0;
  let asked = 0;

  function expression() {
    const [hour, minute] = (time.value || "03:00").split(":").map(Number);
    if (kind.value === "cron") return cron.value.trim();
    if (kind.value === "daily") return `${minute} ${hour} * * *`;
    if (kind.value === "weekly") return `${minute} ${hour} * * ${day.value}`;
    return kind.value || standard;
  }
  function changed() {
    arrange();
    if (kind.value !== "cron") cron.value = expression();
    set(kind.value ? expression() : null);
  }
  function arrange() {
    day.hidden = kind.value !== "weekly";
    time.hidden = kind.value !== "daily" && kind.value !== "weekly";
    cron.hidden = kind.value !== "cron";
    clearTimeout(timer);
    timer = setTimeout(tell, 250);
  }
  async function tell() {
    const mine = ++asked;
    try {
      const told = await get("/config/schedule", { expression: expression() });
      if (mine !== asked) return;
      mount(said, told.valid ? [told.words && h("p", null, told.words), h("p", { class: "muted" }, "Next: ", told.next.map(dateTime).map((at) => h("span", { class: "tag" }, at.replace(/:\d\d$/, ""))))] : h("p", { class: "fault" }, told.error));
    } catch (error) {
      if (mine === asked) mount(said, h("p", { class: "muted" }, error.message));
    }
  }
  arrange();
  return { element: h("div", { class: "schedule" }, h("div", { class: "inline" }, kind, day, time, cron), said), control: kind };
}
