// Who we are: a name and a role that outlive a reload of this tab.

import { KanavaError } from "./kanava.js";
import { $, monogram } from "./dom.js";
import { render, shows } from "./render.js";

export const session = {
  userId: "", // empty: a guest
  role: "",
  confirmed: false, // the connection knows who we are
  ended: "", // why there is no session any more
  ...JSON.parse(sessionStorage.getItem("session")),

  begin(userId, role) {
    Object.assign(session, { userId, role, confirmed: false, ended: "" });
    sessionStorage.setItem("session", JSON.stringify({ userId, role }));
    render();
  },

  end(why = "") {
    Object.assign(session, { userId: "", role: "", confirmed: false, ended: why });
    sessionStorage.removeItem("session");
    render();
  },
};

/**
 * Tells a connection who we are: sessions belong to connections, and end. The client calls it for each new connection
 * and before a session ends, and decides what follows if it fails; a fresh token each time, so that none is too old.
 * Guests have nothing to tell.
 */
export async function authenticate(chat, token) {
  const { userId, role } = session;
  if (!userId) return;
  token ??= await fetchToken(userId, role);
  if (session.userId !== userId) return; // signed out meanwhile
  await chat.authenticate({ token });
  if (session.userId !== userId) return;
  session.confirmed = true;
  render();
}

export async function fetchToken(user, role) {
  let response, body;
  try {
    response = await fetch(`/token?${new URLSearchParams({ user, role })}`, { signal: AbortSignal.timeout(10_000) });
    body = await response.json();
  } catch {
    throw new KanavaError("unavailable", "The server cannot be reached. Try again in a moment.");
  }
  if (response.ok) return body.token;
  throw new KanavaError("unauthenticated", body.error);
}

shows(() => {
  const { userId, role } = session;
  $("account-in").hidden = !userId;
  $("account-out").hidden = Boolean(userId);
  $("account-name").textContent = userId;
  $("account-role").textContent = role;
  $("account-monogram").textContent = monogram(userId);
});
