// The nodes: what the command says of their processes, and who is there by the presence of all nodes.

import { $, el, say, log, count } from "./dom.js";
import { visitors } from "./visitors.js";

const cards = new Map(); // by name of a node
let people = new Map(); // by node: names

/** Shows who is where. `who` is undefined while only the number is told. */
export function meet({ members }) {
  people = new Map();
  for (const { id, data } of members?.values() ?? []) {
    people.set(data.node, [...(people.get(data.node) ?? []), id]);
  }
  for (const card of cards.values()) card.people();
}

/** Asks for the nodes, again and again. */
export async function watchNodes() {
  for (;;) {
    try {
      const answer = await fetch("nodes", { cache: "no-store" });
      if (!answer.ok) throw new Error(answer.statusText);
      const states = await answer.json();
      states.forEach(showNode);
      $("minority").hidden = states.filter(({ state }) => state === "up").length > 1;
      $("unreachable").hidden = true;
    } catch {
      $("unreachable").hidden = false;
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

function showNode(state) {
  let card = cards.get(state.name);
  if (!card) {
    card = newCard(state.name);
    cards.set(state.name, card);
    $("nodes").append(card.element);
  }
  card.show(state);
}

const stateWords = { up: "up", starting: "starting", down: "down" };

function newCard(name) {
  const state = el("small"), facts = el("p", { className: "facts" }), chips = el("div", { className: "chips" });
  const button = el("button", { className: "danger", textContent: `Kill node ${name}` });
  const element = el("li", { className: "node", data: { node: name, state: "starting" } }, el("h3", {}, `Node ${name}`, state), facts, chips, button);
  let last = "";
  button.addEventListener("click", async () => {
    const what = last === "down" ? "start" : "kill";
    button.disabled = true;
    try {
      const answer = await fetch(`nodes/${name}/${what}`, { method: "POST", headers: { "Cluster-Control": "page" } });
      if (!answer.ok) throw new Error(await answer.text());
    } catch (error) {
      log(`Node ${name} cannot be told to ${what}: ${error.message}`, true);
    }
    button.disabled = false;
  });
  return {
    element,
    show({ state: now, pid, since }) {
      if (last && last !== now) log({ up: `Node ${name} is up again`, starting: `Node ${name} starts`, down: `Node ${name} was killed` }[now], now === "down");
      last = now;
      element.dataset.state = now;
      say(state, stateWords[now]);
      say(facts, `${pid ? `process ${pid}, ` : ""}for ${age(since)}`);
      say(button, now === "down" ? `Start node ${name}` : `Kill node ${name}`);
      button.className = now === "down" ? "" : "danger";
      this.people();
    },
    people() {
      const here = last === "down" ? [] : people.get(name) ?? [];
      const key = JSON.stringify(here);
      if (chips.dataset.key === key && chips.firstChild) return;
      chips.dataset.key = key;
      const own = new Set(visitors.map((v) => v.name));
      chips.replaceChildren(...here.map((id) => el("span", { className: own.has(id) ? "chip own" : "chip", textContent: id, data: { node: name } })));
      if (!here.length) chips.append(el("p", { className: "none", textContent: "Nobody is here." }));
      else chips.prepend(el("span", { className: "unseen", textContent: `${count(here.length, "visitor")}: ` }));
    },
  };
}

function age(since) {
  const seconds = Math.max(0, Math.round((Date.now() - Date.parse(since)) / 1000));
  return seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}
