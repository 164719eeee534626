// Who is in the room: asked when that may have changed, and now and then.

import { $, el, set } from "./dom.js";
import { shows } from "./render.js";
import { session } from "./session.js";
import { chat, online } from "./connection.js";

const period = 5000; // ms

let asked; // what the last answer was for
let asking = false;

async function ask() {
  if (asking || !online() || document.hidden) return;
  asking = true;
  const mine = chat;
  try {
    const answer = await mine.who();
    if (mine === chat) showPeople(answer);
  } catch {
    // The next answer says it.
  } finally {
    asking = false;
  }
}

function showPeople({ names, count }) {
  set($("people-count"), String(count));
  $("people").setAttribute("aria-label", count === 1 ? "1 person is here" : `${count} people are here`);
  $("people").hidden = false;
  const entries = names.map((name) => el("li", { textContent: name === session.userId ? `${name} (you)` : name }));
  if (count > names.length) entries.push(el("li", { className: "rest", textContent: `and ${count - names.length} more` }));
  if (!count) entries.push(el("li", { className: "rest", textContent: "Nobody who has signed in." }));
  $("people-names").replaceChildren(...entries);
}

shows(() => {
  const now = [online(), session.confirmed, session.userId].join();
  if (asked?.chat === chat && asked.now === now) return;
  if (asked?.chat !== chat) $("people").hidden = true;
  asked = { chat, now };
  ask();
});

setInterval(ask, period);
