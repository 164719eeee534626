// Drives the chat example as people would: the real server, real browsers, no fixed waits.
//
//   CHAT_BINARY  a server to use instead of building the example
//   and what harness.mjs says

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { address } from "../../../internal/testport/testport.mjs";
import { Network, Server, build, launch, picturesOf, poll } from "./harness.mjs";

const work = mkdtempSync(join(tmpdir(), "kanava-chat-"));
const pictures = picturesOf("chat");
let browser;
let server;

before(async () => {
  server = new Server(process.env.CHAT_BINARY || build("chat", work), await address());
  browser = await launch();
});

beforeEach(async () => {
  if (!server.running) await server.start(); // a test that failed may have left it down
});

after(async () => {
  await browser?.close();
  await server?.signal("SIGKILL");
  rmSync(work, { recursive: true, force: true });
});

// ---- A person at a browser ----

class Person {
  constructor(page) { this.page = page; }

  /** Opens a room in a browser of its own; whatever the page complains of fails the test. */
  static async open(t, room, { refusals = false, at = server.url, ...options } = {}) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: "reduce", ...options });
    context.setDefaultTimeout(20_000);
    await context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
    });
    const page = await context.newPage();
    const complaints = [];
    page.on("pageerror", (error) => complaints.push(error.stack));
    page.on("dialog", (dialog) => { complaints.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
    page.on("request", (request) => {
      if (new URL(request.url()).origin !== new URL(at).origin && !request.url().startsWith("data:")) complaints.push(`request: ${request.url()}`);
    });
    page.on("console", (message) => {
      if (message.type() !== "error" && message.type() !== "warning") return;
      // The browser itself reports a server that is down or refuses, whatever the page does about it.
      if (refusals && /^(WebSocket connection to .* failed|Failed to load resource: (net::ERR_|.* 40[03]))/.test(message.text())) return;
      complaints.push(`console: ${message.text()}`);
    });
    t.after(async () => {
      await context.close();
      assert.deepEqual(complaints, []);
    });
    const person = new Person(page);
    await page.goto(`${at}#${encodeURIComponent(room)}`);
    await person.state("online");
    return person;
  }

  state(name) { return this.page.waitForFunction((wanted) => document.body.dataset.connection === wanted, name); }
  ready() { return this.page.locator("#open-job:enabled").waitFor(); }
  sees(text, within = ".message") { return this.page.locator(within, { hasText: text }).first().waitFor(); }
  count(text) { return this.page.locator(".text").getByText(text, { exact: true }).count(); }
  /** What the page counted. */
  async counters() {
    const [received, lost, doubled] = await Promise.all(["received", "lost", "doubled"].map((name) => this.page.locator(`#events-${name}`).textContent()));
    return { received: Number(received), lost: Number(lost), doubled: Number(doubled) };
  }

  shows(id) { return this.page.locator(id).filter({ hasText: /./ }).innerText(); }

  async signIn(name, role = "member") {
    await this.page.getByRole("button", { name: "Sign in to write" }).click();
    await this.page.getByLabel("Your name").fill(name);
    await this.page.getByRole("radio", { name: role, exact: false }).check();
    await this.page.locator("#sign-in").getByRole("button", { name: "Sign in" }).click();
    await this.ready();
  }

  async say(text) {
    await this.page.getByLabel("Message", { exact: true }).fill(text);
    await this.page.keyboard.press("Enter");
  }

  /** Says something and waits until the server took it. */
  async said(text) {
    await this.say(text);
    await this.page.locator(".own:not(.sending, .failed)", { hasText: text }).waitFor();
  }
}

let roomNumber = 0;
const newRoom = () => `room ${++roomNumber}`; // tests do not hear each other

// ---- What people do ----

test("the server has one page and nothing beside it", async () => {
  for (const path of ["chat.js", "kanava.js", "style.css", "page/", "index.html", "favicon.ico", ".."]) {
    assert.equal((await fetch(server.url + path)).status, path === ".." ? 200 : 404, path); // fetch makes / of /..
  }
});

