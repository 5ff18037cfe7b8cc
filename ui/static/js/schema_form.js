/* What the settings form shows, made from the JSON schema alone: no page, no network, so that it can be tested by itself. */

const DURATION = /^(0|([0-9]{1,12}(\.[0-9]{1,9})? ?(ms|s|m|h|d)\s*)+)$/;
const SIZE = /^[0-9]{1,19}(\.[0-9]{1,9})? ?([kmgt]?i?b)?$/i;
const ADDRESS_LIST = "[0-9A-Fa-f:.]";
/* Who is relayed, and from where, is decided on the screen Users, which says first what a decision does. */
const ELSEWHERE = new Set(["users.include", "users.exclude"]);
const ACRONYMS = { occ: "occ", ntfy: "ntfy", url: "Address (URL)", ui: "Page", tls: "TLS (https)", photoprism: "PhotoPrism", nextcloud: "Nextcloud",
  memories: "Memories", min_free: "Least free space", nice: "Stand back for the processor", io: "Stand back for the disk", pause_above: "Rest while others wait", dry_run: "Dry run", via: "Way", seen_by: "Seen by", new_user: "New user", also: "Further commands" };

export function label(key) {
  return ACRONYMS[key] ?? (key.charAt(0).toUpperCase() + key.slice(1)).replaceAll("_", " ");
}

/** Give the value at a path (a list of keys), or undefined. */
export function at(tree, path) {
  return path.reduce((node, key) => (node !== null && typeof node === "object" ? node[key] : undefined), tree);
}

/** Give the sections of a schema in its order: {path, id, title, help, fields, sections}. */
export function sections(schema) {
  const loose = { path: [], id: "general", title: "General", help: "", fields: [], sections: [] };
  const found = walk(schema, schema, []);
  loose.fields = found.fields;
  return loose.fields.length ? [...found.sections, loose] : found.sections;
}

function walk(schema, node, path) {
  const fields = [];
  const inner = [];
  for (const [key, spec] of Object.entries(node.properties ?? {})) {
    const here = [...path, key];
    const id = here.join(".");
    if (ELSEWHERE.has(id) || (key.endsWith("_file") && key.slice(0, -5) in node.properties)) continue;
    if (spec.$ref) {
      inner.push({ path: here, id, title: label(key), help: spec.description ?? "", ...walk(schema, deref(schema, spec), here) });
    } else fields.push(field(schema, spec, here, id));
  }
  return { fields, sections: inner };
}

function deref(schema, spec) {
  return spec.$ref ? schema.$defs[spec.$ref.split("/").pop()] : spec;
}

function field(schema, spec, path, id) {
  const made = { path, id, label: label(path.at(-1)), help: spec.description ?? "", default: spec.default, example: spec.examples?.[0], unit: spec["x-unit"] };
  const choices = spec.anyOf ?? [spec];
  const list = choices.find((choice) => choice.type === "array");
  const word = choices.find((choice) => typeof choice.const === "string")?.const;
  if (spec["x-secret"]) return { ...made, kind: "secret" };
  if (id === "watch.sweep") return { ...made, kind: "schedule" };
  if (spec.enum) return { ...made, kind: "choice", options: spec.enum };
  if (spec.type === "boolean") return { ...made, kind: "switch" };
  if (made.unit === "time") return { ...made, kind: "duration" };
  if (made.unit === "bytes") return { ...made, kind: "size" };
  if (spec.additionalProperties?.enum) return { ...made, kind: "map", options: spec.additionalProperties.enum, names: made.help.match(/\b[a-z]+\.[a-z]+\b/g) ?? [] };
  if (list) {
    const items = deref(schema, list.items ?? {});
    /* Lists of more than words hold programs and secrets: they are shown, and changed in the file. */
    if (items.type !== "string") return { ...made, kind: "shown" };
    return { ...made, kind: "list", word, pattern: items.pattern, least: list.minItems ?? 0 };
  }
  const number = choices.find((choice) => choice.type === "integer");
  if (number) return { ...made, kind: "number", word, minimum: number.minimum, maximum: number.maximum };
  return { ...made, kind: "text", pattern: spec.pattern };
}

