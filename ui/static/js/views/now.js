import { viewHead } from "../dom.js";
export default { title: "Now", mount(root) { root.append(viewHead("Now")); } };