test("a guest reads and is told why there is no writing", async (t) => {
  const room = newRoom();
  const guest = await Person.open(t, room);
  assert.ok(await guest.page.locator("#message").isDisabled());
  assert.ok(await guest.page.locator("#send").isDisabled());
  assert.match(await guest.shows("#compose-reason"), /signed out.*Sign in/s);
  assert.equal(await guest.shows("#state"), "Online, signed out");
  await guest.sees(`Welcome to ${room}!`, ".intro");

  const alice = await Person.open(t, room);
  await alice.signIn("alice");
  await alice.said("hello, guest");
  await guest.sees("hello, guest");
});

test("signing in needs a name, and the form says what is wrong with it", async (t) => {
  const guest = await Person.open(t, newRoom(), { refusals: true });
  await guest.page.getByRole("button", { name: "Sign in to write" }).click();
  await guest.page.locator("#sign-in").getByRole("button", { name: "Sign in" }).click();
  assert.match(await guest.shows("#sign-in [data-for=user]"), /name/);
  assert.equal(await guest.page.getByLabel("Your name").getAttribute("aria-invalid"), "true");
  assert.ok(await guest.page.getByLabel("Your name").evaluate((input) => input === document.activeElement));

  await guest.page.getByLabel("Your name").fill("x".repeat(65));
  await guest.page.keyboard.press("Enter");
  assert.match(await guest.shows("#sign-in .whole"), /64/); // the server's words
});

test("a message reaches the other browser once, as text, with its author", async (t) => {
  const room = newRoom();
  const alice = await Person.open(t, room);
  const bob = await Person.open(t, room);
  await alice.signIn("alice");
  await bob.signIn("bob");

  const nasty = `<img src=x onerror="alert(1)"> <b>&amp;</b>`;
  await alice.said("first");
  await alice.said(nasty);
  await alice.said("last"); // comes after what it follows, so a second copy would be here too
  await bob.sees("last");
  for (const text of ["first", nasty, "last"]) {
    assert.equal(await bob.count(text), 1, `bob sees ${text}`);
    assert.equal(await alice.count(text), 1, `alice sees ${text}`);
  }
  assert.equal(await bob.page.locator(".author", { hasText: "alice" }).filter({ visible: true }).count(), 1, "one heading for three messages");
  assert.equal(await bob.page.locator(".message.own").count(), 0);
  assert.equal(await alice.page.locator(".message.own").count(), 3);
  assert.equal(await bob.page.locator(".message time[datetime]").first().evaluate((time) => Math.abs(Date.now() - Date.parse(time.dateTime)) < 60_000), true);

  await bob.said("answer");
  await alice.sees("answer", ".message:not(.own)");
  assert.deepEqual(await bob.counters(), { received: 3, lost: 0, doubled: 0 });
  assert.deepEqual(await alice.counters(), { received: 1, lost: 0, doubled: 0 }); // not her own
  await alice.page.locator("#state").click();
  assert.match(await alice.shows("#counters"), /received\s+1\s.*reported\s+0\s.*doubled\s+0\s/s);
});

