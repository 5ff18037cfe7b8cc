/** The password, where one is wanted; the address stays, so that after it one is where one wanted to be. */

import { logIn } from "../api.js";
import { duration, h, mount, s } from "../dom.js";

function art() {
  const ray = (name, d) => s("path", { class: `ray ${name}`, d });
  return s("svg", { viewBox: "0 0 32 20", "aria-hidden": "true", fill: "none", "stroke-width": "0.9", "stroke-linecap": "round", "stroke-linejoin": "round" },
    s("path", { class: "beam", d: "M0 13h11.5" }), s("path", { class: "prism", d: "M16 3 23 17H9Z" }),
    ray("a", "m18.5 9 13-4"), ray("b", "m19.5 11 12-.5"), ray("c", "m20.5 13 11 2.5"));
}

export default {
  title: "Log in",

  mount(root) {
    const fault = h("p", { class: "fault", role: "alert", id: "login-fault", hidden: true });
    const password = h("input", { type: "password", id: "password", name: "password", autocomplete: "current-password", required: true, "aria-describedby": "login-fault" });
    const go = h("button", { class: "button primary", type: "submit" }, "Log in");
    let timer = 0;

    async function submit(event) {
      event.preventDefault();
      if (go.getAttribute("aria-busy") || go.disabled) return;
      go.setAttribute("aria-busy", "true");
      fault.hidden = true;
      try {
        await logIn(password.value);
      } catch (error) {
        fault.hidden = false;
        mount(fault, error.message, error.hint ? `; ${error.hint}` : "");
        if (error.retryAfter) wait(error.retryAfter);
        password.select();
        password.focus();
      } finally {
        go.removeAttribute("aria-busy");
      }
    }

    function wait(seconds) {
      go.disabled = seconds > 0;
      mount(go, seconds > 0 ? `Again in ${duration(seconds)}` : "Log in");
      if (seconds > 0) timer = setTimeout(wait, 1000, seconds - 1);
    }

    root.append(
      h("div", { class: "login" }, art(),
        h("div", { class: "panel" },
          h("h1", { tabindex: "-1" }, "Log in"),
          h("p", { class: "muted" }, "This Photon Relay wants its password."),
          h("form", { onsubmit: submit, "data-test": "login" },
            h("input", { type: "text", name: "username", autocomplete: "username", value: "photon-relay", hidden: true, readonly: true }),
            h("div", { class: "field" }, h("label", { for: "password" }, "Password"), password),
            fault, go),
          h("p", { class: "faint" }, "Forgotten? On the server, ", h("code", null, "photon-relay password"), " sets a new one."))),
    );
    password.focus();
    return () => clearTimeout(timer);
  },
};
