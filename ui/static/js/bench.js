/**
 * The conveyor as an optical bench: eight lenses on a beam, from upload to gallery, with the photos in each step.
 *
 * A photon flies over a stretch only when a photo really passed it (more photos stand beyond it than before) or the
 * batch under way works there. On a narrow page the beam is led back in a second row. Each lens leads to its photos.
 */

import { compact, count, h, number, s, setAttr, setText } from "./dom.js";

export const STEPS = ["found", "settled", "examined", "placed", "imported", "archived", "released", "done"];
const WORKS_AT = { examine: 2, place: 3, import: 4, confirm: 5 };
const R = 29;
const NARROW = 760; // px
const AT_ONCE = 5; // photons on one stretch for one change

const WIDE_PLACES = STEPS.map((_, at) => [60 + at * 125.7, 40]);
const NARROW_PLACES = STEPS.map((_, at) => (at < 4 ? [40 + at * 93, 36] : [40 + (7 - at) * 93, 142]));

/** Give `{element, update(state)}`. */
export function bench() {
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const stretches = STEPS.map((_, at) => s("path", { class: "glow idle", style: { stroke: `var(--s${at})` } }));
  const flight = s("g");
  const stations = STEPS.map(station);
  const svg = s("svg", { role: "group", "aria-label": "Photos in each step", "data-test": "conveyor" }, stretches.slice(1), flight, stations.map((one) => one.element));
  const side = h("div", { class: "side-track" });
  const element = h("div", null, svg, side);
  let places = null;
  let beyond = null; // photos that stand at each step or beyond it, as of the last update
  let hand = "";

  function lay() {
    const narrow = element.clientWidth > 0 && element.clientWidth < NARROW;
    const now = narrow ? NARROW_PLACES : WIDE_PLACES;
    if (now === places) return;
    places = now;
    flight.replaceChildren();
    svg.setAttribute("viewBox", narrow ? "0 0 359 206" : "0 0 1000 104");
    stations.forEach((one, at) => one.element.setAttribute("transform", `translate(${places[at]})`));
    stretches.forEach((one, at) => at && one.setAttribute("d", way(at)));
  }

  /** The stretch that ends at a step, from rim to rim; where the beam turns back, straight down. */
  function way(at) {
    const [[x, y], [toX, toY]] = [places[at - 1], places[at]];
    const side = Math.sign(toX - x);
    return side ? `M${x + side * R} ${y}L${toX - side * R} ${toY}` : `M${x} ${y + R + 20}L${toX} ${toY - R}`;
  }

  function fly(at, photons) {
    if (still.matches || document.hidden || !element.isConnected) return;
    for (let n = 0; n < Math.min(photons, AT_ONCE) && flight.childElementCount < 40; n++) {
      const photon = s("circle", { class: "photon", r: 4.5, style: { "offset-path": `path("${way(at)}")`, "animation-delay": `${n * 170}ms` }, onanimationend: () => photon.remove() });
      flight.append(photon);
    }
  }

  const sizes = new ResizeObserver(lay);
  sizes.observe(element);
  lay();

  function update({ photos = {}, batch, paused }) {
    if (!beyond) lay(); // it is on the page by now, and its width known
    const counts = STEPS.map((step) => photos[step] ?? 0);
    const works = batch && !batch.waits_since && !paused ? WORKS_AT[batch.step] : undefined;
    counts.forEach((n, at) => stations[at].update(n, at === works || (n > 0 && at < 7)));
    stretches.forEach((one, at) => setAttr(one, "class", at === works || (counts[at - 1] > 0 && at - 1 < 7 && !paused) ? "glow" : "glow idle"));
    const now = counts.map((_, at) => counts.slice(at).reduce((sum, n) => sum + n, 0));
    const inHand = batch ? `${batch.id} ${batch.step} ${batch.done} ${batch.bytes_done}` : "";
    if (beyond) {
      now.forEach((n, at) => at && n > beyond[at] && fly(at, n - beyond[at]));
      if (works && inHand !== hand && !flight.childElementCount) fly(works, 1);
    }
    beyond = now;
    hand = inHand;
    siding(side, photos);
  }

  return { element, update, end: () => sizes.disconnect() };
}

function station(step, at) {
  const n = s("text", { class: "n", y: 1 });
  const colour = { style: { stroke: `var(--s${at})` } };
  const element = s(
    "a",
    { class: "station", href: `#/photos?state=${step}`, "data-test": `step-${step}` },
    s("circle", { class: "halo", r: R + 5, ...colour }),
    s("circle", { class: "lens", r: R, ...colour }),
    s("circle", { class: "lens-in", r: R - 1, style: { fill: `var(--s${at})` } }),
    n,
    s("text", { class: "l", y: R + 19 }, step),
  );
  return {
    element,
    update(value, on) {
      setText(n, compact(value));
      setAttr(n, "class", `n${value ? "" : " zero"}${compact(value).length > 4 ? " long" : ""}`);
      setAttr(element, "class", on ? "station on" : "station");
      setAttr(element, "aria-label", `${step}: ${count(value, "photo")}`);
    },
  };
}

const SIDE = [["waiting", "wait and are tried again"], ["held", "held, a person is asked"], ["refused", "refused"], ["restored", "put back"]];

function siding(parent, photos) {
  if (!parent.firstChild) {
    for (const [state, words] of SIDE)
      parent.append(h("a", { href: state === "held" || state === "waiting" ? "#/errors" : `#/photos?state=${state}`, "data-test": `side-${state}` }, h("b", null), h("span", null, words)));
  }
  SIDE.forEach(([state], at) => {
    const link = parent.children[at];
    link.className = `${state}${photos[state] ? " some" : ""}`;
    link.hidden = !photos[state] && at > 1;
    setText(link.firstChild, number(photos[state] ?? 0));
  });
}