test("who comes in sees what was said, once, and who is there", async (t) => {
  const room = newRoom();
  const alice = await Person.open(t, room);
  await alice.signIn("alice");
  for (const text of ["said first", "said second"]) await alice.said(text);

  const bob = await Person.open(t, room);
  await bob.sees("said second");
  await alice.said("said third");
  await bob.sees("said third");
  for (const text of ["said first", "said second", "said third"]) assert.equal(await bob.count(text), 1, text);
  assert.deepEqual(await bob.counters(), { received: 1, lost: 0, doubled: 0 }); // the others were said before
  assert.deepEqual((await bob.page.locator(".text").allTextContents()).slice(-3), ["said first", "said second", "said third"]);

  await bob.signIn("bob");
  for (const [person, names] of [[alice, ["alice (you)", "bob"]], [bob, ["alice", "bob (you)"]]]) {
    await person.page.locator("#people-count", { hasText: "2" }).waitFor();
    assert.deepEqual(await person.page.locator("#people-names li").allTextContents(), names);
  }
  // Another room and back: what was said meanwhile is there, and nothing twice.
  await bob.page.getByLabel("Join or create a room").fill(newRoom());
  await bob.page.keyboard.press("Enter");
  await bob.state("online");
  await alice.said("said fourth");
  await bob.page.goBack();
  await bob.sees("said fourth");
  for (const text of ["said first", "said third", "said fourth"]) assert.equal(await bob.count(text), 1, text);

  await bob.page.close();
  await alice.page.locator("#people-names li", { hasText: "bob" }).waitFor({ state: "detached" });
  assert.deepEqual(await alice.page.locator("#people-names li").allTextContents(), ["alice (you)"]);
});

test("what was said while the network was cut arrives after it, once", async (t) => {
  const network = new Network(server.url);
  await network.open();
  t.after(() => network.close());
  const room = newRoom();
  const alice = await Person.open(t, room);
  const bob = await Person.open(t, room, { at: network.url, refusals: true });
  await alice.signIn("alice");
  await alice.said("before the cut");
  await bob.sees("before the cut");

  network.cut();
  await bob.state("waiting");
  const said = ["one", "two", "three"].map((n) => `${n} during the cut`);
  for (const text of said) await alice.said(text);
  network.mend();
  await bob.state("online");
  for (const text of said) await bob.sees(text);
  await alice.said("after the cut");
  await bob.sees("after the cut");
  for (const text of ["before the cut", ...said, "after the cut"]) assert.equal(await bob.count(text), 1, text);
  assert.deepEqual(await bob.counters(), { received: 5, lost: 0, doubled: 0 });
});

test("where no WebSocket comes through, all is as with one, and it is taken when it does", async (t) => {
  const network = new Network(server.url);
  network.passesWebSockets = false;
  await network.open();
  t.after(() => network.close());
  const room = newRoom();
  const alice = await Person.open(t, room);
  await alice.signIn("alice");
  const bob = await Person.open(t, room, { at: network.url, refusals: true });
  await bob.signIn("bob");
  await alice.said("to bob");
  await bob.sees("to bob");
  await bob.said("to alice");
  await alice.sees("to alice", ".message:not(.own)");

  network.passesWebSockets = true;
  const look = bob.page.waitForEvent("websocket"); // closed again
  await bob.page.evaluate(() => window.dispatchEvent(new Event("online")));
  await look;
  await bob.page.waitForEvent("websocket");
  await bob.state("online");
  await bob.said("by WebSocket");
  await alice.sees("by WebSocket", ".message:not(.own)");
  await alice.said("heard");
  await bob.sees("heard");
  for (const text of ["to bob", "heard"]) assert.equal(await bob.count(text), 1, text);
  assert.deepEqual(await bob.counters(), { received: 2, lost: 0, doubled: 0 });
  assert.deepEqual(await alice.counters(), { received: 2, lost: 0, doubled: 0 });
});

test("Shift and Enter start a new line", async (t) => {
  const alice = await Person.open(t, newRoom());
  await alice.signIn("alice");
  await alice.page.getByLabel("Message", { exact: true }).focus();
  await alice.page.keyboard.type("one");
  await alice.page.keyboard.press("Shift+Enter");
  await alice.page.keyboard.type("two");
  await alice.page.keyboard.press("Enter");
  await alice.page.locator(".own:not(.sending)").waitFor();
  assert.equal(await alice.page.locator(".own .text").innerText(), "one\ntwo");
  assert.equal(await alice.page.getByLabel("Message", { exact: true }).inputValue(), "");
});

