// The page's controls, and the start.

import { KanavaError } from "./kanava.js";
import { $ } from "./dom.js";
import { shows } from "./render.js";
import { dialog, showFaults } from "./forms.js";
import { authenticate, fetchToken, session } from "./session.js";
import { isRoom, longestName, room, roomOfHash, show } from "./rooms.js";
import { chat, listen, online } from "./connection.js";
import { loadDraft, received, saveDraft } from "./messages.js";
import "./jobs.js";

function enter(name) {
  if (room) saveDraft();
  show(name);
  loadDraft();
  listen(received);
}

const openSignIn = dialog("sign-in", async ({ user, role }, close) => {
  const userId = user.trim();
  if (!userId) throw new KanavaError("invalid_argument", "", { details: [{ pointer: "/user", message: "Others need a name to know you by." }] });
  const token = await fetchToken(userId, role);
  session.begin(userId, role);
  close();
  // Where there is no connection, or it is lost now, the next one signs in by itself.
  if (online()) await authenticate(chat, token).catch(({ message }) => online() && session.end(`Signing in failed: ${message}`));
  $("message").focus();
});

const openAnnounce = dialog("announce", async ({ room: to, message }, close) => {
  await chat.broadcast({ room: to, message });
  $("announce-message").value = "";
  close();
  if (to !== room.name) room.note(`Announced to #${to}.`);
});

for (const button of document.querySelectorAll("[data-sign-in]")) button.addEventListener("click", openSignIn);

$("open-announce").addEventListener("click", () => {
  $("announce-room").value = room.name;
  openAnnounce();
  $("announce-message").focus();
});

shows(() => {
  $("open-announce").hidden = session.role !== "admin";
  $("open-announce").disabled = !online() || !session.confirmed;
});

$("sign-out").addEventListener("click", () => {
  if (online()) chat.logout().catch(() => {}); // who we were is forgotten here, whatever the server says
  session.end();
});

$("join").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = $("join-room").value.trim().replace(/^#/, "");
  showFaults($("join"));
  if (!isRoom(name)) {
    showFaults($("join"), { details: [{ pointer: "/room", message: `A room's name has 1 to ${longestName} characters.` }] });
    return;
  }
  $("join-room").value = "";
  location.hash = encodeURIComponent(name);
});

$("connect").addEventListener("click", () => listen(received));
$("rooms").addEventListener("click", () => $("sidebar").matches(":popover-open") && $("sidebar").hidePopover());
window.addEventListener("hashchange", () => {
  if ($("sidebar").matches(":popover-open")) $("sidebar").hidePopover();
  enter(roomOfHash());
});

enter(roomOfHash());
