// The page of the cluster example.

import { $ } from "./dom.js";
import { addVisitor, removeVisitor, visitors } from "./visitors.js";
import { meet, watchNodes } from "./nodes.js";

// Names of this page's visitors: others may have the page open, too.
const mine = Math.random().toString(36).slice(2, 5);
let last = 0;
const next = () => `${last++ ? "visitor" : "you"}-${mine}${last > 1 ? last : ""}`;

addVisitor(next(), meet);
addVisitor(next());
addVisitor(next());
$("add").addEventListener("click", () => visitors.length < 12 && addVisitor(next()));
$("leave").addEventListener("click", removeVisitor);
watchNodes();