test("the session and unsent text survive a reload; signing out ends it", async (t) => {
  const alice = await Person.open(t, newRoom());
  await alice.signIn("alice", "admin");
  await alice.page.getByLabel("Message", { exact: true }).fill("half a sent");
  await alice.page.reload();
  await alice.ready();
  assert.equal(await alice.shows("#account-name"), "alice");
  assert.equal(await alice.page.getByLabel("Message", { exact: true }).inputValue(), "half a sent");

  await alice.page.getByRole("button", { name: "Sign out" }).click();
  await alice.page.getByRole("button", { name: "Sign in to write" }).waitFor();
  assert.ok(await alice.page.locator("#message").isDisabled());
  await alice.page.reload();
  await alice.state("online");
  assert.equal(await alice.shows("#state"), "Online, signed out");
});

test("rooms are apart, have addresses, and keep their text", async (t) => {
  const [here, there] = [newRoom(), newRoom()];
  const alice = await Person.open(t, here);
  const bob = await Person.open(t, there);
  await alice.signIn("alice");
  await bob.signIn("bob");
  await alice.said("only here");
  await alice.page.getByLabel("Message", { exact: true }).fill("for later");

  await alice.page.getByLabel("Join or create a room").fill(there);
  await alice.page.getByRole("button", { name: "Join" }).click();
  await alice.sees(`Welcome to ${there}!`, ".intro");
  await alice.ready();
  assert.equal(decodeURIComponent(new URL(alice.page.url()).hash), `#${there}`);
  assert.equal(await alice.page.getByLabel("Message", { exact: true }).inputValue(), "");
  await alice.said("over there");
  await bob.sees("over there");
  assert.equal(await bob.count("only here"), 0);

  await alice.page.getByRole("link", { name: here }).click();
  await alice.sees("only here");
  await alice.sees("You were away for", ".note");
  assert.equal(await alice.page.getByLabel("Message", { exact: true }).inputValue(), "for later");

  await alice.page.getByLabel("Join or create a room").fill("x".repeat(65));
  await alice.page.keyboard.press("Enter");
  assert.match(await alice.shows("#join .fault"), /1 to 64/);
});

test("a room the server refuses is explained, and not tried again and again", async (t) => {
  const alice = await Person.open(t, newRoom());
  await alice.page.getByLabel("Join or create a room").fill("😀".repeat(64)); // few characters, many bytes
  await alice.page.keyboard.press("Enter");
  await alice.state("stopped");
  assert.match(await alice.shows("#notice"), /did not accept.*4400/s);
  await alice.sees("The server reports", ".note.bad");
  assert.equal(await alice.shows("#state"), "Not connected");
  await alice.page.getByRole("button", { name: "Connect", exact: true }).click(); // asks again, with the same answer
  await alice.page.waitForFunction(() => document.querySelectorAll(".note.bad").length === 2);
  await alice.state("stopped");
  await alice.page.getByRole("link", { name: "general" }).click();
  await alice.sees("Welcome to general!", ".intro");
  assert.equal(await alice.shows("#state"), "Online, signed out");
});

test("a job shows its steps and its result", async (t) => {
  const alice = await Person.open(t, newRoom());
  await alice.signIn("alice");
  await alice.page.getByRole("button", { name: "Run a job" }).click();
  await alice.page.getByLabel("Job name").fill("harbour report");
  await alice.page.getByRole("button", { name: "Run", exact: true }).click();
  await alice.sees("Loading data", ".job .steps");
  assert.ok(!(await alice.page.locator("#job").isVisible()), "the form is gone");
  await alice.sees("Processing", ".job .steps");
  await alice.sees("Complete", ".job.done .job-state");
  assert.deepEqual(await alice.page.locator(".job .steps li.done").allTextContents(), ["Loading data done", "Processing done"]);
  assert.notEqual((await alice.shows(".job .result")).trim(), "");
  await alice.ready(); // the stream has ended: another may start
  await alice.said("still talking");
});

