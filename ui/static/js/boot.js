/**
 * Where the page's own modules do not arrive (the daemon is just being started, the network stumbled), says so and loads
 * the page again as soon as the daemon answers. No module itself: one that another one cannot load never runs.
 */

addEventListener(
  "error",
  (event) => {
    if (!(event.target instanceof HTMLScriptElement)) return;
    document.querySelector("#view").textContent = "This page did not arrive whole. It is loaded again as soon as Photon Relay answers.";
    document.querySelector("#link-words").textContent = "Connection lost";
    setTimeout(again, 2000);
  },
  true, // what goes wrong in loading an element does not bubble
);

async function again() {
  try {
    await fetch("/healthz", { cache: "no-store" });
    location.reload();
  } catch {
    setTimeout(again, 5000);
  }
}
