import { CallError, Channel } from "./channel.js";

const suggestedRooms = ["general", "engineering", "kahvihuone"];
const limits = { room: 64, message: 2000 }; // in characters, as the server counts them
const kept = 500; // entries of a room kept on the page
const groupFor = 3 * 60_000; // ms in which messages of one sender stand together

const $ = (id) => document.getElementById(id);
const length = (text) => [...text].length;

/** Makes an element. Text is only ever set as text, so nothing a person writes becomes markup. */
function el(tag, props = {}, ...children) {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children);
  return node;
}

/** Tells people who listen rather than look. */
function speak(text) { $("spoken").textContent = text; }

// ---- Session: a token that outlives a reload of this tab ----

const session = {
  ...JSON.parse(sessionStorage.getItem("session") ?? "null"), // token, userId, role
  confirmed: false, // this connection knows who we are
  ended: "", // why there is no session any more

  set(values) {
    Object.assign(this, { token: "", userId: "", role: "", ended: "" }, values);
    const { token, userId, role } = this;
    if (token) sessionStorage.setItem("session", JSON.stringify({ token, userId, role }));
    else sessionStorage.removeItem("session");
    this.confirmed &&= Boolean(token);
    renderSession();
  },
};

/** Tells a new connection who we are: sessions belong to connections, tokens to us. */
async function authenticate() {
  if (!session.token || !channel.online) return;
  const on = channel;
  try {
    await on.call("authenticate", { token: session.token });
    const { userId, role } = await on.call("whoami");
    if (on !== channel) return; // another room was entered meanwhile
    session.confirmed = true;
    session.set({ token: session.token, userId, role });
  } catch (error) {
    if (on !== channel || error.unknown) return; // tried again on the next connection
    session.set({ ended: "Your session is no longer valid." });
    if (error.code !== "unauthenticated") fault(error);
  }
}

async function fetchToken(user, role) {
  let response;
  try {
    response = await fetch(`/token?${new URLSearchParams({ user, role })}`);
  } catch {
    throw new CallError({ code: "unavailable", message: "The server cannot be reached. Try again in a moment." });
  }
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body.token;
  throw new CallError({ code: "invalid_argument", message: body.error ?? `The server answered ${response.status}.` });
}

function renderSession() {
  const { token, userId, role } = session;
  $("account-in").hidden = !token;
  $("account-out").hidden = Boolean(token);
  $("account-name").textContent = userId;
  $("account-role").textContent = role;
  $("account-monogram").textContent = monogram(userId);
  $("open-announce").hidden = role !== "admin";
  renderReadiness();
}

// ---- Rooms: what was seen stays while the page is open ----

const rooms = new Map();
let room;
let channel;

let pinned = true; // the newest entry is in sight and stays there as the room grows
let lastTop = 0;
const growth = new ResizeObserver(() => pinned && toEnd());

class Room {
  list = el("ol", { className: "entries" });
  #title = el("h2");
  intro = el("section", { className: "intro" }, mark(), this.#title,
    el("p", { textContent: "This is where you came in. Kanava keeps no history in this example, so you see what is said from now on. Open the page in a second window to talk to yourself." }));
  #last = null; // the newest entry, if it is a message others can join
  #day = "";
  lost = 0; // when this room went out of sight

  constructor(name) {
    this.name = name;
    this.#title.textContent = `#${name}`;
    growth.observe(this.list);
  }