test("too long a message stays in the box with the reason", async (t) => {
  const room = newRoom();
  const alice = await Person.open(t, room);
  const bob = await Person.open(t, room);
  await alice.signIn("alice");
  const box = alice.page.getByLabel("Message", { exact: true });

  await box.fill("😀".repeat(1990));
  assert.equal(await alice.shows("#count"), "10 left"); // characters, not UTF-16 units
  await alice.say("x".repeat(2013));
  assert.equal(await alice.shows("#count"), "13 over");
  assert.match(await alice.shows("#compose-fault"), /at most 2000.*Take out 13/);
  assert.equal(await box.getAttribute("aria-invalid"), "true");
  assert.equal((await box.inputValue()).length, 2013);
  await box.fill("short");
  await alice.page.locator("#compose-fault").waitFor({ state: "hidden" });

  await alice.said("😀".repeat(2000)); // the longest the server takes
  await bob.sees("😀".repeat(2000));
  assert.equal(await bob.page.locator(".message").count(), 1);
});

test("an announcement reaches the whole room, and only admins make one", async (t) => {
  const [hall, office] = [newRoom(), newRoom()];
  const alice = await Person.open(t, hall);
  const bob = await Person.open(t, hall);
  await alice.signIn("alice", "admin");
  await bob.signIn("bob");
  assert.ok(!(await bob.page.getByRole("button", { name: "Announce" }).isVisible()), "bob is no admin");

  const form = alice.page.locator("#announce");
  await alice.page.getByRole("button", { name: "Announce" }).click();
  await form.getByLabel("Announcement").fill("x".repeat(2001));
  await form.getByRole("button", { name: "Announce" }).click();
  assert.match(await alice.shows("#announce [data-for=message]"), /2,?000/); // the server's words, at the field
  await form.getByLabel("Announcement").fill("the lock closes at eight");
  await form.getByRole("button", { name: "Announce" }).click();
  await form.waitFor({ state: "hidden" });
  await bob.sees("the lock closes at eight");
  await alice.sees("the lock closes at eight");

  await alice.page.getByRole("button", { name: "Announce" }).click();
  await form.getByLabel("Room").fill(office);
  await form.getByLabel("Announcement").fill("nobody here");
  await form.getByRole("button", { name: "Announce" }).click();
  await alice.sees(`Announced to #${office}`, ".note");

  await bob.said("after it all");
  await alice.sees("after it all");
  for (const person of [alice, bob]) {
    assert.equal(await person.count("the lock closes at eight"), 1);
    assert.equal(await person.count("nobody here"), 0);
  }
});

test("after the server was killed the page comes back by itself, signed in, with the text", async (t) => {
  const room = newRoom();
  const alice = await Person.open(t, room, { refusals: true });
  const bob = await Person.open(t, room, { refusals: true });
  await alice.signIn("alice");
  await bob.signIn("bob");
  await alice.said("before");
  await bob.sees("before");
  await alice.page.getByLabel("Message", { exact: true }).focus();
  await alice.page.keyboard.type("typed bef");

  await server.signal("SIGKILL");
  await alice.page.waitForFunction(() => /^Reconnecting in \d+ s$/.test(document.querySelector("#state-text").textContent));
  assert.match(await alice.shows("#notice"), /(connection was lost|server cannot be reached).*1006/s);
  assert.match(await alice.shows("#compose-reason"), /once the connection is back/);
  await alice.page.keyboard.type("ore and during");
  await alice.page.keyboard.press("Enter"); // kept until there is a connection
  await alice.page.locator(".own.sending", { hasText: "typed before and during" }).waitFor();
  await alice.page.keyboard.type("more");

  await server.start();
  await alice.ready();
  await bob.ready();
  assert.equal(await alice.shows("#state"), "Online");
  assert.ok(!(await alice.page.locator("#notice").isVisible()));
  assert.equal(await alice.page.evaluate(() => document.activeElement.id), "message", "the cursor stayed");
  assert.equal(await alice.page.getByLabel("Message", { exact: true }).inputValue(), "more");
  await alice.page.locator(".own:not(.sending, .failed)", { hasText: "typed before and during" }).waitFor();
  await bob.said("after");
  await alice.sees("after");
  assert.equal(await alice.count("before"), 1);

  // Another server: nobody knows what was said in the room meanwhile, and the page says so at that place.
  await alice.sees("Messages may have been lost here.", ".loss");
  assert.deepEqual(await alice.counters(), { received: 1, lost: 1, doubled: 0 });
  const entries = await alice.page.locator(".entries li:not(.day)").evaluateAll((all) => all.map((li) => li.querySelector(".text")?.textContent ?? li.className));
  assert.deepEqual(entries, ["before", "typed before and during", "loss", "after"]);
});

