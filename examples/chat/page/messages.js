// Messages: those of others, and our own with what became of them.

import { $, el, length, monogram, set, speak, timeOf } from "./dom.js";
import { shows } from "./render.js";
import { showFaults } from "./forms.js";
import { countEvent } from "./counters.js";
import { session } from "./session.js";
import { room } from "./rooms.js";
import { chat, online } from "./connection.js";

const longest = 2000; // in characters
const patience = 60_000; // ms that a message may wait for a connection and its answer

/** Shows an event of a room, once; one from before we came is not counted as received. */
export function received(here, event, { before = false } = {}) {
  const { id, message: text, userId, timestamp } = event;
  if (!before) countEvent(id);
  if (!here.isNew(event)) return;
  // Our own come from another window, or are announcements, which their sender sees as well.
  const entry = messageEntry({ text, userId, timestamp }, userId === session.userId);
  entry.dataset.eventId = id;
  here.add(entry, { message: { userId, timestamp } });
  if (!before) speak(`${userId}: ${text}`);
}

function messageEntry({ text, userId, timestamp }, own) {
  const time = el("time", { textContent: timeOf(timestamp), dateTime: new Date(timestamp).toISOString(), title: new Date(timestamp).toLocaleString() });
  const author = el("p", { className: "author" }, el("b", { textContent: own ? "You" : userId }), " ", time.cloneNode(true));
  const body = el("div", { className: "bubble" }, el("p", { className: "text", textContent: text }));
  return el("li", { className: own ? "message own" : "message" },
    el("span", { className: "monogram", textContent: monogram(userId), ariaHidden: "true" }), author, body, time);
}

/** Sends a message and shows on its entry what became of it. Without a connection the client keeps it a while. */
async function send(text) {
  const message = { text, userId: session.userId, timestamp: Date.now() };
  const entry = messageEntry(message, true);
  const here = room;
  here.add(entry, { message, own: true });
  entry.classList.add("sending");
  try {
    const { timestamp } = await chat.sendMessage({ message: text }, { timeout: patience });
    here.isNew({ userId: message.userId, timestamp, message: text });
  } catch (error) {
    entry.classList.add("failed");
    entry.append(error.unknownOutcome ? unknown(entry, text) : refused(entry, text, error));
    if (error.code === "unauthenticated") session.end("Your session has ended.");
  } finally {
    entry.classList.remove("sending");
  }
}

function unknown(entry, text) {
  speak("A message may not have arrived.");
  return outcome("No answer came. It may have arrived. ", "Send again", () => {
    entry.remove();
    send(text);
  });
}

function refused(entry, text, error) {
  speak("A message was not sent.");
  const offline = error.code === "unavailable" || error.code === "deadline_exceeded";
  return outcome(`Not sent: ${offline ? "there was no connection." : reasonOf(error)} `, "Edit", () => {
    entry.remove();
    $("message").value = [text, $("message").value].filter(Boolean).join("\n");
    $("message").focus();
    saveDraft();
    showComposer();
  });
}

function outcome(words, action, onclick) {
  return el("p", { className: "outcome" }, words, el("button", { className: "link", type: "button", textContent: action, onclick }));
}

/** The server's words, in detail where it gave details. */
export function reasonOf({ message, details }) {
  return details.map((each) => each.message).filter(Boolean).join("; ") || message;
}

// ---- Writing ----

function showComposer() {
  const signedOut = !session.userId;
  const reason = signedOut ? session.ended || "You are signed out."
    : !online() ? "What you send now goes out once the connection is back."
    : session.confirmed ? "" : "Signing in";
  const box = $("message");
  box.disabled = signedOut;
  box.placeholder = `Write to #${room.name}`;
  $("compose-reason").hidden = !reason;
  $("compose-hint").hidden = Boolean(reason);
  set($("compose-reason-text"), reason);
  $("compose-reason").querySelector("[data-sign-in]").hidden = !signedOut;

  const left = longest - length(box.value.trim());
  $("send").disabled = signedOut || box.value.trim() === "";
  $("count").hidden = left > 200;
  $("count").className = left < 0 ? "over" : "";
  $("count").textContent = left < 0 ? `${-left} over` : `${left} left`;
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight}px`;
}

shows(showComposer);

/** Keeps what was written and not sent. */
export function saveDraft() {
  const key = `draft ${room.name}`;
  if ($("message").value) sessionStorage.setItem(key, $("message").value);
  else sessionStorage.removeItem(key);
}

export function loadDraft() {
  $("message").value = sessionStorage.getItem(`draft ${room.name}`) ?? "";
  showFaults($("compose"));
}

$("compose").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("message").value.trim();
  const over = length(text) - longest;
  showFaults($("compose"));
  if (over > 0) {
    showFaults($("compose"), { details: [{ pointer: "/message", message: `A message has at most ${longest} characters. Take out ${over} to send it.` }] });
    return;
  }
  if (!text || !session.userId) return;
  $("message").value = "";
  saveDraft();
  showComposer();
  send(text);
});

$("message").addEventListener("input", () => {
  saveDraft();
  showComposer();
  if (length($("message").value.trim()) <= longest) showFaults($("compose"));
});

$("message").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("compose").requestSubmit();
});
