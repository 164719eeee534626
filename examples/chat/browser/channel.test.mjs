// The rules of the page's connection, with a socket and a clock that do as they are told.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { beforeEach, test } from "node:test";

// The page's files have no package.json beside them that calls them modules.
const source = readFileSync(new URL("../page/channel.js", import.meta.url));
const { Channel } = await import(`data:text/javascript;base64,${source.toString("base64")}`);

let sockets;

class FakeSocket {
  static OPEN = 1;
  readyState = 0;
  sent = [];
  constructor(url) { this.url = url; sockets.push(this); }
  send(text) { this.sent.push(JSON.parse(text)); }
  close() { this.readyState = 3; }
  open() { this.readyState = 1; this.onopen(); }
  frame(value) { this.onmessage({ data: JSON.stringify(value) }); }
  end(code, reason = "") { this.readyState = 3; this.onclose({ code, reason }); }
}

function connected(t) {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const seen = { states: [], events: [], values: [], faults: [] };
  const channel = new Channel("ws://example/chat", {
    state: (state) => seen.states.push(state),
    event: (topic, data) => seen.events.push([topic, data]),
    value: (value) => seen.values.push(value),
    fault: (error) => seen.faults.push(error.code),
  });
  channel.connect();
  sockets.at(-1).open();
  return { channel, seen, socket: sockets.at(-1), last: () => seen.states.at(-1) };
}

beforeEach(() => {
  sockets = [];
  globalThis.WebSocket = FakeSocket;
});

test("replies find their calls by action, in order", async (t) => {
  const { channel, socket, seen } = connected(t);
  const calls = [channel.call("a", { n: 1 }), channel.call("b"), channel.call("a", { n: 2 })];
  assert.deepEqual(socket.sent, [{ n: 1, action: "a" }, { action: "b" }, { n: 2, action: "a" }]);
  socket.frame({ action: "b" });
  socket.frame({ is: "first", action: "a" });
  socket.frame({ action: "a", error: { code: "invalid_argument", message: "no", details: [{ pointer: "/n", message: "is bad" }] } });
  assert.deepEqual(await calls[0], { is: "first" });
  assert.deepEqual(await calls[1], {});
  await assert.rejects(calls[2], { code: "invalid_argument", message: "no", unknown: false, details: [{ pointer: "/n", message: "is bad" }] });
  assert.deepEqual(seen.values, []);
});

test("events, values, items and errors go where they belong", async (t) => {
  const { channel, socket, seen } = connected(t);
  socket.frame({ welcome: "hi" });
  socket.frame({ topic: "room:x", data: { type: "message" } });
  const items = [];
  const job = channel.call("process", {}, (item) => items.push(item));
  socket.frame({ type: "processing" });
  socket.frame({ topic: "room:x", data: 2 });
  socket.frame({ action: "process" });
  await job;
  socket.frame({ error: { code: "too_large", message: "no" } });
  socket.frame({ action: "nobody asked", error: { code: "internal", message: "no" } });
  assert.deepEqual(seen.values, [{ welcome: "hi" }]);
  assert.deepEqual(seen.events, [["room:x", { type: "message" }], ["room:x", 2]]);
  assert.deepEqual(items, [{ type: "processing" }]);
  assert.deepEqual(seen.faults, ["too_large", "internal"]);
});

test("a lost connection leaves the outcome of its calls unknown and answers none of them later", async (t) => {
  const { channel, socket } = connected(t);
  const call = channel.call("sendMessage");
  socket.end(1006);
  await assert.rejects(call, { code: "unavailable", unknown: true });
  await assert.rejects(channel.call("sendMessage"), { code: "unavailable", unknown: false });
  assert.equal(socket.sent.length, 1, "nothing is queued");
});

test("close codes say whether to come back", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const stop = [1000, 1002, 1003, 1007, 1008, 1009, 1010, 4000, 4199, 4400, 4401, 4403, 4426, 4477];
  const back = [1001, 1005, 1006, 1011, 1012, 1013, 1014, 1015, 4200, 4399, 4408, 4409, 4429, 4500, 4503, 4577];
  for (const [codes, name] of [[stop, "stopped"], [back, "waiting"]]) {
    for (const code of codes) {
      const states = [];
      new Channel("ws://example", { state: (state) => states.push(state) }).connect();
      sockets.at(-1).end(code);
      assert.equal(states.at(-1).name, name, `close code ${code}`);
    }
  }
});

test("the wait is random, grows to 20 s, and starts again after a connection of 10 s", (t) => {
  const { last } = connected(t);
  t.mock.method(Math, "random", () => 0.999999);
  const waits = [];
  for (let i = 0; i < 8; i++) {
    sockets.at(-1).end(1006);
    const wait = last().at - Date.now();
    waits.push(Math.round(wait));
    t.mock.timers.tick(wait + 1);
    assert.equal(last().name, "connecting");
  }
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 16000, 20000, 20000]);

  sockets.at(-1).open();
  t.mock.timers.tick(10_001);
  sockets.at(-1).end(1006);
  assert.equal(Math.round(last().at - Date.now()), 500);
});

test("a range in the close reason replaces the wait", (t) => {
  const { last, socket } = connected(t);
  t.mock.method(Math, "random", () => 0.5);
  socket.end(4503, "draining 1000-5000");
  assert.equal(last().at - Date.now(), 3000);
});

test("silence while an answer is due gives the connection up", async (t) => {
  const { channel, socket, seen, last } = connected(t);
  t.mock.timers.tick(60_000);
  assert.equal(last().name, "online", "silence alone is fine");
  const call = channel.call("process", {}, () => {});
  t.mock.timers.tick(14_000);
  socket.frame({ type: "processing" });
  t.mock.timers.tick(14_000);
  assert.equal(last().name, "online", "any frame is a sign of life");
  t.mock.timers.tick(1_000);
  await assert.rejects(call, { unknown: true });
  assert.equal(last().name, "waiting");
  assert.equal(socket.onmessage, null, "a late reply reaches nobody");
  assert.equal(seen.states.filter((state) => state.name === "waiting").length, 1);
});

test("close is for good, connect cuts a wait short", (t) => {
  const { channel, socket, last } = connected(t);
  socket.end(1006);
  channel.connect();
  assert.equal(sockets.length, 2);
  t.mock.timers.tick(60_000);
  assert.equal(sockets.length, 2, "the old wait is over");
  sockets[1].open();
  channel.close();
  t.mock.timers.tick(60_000);
  assert.equal(sockets.length, 2);
  assert.equal(last().name, "online", "whoever closes knows it");
});