test("a message whose answer never came is marked, and goes again on demand", async (t) => {
  const room = newRoom();
  const alice = await Person.open(t, room, { refusals: true });
  const bob = await Person.open(t, room, { refusals: true });
  await alice.signIn("alice");

  await server.signal("SIGSTOP"); // it reads nothing any more
  await alice.say("did it arrive?");
  await alice.page.locator(".own.sending", { hasText: "did it arrive?" }).waitFor();
  await server.signal("SIGKILL");
  await alice.sees("It may have arrived", ".own.failed");

  await server.start();
  await bob.state("online");
  await alice.page.getByRole("button", { name: "Send again" }).click();
  await bob.sees("did it arrive?");
  assert.equal(await alice.page.locator(".own").count(), 1, "the new message takes the old one's place");
  assert.equal(await alice.page.locator(".failed").count(), 0);
});

test("a server that shuts down says so, and the page comes back when it was asked to", async (t) => {
  const alice = await Person.open(t, newRoom(), { refusals: true });
  await alice.signIn("alice");
  await alice.page.evaluate(() => {
    // Keep what the notice says: the wait is random and may be short.
    globalThis.notices = [];
    new MutationObserver(() => globalThis.notices.push(document.querySelector("#notice").innerText))
      .observe(document.querySelector("#notice"), { childList: true, subtree: true, attributes: true });
  });
  await server.signal("SIGTERM");
  await alice.page.waitForFunction(() => globalThis.notices.some((text) => /server is restarting[^]*4503/.test(text)));
  await server.start();
  await alice.ready();
  await alice.said("back");
});

/** Keeps what the connections of a page send from now on. */
function overhear(person) {
  const heard = { connections: 0, sent: [] };
  person.page.on("websocket", (socket) => {
    heard.connections++;
    socket.on("framesent", ({ payload }) => heard.sent.push(String(payload)));
  });
  heard.count = (action) => heard.sent.filter((frame) => frame.includes(`"do":"${action}"`)).length;
  return heard;
}

test("nobody notices that tokens expire while the page is open", async (t) => {
  await server.signal("SIGTERM");
  await server.start("-session", "20s");
  t.after(() => server.signal("SIGTERM"));
  const room = newRoom();
  const alice = await Person.open(t, room);
  const bob = await Person.open(t, room);
  const heard = overhear(alice);
  await alice.page.reload();
  await alice.signIn("alice");
  await bob.signIn("bob");
  const start = Date.now();
  let said = 0;
  await poll(async () => { // the first session ends 20 s after it began
    if (Date.now() - start >= said * 1000) await alice.said(`message ${++said}.`);
    return heard.count("authenticate") >= 3 && Date.now() - start > 22_000;
  }, 60_000);
  await bob.sees(`message ${said}.`);
  await bob.said("still here");
  await alice.sees("still here");
  assert.equal(heard.connections, 1);
  assert.deepEqual(await bob.counters(), { received: said, lost: 0, doubled: 0 });
  assert.deepEqual(await alice.page.locator(".note, .failed, .loss").allTextContents(), []);
});

test("a connection that the server ends for its session comes back, signed in", async (t) => {
  const alice = await Person.open(t, newRoom());
  let connection; // of the page that is loaded again
  await alice.page.routeWebSocket(/\/chat/, (route) => {
    connection = route;
    route.connectToServer();
  });
  await alice.page.reload();
  await alice.signIn("alice");
  await connection.close({ code: 4401, reason: "unauthenticated" });
  await alice.sees("Your session has ended.", "#notice");
  await alice.ready();
  await alice.said("here again");
});

