// The channel of the room in sight. The generated client keeps it connected; this file says how that goes.

import { connectChat } from "./kanava.js";
import { $, messages, el, set, speak } from "./dom.js";
import { render, shows } from "./render.js";
import { countLoss } from "./counters.js";
import { authenticate, session } from "./session.js";
import { room } from "./rooms.js";
import { meet } from "./people.js";

/** The client of the room in sight. */
export let chat;

let ended = null; // what ended the last connection, until there is another
let reached = false; // the server answered

/** Says whether a call is made now, rather than when the connection is back. */
export function online() { return chat?.state.name === "open"; }

/** Connects to the room in sight, instead of the room before. `received` is given its messages, and first those that were said before. */
export function listen(received) {
  const [before, here] = [chat, room];
  const mine = connectChat(undefined, { room: here.name }, { authenticate });
  chat = mine;
  before?.close();
  session.confirmed = false;
  ended = null;
  let meanwhile = []; // what is said until the history is here; then null
  mine.on.opened(async ({ welcome }) => {
    here.welcome(welcome);
    if (!meanwhile) return; // what was missed since, the client recovers
    const { events } = await mine.history().catch(() => ({}));
    if (!events || !meanwhile) return; // asked again when the connection is back
    for (const event of events) received(here, event, { before: true });
    for (const event of meanwhile) received(here, event);
    meanwhile = null;
  });
  mine.on.room(here.name, (event) => (meanwhile ? meanwhile.push(event) : received(here, event)));
  mine.on.lost((range) => lost(here, range));
  meet(mine, here.name);
  mine.on.state((state) => mine === chat && changed(state, received));
  mine.on.error(({ code, message }) => {
    if (!saidElsewhere.includes(code)) here.note(`The server reports: ${message}`, "note bad");
  });
  render();
}

// That there is no connection, or no session, is said where the state of these is.
const saidElsewhere = ["unavailable", "deadline_exceeded", "unauthenticated"];

/** Shows where the room has a gap. Positions of one epoch tell how many events it has. */
function lost(here, { from, to }) {
  const size = from.e === to.e ? to.o - from.o : undefined;
  countLoss(size);
  const words = size ? `${messages(size)} ${size === 1 ? "was" : "were"} lost here.` : "Messages may have been lost here.";
  here.add(el("li", { className: "loss", textContent: words }));
}

// What people see of the client's states.
const looks = {
  idle: "connecting", connecting: "connecting", greeting: "connecting", open: "online",
  leaving: "waiting", waiting: "waiting", closed: "stopped",
};

function changed(state, received) {
  if (state.name === "closed" && state.code === 4401 && session.userId) {
    session.end("Your session is no longer valid.");
    return listen(received); // reading needs no session
  }
  const look = looks[state.name];
  if (state.code) ended = { code: state.code, reason: state.reason, reached };
  if (state.name === "connecting") reached = false;
  if (state.name === "open") {
    ended = null;
    reached = true;
  } else {
    session.confirmed = false;
  }
  if (state.name === "closed") room.leave();
  if (look !== document.body.dataset.connection) {
    speak({ online: "Connected.", connecting: "", waiting: "Connection lost. Reconnecting.", stopped: "Not connected." }[look]);
  }
  render();
}

const reasons = {
  1000: "The server ended the connection.",
  1001: "The server is going away.",
  1009: "A message was too big for the server.",
  1012: "The server is restarting.",
  4400: "The server did not accept what this page asked for.",
  4401: "Your session has ended.",
  4403: "You may not enter this room.",
  4408: "The connection went silent.",
  4409: "This page could not keep up with the room.",
  4426: "This page is too old for the server. Reload it.",
  4429: "That was too much at once, so the server asks for a pause.",
  4500: "The server ran into a fault.",
  4503: "The server is restarting.",
};

function showState() {
  const { name, next } = chat.state;
  const look = looks[name];
  document.body.dataset.connection = look;
  set($("state-text"), {
    connecting: ended ? "Reconnecting" : "Connecting",
    online: session.userId ? "Online" : "Online, signed out",
    waiting: `Reconnecting in ${Math.max(1, Math.ceil((next - Date.now()) / 1000))} s`,
    stopped: "Not connected",
  }[look]);

  $("notice").hidden = !ended;
  $("connect").hidden = look !== "stopped";
  if (!ended) return;
  const { code, reason, reached } = ended;
  set($("notice-text"), reasons[code] ?? (reached ? "The connection was lost." : "The server cannot be reached."));
  set($("notice-code"), `code ${code}${reason ? `, ${reason}` : ""}`);
}

shows(showState);
setInterval(() => looks[chat.state.name] === "waiting" && showState(), 250);
