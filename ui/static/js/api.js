/**
 * Talks to the daemon: JSON in, JSON out, and every failure is one ApiError.
 *
 * The session (who am I, what may I) is fetched once; its CSRF token goes with every call that changes something.
 */

const BASE = "/api/v1";
const PATIENCE = 60000; // milliseconds; a check that asks every part may well take half of it
const LEVELS = ["none", "read", "control", "admin"];

/** What went wrong, in the daemon's own words; `status` 0 means that no answer came at all. */
export class ApiError extends Error {
  constructor(status, code, message, hint = "", body = null) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.hint = hint;
    this.body = body;
  }
}

/** Who we are; `refreshSession` keeps it true. Same object for the whole life of the page. */
export const session = {
  authenticated: false,
  csrf: "",
  scope: "none",
  password_set: false,
  protection: null,
  can_set_password: false,
  address: "",
  secure: false,
};

const watchers = new Set();

/** Call `fn(session)` whenever the session changed; gives the function that ends it. */
export function onSession(fn) {
  watchers.add(fn);
  return () => watchers.delete(fn);
}

/** True if this session may do things of `level`: "read", "control" (run, pause, retry) or "admin" (settings). */
export function may(level) {
  return LEVELS.indexOf(session.scope) >= LEVELS.indexOf(level);
}

function became(data) {
  Object.assign(session, data);
  for (const fn of watchers) fn(session);
}

/** Ask the daemon who we are. */
export async function refreshSession() {
  became(await call("GET", "/session", undefined, { patience: 10000 }));
  return session;
}

/** Log in; throws ApiError (429 has `retryAfter`, in seconds). */
export async function logIn(password) {
  await call("POST", "/session", { password });
  return refreshSession();
}

/** Log out here. */
export async function logOut() {
  await call("DELETE", "/session");
  return refreshSession();
}

/**
 * One call. `body`: a plain object goes as JSON, a string as text/yaml. Options: `headers`, `signal`, `query` (an object;
 * empty values are left out), `raw` (gives `{data, headers, status}` instead of the data), `patience` (milliseconds).
 */
export async function call(method, path, body, { headers = {}, signal, query, raw = false, again = false, patience = PATIENCE } = {}) {
  const url = BASE + path + queryString(query);
  const init = { method, headers: { Accept: "application/json", ...headers }, credentials: "same-origin" };
  init.signal = signal ? AbortSignal.any([signal, AbortSignal.timeout(patience)]) : AbortSignal.timeout(patience);
  if (body !== undefined) {
    const text = typeof body === "string";
    init.body = text ? body : JSON.stringify(body);
    init.headers["Content-Type"] ??= text ? "text/yaml" : "application/json";
  }
  if (method !== "GET" && session.csrf) init.headers["X-CSRF-Token"] = session.csrf;
  let answer;
  try {
    answer = await fetch(url, init);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, "page.unreachable", "Photon Relay does not answer.", "Is it running, and this device on its network?");
  }
  const data = await bodyOf(answer);
  if (data?.error?.code === "session.csrf" && !again) {
    await refreshSession(); // the cookie is another one by now: another tab logged in or out
    return call(method, path, body, { headers, signal, query, raw, patience, again: true });
  }
  if (!answer.ok) throw await failure(answer, data, path);
  return raw ? { data, headers: answer.headers, status: answer.status } : data;
}

async function bodyOf(answer) {
  const text = await answer.text();
  if (!answer.headers.get("Content-Type")?.includes("json")) return text;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

async function failure(answer, data, path) {
  const told = data?.error ?? {};
  const error = new ApiError(
    answer.status,
    told.code ?? `http.${answer.status}`,
    told.message ?? `The daemon answered ${answer.status} ${answer.statusText}.`.trim(),
    told.hint ?? "",
    data,
  );
  error.retryAfter = Number(answer.headers.get("Retry-After")) || null;
  if (answer.status === 401 && path !== "/session") await refreshSession().catch(() => became({ authenticated: false, scope: "none" }));
  return error;
}

/** `{a: 1, b: null}` → `?a=1`. */
export function queryString(query) {
  const pairs = Object.entries(query ?? {}).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return pairs.length ? `?${new URLSearchParams(pairs)}` : "";
}

/** The address of something that the browser fetches itself: a download, a picture. */
export const url = (path, query) => BASE + path + queryString(query);

export const get = (path, query, options) => call("GET", path, undefined, { query, ...options });
export const post = (path, body = {}, options) => call("POST", path, body, options);
export const patch = (path, body, options) => call("PATCH", path, body, options);
export const put = (path, body, options) => call("PUT", path, body, options);
export const del = (path, options) => call("DELETE", path, undefined, options);