test("a session that cannot be had again leaves a reader with a reason", async (t) => {
  const alice = await Person.open(t, newRoom(), { refusals: true });
  await alice.signIn("alice");
  await alice.page.route(/\/token/, (route) => route.fulfill({ status: 403, json: { error: "alice has moved away" } }));
  await server.signal("SIGKILL");
  await server.start();
  await alice.sees("no longer valid", "#compose-reason");
  await alice.state("online");
  assert.equal(await alice.shows("#state"), "Online, signed out");
  await alice.page.unroute(/\/token/);
  await alice.signIn("alice");
  await alice.said("here again");
});

test("the page finds doubled messages without the client's help", async (t) => {
  const room = newRoom();
  const alice = await Person.open(t, room);
  const bob = await Person.open(t, room);
  await alice.page.routeWebSocket(/\/chat/, (route) => {
    route.connectToServer().onMessage((frame) => {
      route.send(frame);
      if (!frame.startsWith('{"on":')) return;
      const event = JSON.parse(frame);
      route.send(frame); // the client knows this position
      route.send(JSON.stringify({ ...event, p: event.o, o: event.o + 1 })); // and takes this for the next event
    });
  });
  await alice.page.reload();
  await alice.state("online");
  await bob.signIn("bob");
  await bob.said("once");
  await poll(async () => (await alice.counters()).doubled === 1);
  assert.deepEqual(await alice.counters(), { received: 2, lost: 0, doubled: 1 });
  assert.equal(await alice.count("once"), 1); // what came twice is counted, and shown once
});

