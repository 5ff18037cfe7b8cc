/**
 * Keeps the state of the daemon true on this page: one WebSocket, a snapshot, then numbered changes.
 *
 * A lost connection is tried again with growing pauses and jitter, from the number seen last, so that nothing is missed.
 * Where no WebSocket can be had at all (an old proxy), `/status` is asked every few seconds instead.
 */

import { get, refreshSession } from "./api.js";
import { setNow, setTimezone } from "./dom.js";

const FIRST_PAUSE = 500; // milliseconds
const LONGEST_PAUSE = 20000;
const POLL = 5000;
const OPENING = 8000; // a handshake that takes longer counts as failed
const LAST_SEEN = 90000; // nothing heard for so long on a hidden page: open anew when it is shown again

/**
 * What the page knows. `state`: the snapshot, null before the first. `link`: "connecting", "live", "polling", "lost" or
 * "off". Listen with `store.on(fn, kind)`; kinds: "status" fn(state, changedKeys), "photos" fn(rows), "event" fn({type,
 * data}), "log" fn(lines), "link" fn(link). `on` gives the function that ends listening.
 */
export const store = {
  state: null,
  link: "off",
  lostAt: null,
  on(fn, kind = "status") {
    const listeners = (ears[kind] ??= new Set());
    listeners.add(fn);
    return () => listeners.delete(fn);
  },
};

const ears = {};
let socket = null;
let seq = null;
let attempt = 0;
let opened = false; // a WebSocket has worked here once
let timer = 0;
let wanted = false;
let heard = 0;
let logLevel = null;

function tell(kind, ...what) {
  for (const fn of [...(ears[kind] ?? [])]) {
    try {
      fn(...what);
    } catch (error) {
      console.error(error); // one broken view must not stop the others
    }
  }
}

function setLink(link) {
  if (store.link === link) return;
  store.link = link;
  store.lostAt = link === "lost" || link === "polling" ? (store.lostAt ?? Date.now()) : null;
  tell("link", link);
}

/** Begin; harmless where it has begun already. */
export function start() {
  if (wanted) return;
  wanted = true;
  attempt = 0;
  setLink("connecting");
  open();
}

/** Stop, for example because the session ended. */
export function stop() {
  wanted = false;
  clearTimeout(timer);
  drop();
  setLink("off");
}

/** Ask for live log lines of this level and above; null ends it. */
export function wantLog(level) {
  logLevel = level;
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ log: level }));
}

/** Try now instead of after the pause. */
export function retryNow() {
  if (!wanted || socket?.readyState === WebSocket.OPEN) return;
  clearTimeout(timer);
  open();
}

function drop() {
  const old = socket;
  socket = null;
  if (old) {
    old.onopen = old.onmessage = old.onclose = old.onerror = null;
    old.close();
  }
}

function open() {
  clearTimeout(timer);
  drop();
  const at = new URL("/api/v1/live", location.href);
  at.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  if (seq !== null) at.searchParams.set("since", seq);
  let mine;
  try {
    mine = new WebSocket(at);
  } catch {
    return again(null);
  }
  socket = mine;
  const slow = setTimeout(() => mine === socket && mine.readyState === WebSocket.CONNECTING && (drop(), again(null)), OPENING);
  mine.onopen = () => {
    clearTimeout(slow);
    opened = true;
    heard = Date.now();
    if (logLevel) mine.send(JSON.stringify({ log: logLevel }));
    if (store.state) live();
  };
  mine.onmessage = (message) => take(message.data);
  mine.onclose = (event) => {
    clearTimeout(slow);
    if (mine !== socket) return;
    socket = null;
    again(event.code);
  };
}

function live() {
  attempt = 0;
  setLink("live");
}

/** The connection is gone: say so, and come back after a pause. */
async function again(code) {
  if (!wanted) return;
  if (code === 4401 || code === 4403) {
    stop();
    await refreshSession().catch(() => setTimeout(start, LONGEST_PAUSE));
    return;
  }
  attempt += 1;
  if (store.link !== "polling") setLink("lost");
  const pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1)) * (0.5 + Math.random());
  timer = setTimeout(open, pause);
  if (attempt >= 2 && (!opened || attempt % 3 === 0)) await poll();
}

/** Ask for the snapshot by plain HTTP while there is no WebSocket. */
async function poll() {
  try {
    const state = await get("/status");
    if (!wanted || store.link === "live") return;
    become(state);
    setLink("polling");
    clearTimeout(timer);
    timer = setTimeout(open, opened ? Math.random() * 2000 : POLL);
  } catch {
    if (wanted) setLink("lost"); // the pause before the next attempt is running already
  }
}

function become(state) {
  store.state = state;
  setNow(state.now);
  setTimezone(state.page?.timezone);
  tell("status", state, new Set(Object.keys(state)));
}

function take(text) {
  heard = Date.now();
  let frame;
  try {
    frame = JSON.parse(text);
  } catch {
    return;
  }
  const { type, data } = frame;
  if (type === "log") return tell("log", data?.lines ?? []);
  if (typeof frame.seq === "number") seq = frame.seq;
  if (type === "snapshot") become(data);
  else if (type === "changes" && store.state) {
    const changed = data.status ?? {};
    const keys = Object.keys(changed);
    if (keys.length) {
      store.state = { ...store.state, ...changed };
      if (changed.now) setNow(changed.now);
      if (changed.page) setTimezone(changed.page.timezone);
      tell("status", store.state, new Set(keys));
    }
    if (data.photos?.length) tell("photos", data.photos);
    for (const event of data.events ?? []) tell("event", event);
  } else if (type === "changes") {
    seq = null; // changes without anything to change: begin anew with a snapshot
    open();
    return;
  }
  if (store.link !== "live") live();
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden || !wanted) return;
  // A phone that slept may hold a socket that is dead without knowing it.
  if (!socket || Date.now() - heard > LAST_SEEN) retryOrOpen();
});
addEventListener("online", () => wanted && store.link !== "live" && retryOrOpen());
addEventListener("pageshow", (event) => event.persisted && wanted && retryOrOpen());

function retryOrOpen() {
  attempt = 0;
  open();
}
