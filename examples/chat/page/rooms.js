// Rooms: what was seen of them stays while the page is open.

import { $, dayOf, duration, el, length, mark } from "./dom.js";

const suggestedRooms = ["general", "engineering", "kahvihuone"];
const kept = 500; // entries of a room kept on the page
const groupFor = 3 * 60_000; // ms in which messages of one sender stand together
export const longestName = 64; // in characters

const rooms = new Map();

/** The room in sight. */
export let room;

let pinned = true; // the newest entry is in sight and stays there as the room grows
let lastTop = 0;
const growth = new ResizeObserver(() => pinned && toEnd());

class Room {
  list = el("ol", { className: "entries" });
  #title = el("h2");
  intro = el("section", { className: "intro" }, mark(), this.#title,
    el("p", { textContent: "The server keeps the last 200 messages of an hour, for who comes in and who was away. Open the page in a second window to talk to yourself." }));
  #last = null; // the newest entry, if it is a message others can join
  #day = "";
  #left = 0; // since when nobody listens to this room
  #shown = new Set(); // keys of the messages that are here, the newest

  constructor(name) {
    this.name = name;
    this.#title.textContent = `#${name}`;
    growth.observe(this.list);
  }

  /** Says that the page listens to the room, or listens again. */
  welcome(text) {
    this.#title.textContent = text;
    if (this.#left) this.note(`You were away for ${duration(Date.now() - this.#left)}.`);
    this.#left = 0;
  }

  /** Notes that a message is here, and says whether it was not yet. It is known by who said what when: our own have no other id. */
  isNew({ userId, timestamp, message }) {
    const key = `${userId} ${timestamp} ${message}`;
    if (this.#shown.has(key)) return false;
    this.#shown.add(key);
    if (this.#shown.size > kept) this.#shown.delete(this.#shown.values().next().value);
    return true;
  }

  leave() { this.#left ||= Date.now(); }

  add(entry, { message, own = false } = {}) {
    const day = dayOf(message?.timestamp ?? Date.now());
    if (day !== this.#day) {
      this.#day = day;
      this.#last = null;
      this.list.append(el("li", { className: "day" }, el("span", { textContent: day })));
    }
    const joins = message && this.#last?.userId === message.userId && message.timestamp - this.#last.timestamp < groupFor;
    entry.classList.toggle("first", Boolean(message) && !joins);
    this.#last = message ?? null;

    this.list.append(entry);
    while (this.list.children.length > kept) this.list.firstChild.remove();
    if (room !== this) return;
    if (own) toEnd();
    if (!pinned) $("newest").hidden = false;
  }

  note(text, className = "note") { this.add(el("li", { className, textContent: text })); }
}

/** Brings a room in sight. */
export function show(name) {
  room?.leave();
  if (!rooms.has(name)) rooms.set(name, new Room(name));
  room = rooms.get(name);
  remember(name);
  document.title = `#${name} · Kanava chat`;
  $("room-name").textContent = name;
  $("timeline").replaceChildren(room.intro, room.list);
  toEnd();
}

function remember(name) {
  const names = JSON.parse(sessionStorage.getItem("rooms") ?? "[]");
  if (![...suggestedRooms, ...names].includes(name)) {
    names.push(name);
    sessionStorage.setItem("rooms", JSON.stringify(names));
  }
  $("rooms").replaceChildren(...[...suggestedRooms, ...names].map((each) => {
    const link = el("a", { href: `#${encodeURIComponent(each)}`, title: each }, el("span", { textContent: each }));
    if (each === name) link.setAttribute("aria-current", "page");
    return el("li", {}, link);
  }));
}

export function isRoom(name) { return length(name) >= 1 && length(name) <= longestName; }

/** The room that the page's address names. */
export function roomOfHash() {
  try {
    const name = decodeURIComponent(location.hash.slice(1));
    if (isRoom(name)) return name;
  } catch {
    // A stray percent sign names no room.
  }
  return "general";
}

function atEnd() {
  const { scrollHeight, scrollTop, clientHeight } = $("timeline");
  return scrollHeight - scrollTop - clientHeight < 80;
}

function toEnd() {
  $("timeline").scrollTop = $("timeline").scrollHeight;
  $("newest").hidden = pinned = true;
}

$("timeline").addEventListener("scroll", () => {
  // The event comes late, perhaps after the room grew: only scrolling up lets go of the end.
  const { scrollTop } = $("timeline");
  pinned = atEnd() || (pinned && scrollTop >= lastTop);
  lastTop = scrollTop;
  if (pinned) $("newest").hidden = true;
});
growth.observe($("timeline"));
$("newest").addEventListener("click", toEnd);