test("a hidden tab that stood still for longer than a connection lasts misses nothing without saying so", async (t) => {
  const room = newRoom();
  const alice = await Person.open(t, room);
  const bob = await Person.open(t, room);
  await bob.signIn("bob");
  await bob.said("before");
  await alice.sees("before");

  await alice.page.evaluate(() => {
    globalThis.pause = 0; // the longest time in which no timer ran
    let last = Date.now();
    setInterval(() => {
      globalThis.pause = Math.max(globalThis.pause, Date.now() - last);
      last = Date.now();
    }, 100);
  });
  // Chromium without a window neither hides nor freezes a page, whatever it is told; a debugger's pause stops
  // its scripts and timers as freezing does, while the clock and the network go on.
  const look = (hidden) => alice.page.evaluate((now) => {
    Object.defineProperty(document, "hidden", { value: now, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
  const devtools = await alice.page.context().newCDPSession(alice.page);
  await devtools.send("Debugger.enable");
  await look(true);
  await devtools.send("Debugger.pause");
  const frozen = Date.now();
  let said = 0;
  await poll(async () => { // the server pings after 25 s and waits 10 s for the answer
    if (Date.now() - frozen >= said * 1000) await bob.said(`message ${++said}.`);
    return Date.now() - frozen > 40_000;
  }, 60_000);
  await devtools.send("Debugger.resume");
  await devtools.send("Debugger.disable");
  await look(false);
  await bob.said("the last");
  await alice.sees("the last");
  const { received, lost, doubled } = await alice.counters();
  t.diagnostic(`${said} messages while frozen: received ${received}, ${lost} losses`);
  assert.ok(await alice.page.evaluate(() => globalThis.pause) > 35_000, "its timers stood still");
  assert.equal(doubled, 0);
  // The server was the same all the time, so the page knows how many it misses.
  const missing = Number.parseInt(await alice.page.locator("#events-missing").textContent() || "0");
  assert.equal(received + missing, said + 2, `${received} of ${said + 2} messages, ${missing} told to be lost`);
  assert.equal(missing > 0, lost > 0);
  assert.equal(await alice.page.locator(".message").count(), received);
  assert.equal(await alice.page.locator(".loss", { hasText: /^\d+ messages? (was|were) lost here\.$/ }).count(), lost);
});

test("without a network nothing is tried in haste, and with it at once", async (t) => {
  const alice = await Person.open(t, newRoom(), { refusals: true });
  await alice.signIn("alice");
  await alice.page.evaluate(() => { Math.random = () => 0.999; }); // the longest waits
  await alice.page.context().setOffline(true);
  await server.signal("SIGKILL");
  await alice.state("waiting");
  const seconds = Number(/\d+/.exec(await alice.shows("#state-text")));
  assert.ok(seconds > 10, `the next try comes in ${seconds} s`);
  await server.start();
  await alice.page.context().setOffline(false);
  const back = Date.now();
  await alice.ready();
  assert.ok(Date.now() - back < 10_000, `${Date.now() - back} ms`);
  await alice.said("back");
});

// ---- How it looks ----

for (const [device, width, height] of [["desktop", 1280, 800], ["phone", 390, 844]]) {
  for (const colorScheme of ["light", "dark"]) {
    test(`it fits a ${device}, ${colorScheme}`, async (t) => {
      const phone = device === "phone";
      const room = newRoom();
      const bob = await Person.open(t, room, { refusals: true });
      const alice = await Person.open(t, room, {
        refusals: true, viewport: { width, height }, colorScheme, isMobile: phone, hasTouch: phone, deviceScaleFactor: phone ? 2 : 1,
      });
      const picture = async (state) => {
        await alice.page.screenshot({ path: join(pictures, `${device}-${colorScheme}-${state}.png`) });
        const wide = await alice.page.evaluate(() => [...document.querySelectorAll("body *")]
          .filter((node) => node.checkVisibility() && !node.closest(".unseen, time, svg") && node.getBoundingClientRect().right > innerWidth + 0.5)
          .map((node) => `${node.tagName}#${node.id}.${node.className}`));
        assert.deepEqual(wide, [], `beyond the right edge: ${state}`);
        assert.ok(await alice.page.evaluate(() => document.scrollingElement.scrollWidth <= innerWidth), `no scrolling sideways: ${state}`);
      };

      await picture("empty");
      if (phone) {
        await alice.page.getByRole("button", { name: "Rooms and account" }).click();
        await picture("rooms");
        await alice.page.keyboard.press("Escape");
      }
      await alice.page.getByRole("button", { name: "Sign in to write" }).click();
      await picture("sign-in");
      await alice.page.keyboard.press("Escape");
      await alice.signIn("Aino", "admin");
      await bob.signIn("Mikael");
      await bob.said("Good morning. Is the lock at Murole open today?");
      await bob.said("Two boats are waiting on the north side.");
      await alice.sees("Two boats");
      await alice.said("Morning! Yes, from nine until eight.");
      await alice.said("The water stands a little high after the rain, so keep left on the way in and leave room at the quay.");
      await bob.said(`https://example.org/${"without/a/space/".repeat(12)}`);
      await alice.sees("example.org");
      await picture("conversation");

      await alice.page.getByRole("button", { name: "Run a job" }).click();
      await picture("job-form");
      await alice.page.getByRole("button", { name: "Run", exact: true }).click();
      await alice.page.locator(".job .current").waitFor();
      await picture("job-running");
      await alice.sees("Complete", ".job.done .job-state");
      await picture("job-complete");

      await alice.say("W".repeat(2001));
      await picture("too-long");
      await alice.page.getByLabel("Message", { exact: true }).fill("written while offline");
      await server.signal("SIGKILL");
      await alice.state("waiting");
      await picture("reconnecting");
      await server.start();
      await alice.ready();
      await bob.ready();
      await bob.said("Did you see my last one?");
      await alice.sees("Did you see");
      await picture("back");
      await alice.page.locator("#state").click();
      await alice.page.locator("#counters").waitFor();
      await picture("counters");
      t.diagnostic(`pictures: ${pictures}`);
    });
  }
}
