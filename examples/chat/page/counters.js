// What this page was given, counted by the page itself: the client is not asked whether it repeats something.

import { $, messages } from "./dom.js";

const remembered = 1000; // ids of the newest events

const count = { received: 0, lost: 0, doubled: 0 };
const ids = new Set();
let missing = 0; // events of the losses whose size is known
let unsized = false; // there were others

/** Counts an event; its id is given to no other event. */
export function countEvent(id) {
  count.received++;
  if (ids.has(id)) count.doubled++;
  ids.add(id);
  if (ids.size > remembered) ids.delete(ids.values().next().value);
  renderCounters();
}

/** Counts a loss of `size` events; undefined if nobody knows how many. */
export function countLoss(size) {
  count.lost++;
  if (size === undefined) unsized = true;
  else missing += size;
  renderCounters();
}

function renderCounters() {
  for (const [name, value] of Object.entries(count)) $(`events-${name}`).textContent = value;
  $("events-missing").textContent = missing ? `${unsized ? "at least " : ""}${messages(missing)}` : "";
}