/** Say what is wrong with a value, or give "". */
export function fault(spec, value) {
  if (value === null || value === undefined) return "";
  if (spec.kind === "duration" && !(value === 0 || DURATION.test(value))) return "A length of time with its unit, such as 300ms, 15s, 5m or 6h.";
  if (spec.kind === "size" && !SIZE.test(String(value))) return "A size with its unit, such as 500MB or 2GiB.";
  if (spec.kind === "choice" && !spec.options.includes(value)) return `One of ${spec.options.join(", ")}.`;
  if (spec.kind === "number" && value !== spec.word) {
    const { minimum: low = 0, maximum: high = 1e9 } = spec;
    if (!Number.isInteger(value) || value < low || value > high) return `A whole number from ${low} to ${high}${spec.word ? `, or ${spec.word}` : ""}.`;
  }
  if (spec.kind === "list" && Array.isArray(value)) {
    if (value.length < spec.least) return "At least one line.";
    const address = spec.pattern?.includes(ADDRESS_LIST);
    const wrong = value.find((line) => !line.trim() || (spec.pattern && !new RegExp(spec.pattern).test(line)) || (address && !network(line)));
    if (wrong !== undefined) return wrong.trim() ? `“${wrong}” is not ${address ? "an address or subnet, such as 192.168.1.0/24" : "allowed here"}.` : "An empty line.";
  }
  if (spec.kind === "map" && Object.keys(value).some((key) => !key.trim())) return "An empty name.";
  return "";
}

/** Turn what was typed into a value of the setting's kind; "" means back to the default (null in a merge patch). */
export function parse(spec, text) {
  const typed = text.trim();
  if (spec.kind === "number") return typed === "" ? null : /^-?\d{1,12}$/.test(typed) ? Number(typed) : typed;
  if (spec.kind === "duration" || spec.kind === "size") return typed === "" ? null : typed;
  return text;
}

/** Make the RFC 7396 merge patch of a map from ids to {path, value, gone}; `gone` are keys that were taken out of a map. */
export function mergePatch(edits) {
  const patch = {};
  for (const { path, value, gone = [] } of edits.values()) {
    let node = patch;
    for (const key of path.slice(0, -1)) node = node[key] ??= {};
    node[path.at(-1)] = value && gone.length ? { ...value, ...Object.fromEntries(gone.map((key) => [key, null])) } : value;
  }
  return patch;
}

export function same(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}

/* ---- addresses: may the one who edits the list still come in afterwards? ---- */

function bits(text) {
  const v4 = text.match(/^(?:::ffff:)?(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/i)?.slice(1).map(Number);
  if (v4) return v4.every((byte) => byte < 256) ? { size: 32, value: v4.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n) } : null;
  if (!/^[0-9a-f:]+$/i.test(text) || text.split("::").length > 2 || !text.includes(":")) return null;
  const [head, tail] = text.split("::").map((half) => half.split(":").filter(Boolean));
  if (tail ? head.length + tail.length > 7 : head.length !== 8) return null;
  const words = tail ? [...head, ...Array(8 - head.length - tail.length).fill("0"), ...tail] : head;
  if (words.some((word) => word.length > 4)) return null;
  return { size: 128, value: words.reduce((sum, word) => (sum << 16n) | BigInt(`0x${word}`), 0n) };
}

function network(text) {
  const [address, mask, more] = text.trim().split("/");
  const base = bits(address);
  if (!base || more !== undefined || (mask !== undefined && !/^\d{1,3}$/.test(mask) && !bits(mask))) return null;
  const dotted = mask?.includes(".") ? bits(mask).value.toString(2).replaceAll("0", "").length : undefined;
  const length = dotted ?? Number(mask ?? base.size);
  return length <= base.size ? { ...base, shift: BigInt(base.size - length) } : null;
}

/** Say whether a list of addresses and subnets lets an address in; an empty list lets everyone in. */
export function letsIn(list, address) {
  const own = bits((address ?? "").replace(/%.*$/, ""));
  if (!list.length || !own) return true;
  return list.map(network).some((net) => net && net.size === own.size && net.value >> net.shift === own.value >> net.shift);
}