  welcome(text) { this.#title.textContent = text; }

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

function enter(name) {
  if (room) {
    saveDraft();
    room.lost ||= Date.now();
  }
  if (!rooms.has(name)) rooms.set(name, new Room(name));
  room = rooms.get(name);

  const here = room;
  channel?.close();
  const url = new URL(`chat?${new URLSearchParams({ room: name })}`, location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.hash = "";
  session.confirmed = false;
  connection = {};
  channel = new Channel(url.href, {
    state: (next) => here === room && connectionChanged(next),
    value: (value) => value?.welcome && here.welcome(String(value.welcome)),
    event: (topic, data) => topic === `room:${name}` && received(here, data),
    fault,
  });

  rememberRoom(name);
  document.title = `#${name} · Kanava chat`;
  $("room-name").textContent = name;
  $("timeline").replaceChildren(room.intro, room.list);
  $("message").value = sessionStorage.getItem(`draft ${name}`) ?? "";
  showFaults($("compose"));
  renderCompose();
  toEnd();
  channel.connect();
}

function rememberRoom(name) {
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

function isRoom(name) { return length(name) >= 1 && length(name) <= limits.room; }

function roomOfHash() {
  try {
    const name = decodeURIComponent(location.hash.slice(1));
    if (isRoom(name)) return name;
  } catch {
    // A stray percent sign names no room.
  }
  return "general";
}

// ---- Connection: its state is always in sight ----

let connection = {}; // the newest state, and what ended the connection before it

const reasons = {
  1000: "The server ended the connection.",
  1001: "The server is going away.",
  1009: "A message was too big for the server.",
  1012: "The server is restarting.",
  4400: "The server did not accept what this page asked for.",
  4401: "Your session has ended. Sign in again.",
  4403: "You may not enter this room.",
  4408: "The connection went silent.",
  4409: "This page could not keep up with the room.",
  4426: "This page is too old for the server. Reload it.",
  4429: "That was too much at once, so the server asks for a pause.",
  4500: "The server ran into a fault.",
  4503: "The server is restarting.",
};

function connectionChanged(next) {
  const before = connection;
  const { code, reason, opened } = next.code ? next : before;
  connection = { ...next, code, reason, opened };
  if (next.name === "online") {
    connection.code = undefined;
    if (room.lost) room.note(`You were away for ${duration(Date.now() - room.lost)}. What was said meanwhile is not shown.`);
    room.lost = 0;
    authenticate();
  } else {
    session.confirmed = false;
    if (before.name === "online") room.lost ||= Date.now();
  }
  if (next.code === 4401 && session.token) {
    session.set({ ended: "Your session has ended." });
    return channel.connect(); // reading needs no session
  }
  if (next.name !== before.name) speak({ online: "Connected.", connecting: "", waiting: "Connection lost. Reconnecting.", stopped: "Not connected." }[next.name]);
  renderConnection();
  renderReadiness();
}

function renderConnection() {
  const { name, code, reason, opened, at } = connection;
  const seconds = Math.max(1, Math.ceil((at - Date.now()) / 1000));
  const words = reasons[code] ?? (opened ? "The connection was lost." : "The server cannot be reached.");
  const texts = {
    connecting: code ? "Reconnecting" : "Connecting",
    online: session.confirmed || session.token ? "Online" : "Online, signed out",
    waiting: `Reconnecting in ${seconds} s`,
    stopped: "Not connected",
  };
  document.body.dataset.connection = name;
  set($("state-text"), texts[name]);
  $("notice").hidden = !code;
  if (!code) return;
  set($("notice-text"), words);
  set($("notice-code"), `code ${code}${reason ? `, ${reason}` : ""}`);
  set($("try-now"), name === "stopped" ? "Connect" : "Try now");
  $("try-now").disabled = name === "connecting";
}

/** Sets a text only if it differs, so that nothing flickers or loses a selection. */
function set(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function fault(error) { room.note(`The server reports: ${error.message}`, "note bad"); }

// ---- Messages ----

function received(here, data) {
  if (data?.type !== "message") return;
  const message = { text: String(data.message), userId: String(data.userId || "The server"), timestamp: Number(data.timestamp) || Date.now() };
  // Our own come from another window, or are announcements, which their sender sees as well.
  const own = message.userId === session.userId;
  here.add(messageEntry(message, own), { message });
  speak(`${message.userId}: ${message.text}`);
}

function messageEntry({ text, userId, timestamp }, own) {
  const time = el("time", { textContent: timeOf(timestamp), dateTime: new Date(timestamp).toISOString(), title: new Date(timestamp).toLocaleString() });
  const author = el("p", { className: "author" }, el("b", { textContent: own ? "You" : userId }), " ", time.cloneNode(true));
  const body = el("div", { className: "bubble" }, el("p", { className: "text", textContent: text }));
  return el("li", { className: own ? "message own" : "message" },
    el("span", { className: "monogram", textContent: monogram(userId), ariaHidden: "true" }), author, body, time);
}

function send(text) {
  const message = { text, userId: session.userId, timestamp: Date.now() };
  const entry = messageEntry(message, true);
  room.add(entry, { message, own: true });
  deliver(entry, text);
}

/** Sends a message and shows on its entry what became of it. */
async function deliver(entry, text) {
  entry.classList.add("sending");
  try {
    await channel.call("sendMessage", { message: text });
  } catch (error) {
    if (error.code === "unauthenticated") session.set({ ended: "Your session has ended." });
    const again = el("button", { className: error.unknown ? "link needs-connection" : "link", type: "button", textContent: error.unknown ? "Send again" : "Edit" });
    again.onclick = () => {
      entry.remove();
      $("message").focus();
      if (error.unknown) return send(text);
      $("message").value = [text, $("message").value].filter(Boolean).join("\n");
      saveDraft();
      renderCompose();
    };
    entry.classList.add("failed");
    entry.append(el("p", { className: "outcome" },
      error.unknown ? "The connection was lost before the answer. It may have arrived. " : `Not sent: ${reasonOf(error)} `, again));
    speak(error.unknown ? "A message may not have arrived." : "A message was not sent.");
    renderReadiness();
  } finally {
    entry.classList.remove("sending");
  }
}

/** The server's words, in detail where it gave details. */
function reasonOf({ message, details }) {
  return details.map((each) => each.message).filter(Boolean).join("; ") || message;
}

// ---- Writing ----

/** Says whether a call that needs a session can be made now. */
function ready() { return channel.online && session.confirmed; }

function renderReadiness() {
  const signedOut = !session.token;
  const reason = ready() ? ""
    : signedOut ? session.ended || "You are signed out."
    : channel.online ? "Signing in" : "You can go on writing and send once the connection is back.";
  // Text and cursor stay through a reconnect: only what sends is switched off.
  $("message").disabled = signedOut;
  $("message").placeholder = `Write to #${room.name}`;
  $("compose-reason").hidden = !reason;
  $("compose-hint").hidden = Boolean(reason);
  set($("compose-reason-text"), reason);
  $("compose-reason").querySelector("[data-sign-in]").hidden = !signedOut;
  $("open-job").disabled = !ready() || running;
  $("open-job").title = running ? "One job runs at a time" : "";
  $("open-announce").disabled = !ready();
  for (const button of room.list.querySelectorAll(".needs-connection")) button.disabled = !ready();
  renderCompose();
  if (connection.name) renderConnection();
}

function renderCompose() {
  const box = $("message");
  const left = limits.message - length(box.value.trim());
  $("send").disabled = !ready() || box.value.trim() === "";
  $("count").hidden = left > 200;
  $("count").className = left < 0 ? "over" : "";
  $("count").textContent = left < 0 ? `${-left} over` : `${left} left`;
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight}px`;
}

function saveDraft() {
  const key = `draft ${room.name}`;
  if ($("message").value) sessionStorage.setItem(key, $("message").value);
  else sessionStorage.removeItem(key);
}

$("compose").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("message").value.trim();
  const over = length(text) - limits.message;
  showFaults($("compose"));
  if (over > 0) {
    showFaults($("compose"), { details: [{ pointer: "/message", message: `A message has at most ${limits.message} characters. Take out ${over} to send it.` }] });
    return;
  }
  if (!text || !ready()) return;
  $("message").value = "";
  saveDraft();
  renderCompose();
  send(text);
});

$("message").addEventListener("input", () => {
  saveDraft();
  renderCompose();
  if (length($("message").value.trim()) <= limits.message) showFaults($("compose"));
});

$("message").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("compose").requestSubmit();
});

// ---- Jobs: a stream of steps and a result ----

let running = false;

/** Runs a job; its card appears with its first step, so what was refused stays in the form. */
async function runJob(jobId, started) {
  const here = room;
  let card;
  running = true;
  renderReadiness();
  try {
    await channel.call("process", { jobId }, (item) => {
      if (!card) {
        started();
        card = new JobCard(jobId);
        here.add(card.node, { own: true });
      }
      if (item.type === "processing") card.step(item.step);
      if (item.type === "complete") card.complete(item.result);
    });
    if (!card) started();
    card?.end();
  } catch (error) {
    if (!card) throw error;
    if (error.unknown) card.fail("Outcome unknown", "The connection was lost before the job ended.");
    else card.fail("Failed", reasonOf(error));
  } finally {
    running = false;
    renderReadiness();
  }
}

class JobCard {
  #jobId;
  #state = el("span", { className: "job-state", textContent: "Running" });
  #steps = el("ol", { className: "steps" });
  #done = false;

  constructor(jobId) {
    this.#jobId = jobId;
    this.node = el("li", { className: "job" },
      el("p", { className: "job-title" }, "Job ", el("b", { textContent: jobId }), this.#state), this.#steps);
  }

  step(name) {
    this.#close("done");
    this.#steps.append(el("li", { className: "current" }, String(name), el("span", { className: "unseen", textContent: " in progress" })));
    speak(`Job ${this.#jobId}: ${name}`);
  }

  complete(result) {
    this.#done = true;
    this.#finish("done", "Complete");
    this.node.append(resultOf(result));
    speak(`Job ${this.#jobId} is complete.`);
  }

  end() {
    if (!this.#done) this.#finish("done", "Ended");
  }

  fail(state, reason) {
    this.#finish("broken", state);
    this.node.append(el("p", { className: "outcome", textContent: reason }));
    speak(`Job ${this.#jobId}: ${state}. ${reason}`);
  }

  #close(className) {
    const current = this.#steps.querySelector(".current");
    if (!current) return;
    current.className = className;
    current.querySelector(".unseen").textContent = className === "done" ? " done" : " not finished";
  }

  #finish(className, text) {
    this.#close(className);
    this.node.classList.add(className);
    this.#state.textContent = text;
  }
}

function resultOf(result) {
  const plain = result && typeof result === "object" && !Array.isArray(result);
  if (!plain) return el("pre", { className: "result", textContent: JSON.stringify(result, null, 2) });
  return el("dl", { className: "result" }, ...Object.entries(result).map(([name, value]) =>
    el("div", {}, el("dt", { textContent: name }), el("dd", { textContent: typeof value === "object" ? JSON.stringify(value) : String(value) }))));
}

// ---- Forms in dialogs ----

/** Shows an error at the fields its details point to, and the rest of it below them. */
function showFaults(form, error = null) {
  const places = new Map();
  for (const node of form.querySelectorAll(".fault")) {
    node.hidden = true;
    node.textContent = "";
    if (!node.dataset.for) continue;
    places.set(`/${node.dataset.for}`, node);
    for (const input of form.elements) if (input.name === node.dataset.for) input.removeAttribute("aria-invalid");
  }
  if (!error) return;
  const whole = [];
  for (const { pointer, message } of error.details.length ? error.details : [{ message: error.message }]) {
    const node = places.get(pointer);
    if (!node) {
      whole.push(message);
      continue;
    }
    node.textContent = [node.textContent, message].filter(Boolean).join("; ");
    node.hidden = false;
    const input = [...form.elements].find((each) => each.name === node.dataset.for);
    node.id ||= `${input.id}-fault`;
    input.setAttribute("aria-invalid", "true");
    if (!input.hasAttribute("aria-describedby")) input.setAttribute("aria-describedby", node.id);
  }
  const rest = form.querySelector(".whole");
  if (whole.length && rest) {
    rest.textContent = whole.join("; ");
    rest.hidden = false;
  }
  form.querySelector("[aria-invalid]")?.focus();
}

/** Wires a dialog: `submit(values, close)` may throw a CallError, which is shown in its form. */
function dialog(id, submit) {
  const box = $(id);
  const form = box.querySelector("form");
  const button = form.querySelector(".primary");
  box.addEventListener("click", (event) => event.target.closest("[data-close]") && box.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    showFaults(form);
    button.disabled = true;
    try {
      await submit(Object.fromEntries(new FormData(form)), () => box.close());
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      showFaults(form, error);
    } finally {
      button.disabled = false;
    }
  });
  return () => {
    showFaults(form);
    if (!$("sidebar").matches(":popover-open")) return box.showModal();
    $("sidebar").hidePopover();
    box.showModal();
  };
}

const openSignIn = dialog("sign-in", async ({ user, role }, close) => {
  const userId = user.trim();
  if (!userId) throw new CallError({ code: "invalid_argument", message: "", details: [{ pointer: "/user", message: "Others need a name to know you by." }] });
  session.set({ token: await fetchToken(userId, role), userId, role });
  close();
  if (channel.online) await authenticate();
  else channel.connect();
  $("message").focus();
});

const openJob = dialog("job", ({ jobId }, close) => runJob(jobId.trim(), close));

const openAnnounce = dialog("announce", async ({ room: to, message }, close) => {
  await channel.call("broadcast", { room: to, message });
  $("announce-message").value = "";
  close();
  if (to !== room.name) room.note(`Announced to #${to}.`);
});

for (const button of document.querySelectorAll("[data-sign-in]")) button.addEventListener("click", openSignIn);

$("open-job").addEventListener("click", () => {
  $("job-id").value = `report-${1 + document.querySelectorAll(".job").length}`;
  openJob();
  $("job-id").select();
});

$("open-announce").addEventListener("click", () => {
  $("announce-room").value = room.name;
  openAnnounce();
  $("announce-message").focus();
});

$("sign-out").addEventListener("click", async () => {
  const goodbye = channel.online ? channel.call("logout") : Promise.resolve();
  session.set({});
  await goodbye.catch(() => {}); // the token is gone from here whatever the server says
});

$("join").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = $("join-room").value.trim().replace(/^#/, "");
  showFaults($("join"));
  if (!isRoom(name)) {
    showFaults($("join"), { details: [{ pointer: "/room", message: `A room's name has 1 to ${limits.room} characters.` }] });
    return;
  }
  $("join-room").value = "";
  location.hash = encodeURIComponent(name);
});

// ---- Small things ----

function mark() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", "#mark");
  svg.classList.add("mark");
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

function monogram(name = "") { return [...name][0]?.toUpperCase() ?? ""; }

function timeOf(ms) { return new Date(ms).toLocaleTimeString([], { timeStyle: "short" }); }

function dayOf(ms) {
  const day = new Date(ms).toDateString();
  if (day === new Date().toDateString()) return "Today";
  if (day === new Date(Date.now() - 86_400_000).toDateString()) return "Yesterday";
  return new Date(ms).toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" });
}

function duration(ms) {
  const seconds = Math.max(1, Math.round(ms / 1000));
  return seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
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
$("try-now").addEventListener("click", () => channel.connect());
$("rooms").addEventListener("click", () => $("sidebar").matches(":popover-open") && $("sidebar").hidePopover());
window.addEventListener("hashchange", () => {
  if ($("sidebar").matches(":popover-open")) $("sidebar").hidePopover();
  enter(roomOfHash());
});
window.addEventListener("online", () => connection.name === "waiting" && channel.connect());
setInterval(() => connection.name === "waiting" && renderConnection(), 250);

enter(roomOfHash());
renderSession();
