// Who is in the room, as the server tells it whenever that changes.

import { $, el, set } from "./dom.js";
import { session } from "./session.js";
import { shows } from "./render.js";

const namesShown = 100;

let present; // what was told last; nothing until then

/** Follows who is in the room of a client, in place of the one before. */
export function meet(client, room) {
  present = undefined;
  client.presence.room(room, (who) => {
    present = who;
    showPeople();
  });
}

/** Shows who is there. In a crowd the server tells only how many they are. */
function showPeople() {
  $("people").hidden = !present;
  if (!present) return;
  const { count, members } = present;
  const names = [...(members?.keys() ?? [])].slice(0, namesShown);
  set($("people-count"), String(count));
  $("people").setAttribute("aria-label", count === 1 ? "1 person is here" : `${count} people are here`);
  const entries = names.map((name) => el("li", { textContent: name === session.userId ? `${name} (you)` : name }));
  if (count > names.length) entries.push(el("li", { className: "rest", textContent: names.length ? `and ${count - names.length} more` : `${count} people` }));
  if (!count) entries.push(el("li", { className: "rest", textContent: "Nobody who has signed in." }));
  $("people-names").replaceChildren(...entries);
}

shows(showPeople);
