/** Messages that appear over the page. (Filled in below.) */
import { setFailureHandler } from "./dom.js";
export function toast(text) {}
export function startPopups() {
  setFailureHandler((error) => console.error(error));
}
