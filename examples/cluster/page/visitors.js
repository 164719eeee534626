// The visitors that this page opens: each is a client of its own, as in a page of its own.

import { connectCluster } from "./kanava.js";
import { $, el, say, log, count } from "./dom.js";

const maxVisitors = 12; // a browser has not many more connections
const stripTicks = 90; // ticks of a strip
const lateAfter = 1500; // ms: a tick that is older was recovered

/** The visitors of this page, in order. */
export const visitors = [];

/** Adds a visitor, and calls met with who is there whenever that changes; the first visitor tells. */
export function addVisitor(name, met) {
  const client = connectCluster(undefined, { visitor: name });
  const v = { name, client, node: "", received: 0, recovered: 0, lost: 0, lostAt: 0, since: { received: 0, recovered: 0 } };
  const parts = {
    who: el("span", { textContent: name }), state: el("span", { className: "state", textContent: "connecting" }),
    strip: el("div", { className: "strip", ariaHidden: "true" }), received: el("b"), recovered: el("b"), lost: el("b"),
  };
  v.element = el("li", { className: "visitor" },
    el("div", { className: "who" }, parts.who, parts.state), parts.strip,
    el("p", { className: "counts" }, parts.received, " received, ", parts.recovered, " of them recovered, ", parts.lost, " lost"));
  v.show = () => {
    say(parts.received, String(v.received));
    say(parts.recovered, String(v.recovered));
    say(parts.lost, String(v.lost));
    parts.lost.className = v.lost ? "bad" : "";
  };
  const add = (tick) => {
    parts.strip.append(tick);
    while (parts.strip.children.length > stripTicks) parts.strip.firstElementChild.remove();
  };
  client.on.opened(({ node }) => {
    const was = v.node;
    v.node = node;
    say(parts.state, `on node ${node}`);
    if (v.lostAt) {
      const seconds = ((performance.now() - v.lostAt) / 1000).toFixed(1);
      v.lostAt = 0;
      const before = { ...v.since };
      setTimeout(() => log(`${name} came back on node ${node} after ${seconds} s: ${count(v.recovered - before.recovered, "tick")} recovered, ${v.lost ? v.lost : "none"} lost`), 1000);
    } else if (!was) {
      log(`${name} connected to node ${node}`);
    }
  });
  client.on.state(({ name: state }) => {
    const away = state !== "open";
    parts.state.classList.toggle("away", away && v.lostAt > 0);
    if (!away) return;
    if (v.node && !v.lostAt && state !== "closed") {
      v.lostAt = performance.now();
      v.since = { received: v.received, recovered: v.recovered };
      log(`${name} lost node ${v.node}`, true);
    }
    say(parts.state, v.lostAt ? "looking for a node" : state === "closed" ? "has left" : "connecting");
  });
  client.on.visits("all", (tick) => {
    const recovered = v.node !== "" && Date.now() - Date.parse(tick.at) > lateAfter;
    v.received++;
    if (recovered) v.recovered++;
    add(el("i", { className: recovered ? "tick late" : "tick", title: `${tick.node} ${tick.n}`, data: { node: tick.node } }));
    v.show();
  });
  client.on.lost(({ from, to }) => {
    v.lost += from.e === to.e ? to.o - from.o : 1;
    add(el("i", { className: "tick lost", title: "lost" }));
    log(`${name} has lost ticks`, true);
    v.show();
  });
  if (visitors.length === 0) client.presence.visits("all", met);
  visitors.push(v);
  $("visitors").append(v.element);
  v.show();
  showButtons();
}

/** Lets the newest visitor leave; the first one stays. */
export function removeVisitor() {
  if (visitors.length < 2) return;
  const v = visitors.pop();
  v.client.close();
  v.element.remove();
  log(`${v.name} left`);
  showButtons();
}

function showButtons() {
  $("add").disabled = visitors.length >= maxVisitors;
  $("leave").disabled = visitors.length < 2;
}
