// The page: all jobs, as the channel tells of them, and one of them in three ways.

import { connectJobs, KanavaError } from "./kanava.js";
import { wires } from "./wires.js";

const $ = (id) => document.getElementById(id);

/** Makes an element. Text is only ever set as text. */
function el(tag, props = {}, ...children) {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children);
  return node;
}

const all = new Map(); // what is known of each job, by id
const live = connectJobs();
let one; // the id of the job in sight
let watching; // ends the wires of the job in sight

// ---- The channel ----

const words = { open: "Live", waiting: "Reconnecting", closed: "Not connected" };
live.on.state(({ name }) => {
  document.body.dataset.connection = name;
  $("state-text").textContent = words[name] ?? "Connecting";
});
// The newest state of each job comes after each connect: what it does not name, a server that restarted has forgotten.
live.on.opened(() => {
  all.clear();
  render();
  if (one) watch(one);
});
live.on.jobs("all", (job) => {
  if (job.state === "gone") all.delete(job.id);
  else all.set(job.id, job);
  render();
});
live.on.error(() => {}); // what went wrong is said where it was asked for

// ---- What is shown ----

function stateOf({ state, percent, step }) {
  return { running: `${step}, ${percent} %`, done: "Done", canceled: `Canceled at ${percent} %` }[state];
}

const rows = new Map(); // of the list, by id: they stay, so that focus and movement do

function row(id) {
  const name = el("b"), state = el("span"), percent = el("progress", { max: 100 });
  const button = el("button", { type: "button", onclick: () => look(id) }, name, state, percent);
  percent.setAttribute("aria-hidden", "true");
  return { node: el("li", {}, button), button, name, state, percent };
}

function render() {
  for (const [id, { node }] of rows) {
    if (all.has(id)) continue;
    node.remove();
    rows.delete(id);
  }
  for (const job of all.values()) {
    let r = rows.get(job.id);
    if (!r) {
      rows.set(job.id, r = row(job.id));
      const next = [...$("jobs").children].find((other) => Number(other.dataset.id) < Number(job.id));
      r.node.dataset.id = job.id;
      $("jobs").insertBefore(r.node, next ?? null);
    }
    r.node.className = job.state;
    r.name.replaceChildren(job.name, el("small", { textContent: `#${job.id}` }));
    r.state.textContent = stateOf(job);
    r.percent.value = job.percent;
    if (job.id === one) r.button.setAttribute("aria-current", "true");
    else r.button.removeAttribute("aria-current");
  }
  $("none").hidden = all.size > 0;
  const job = all.get(one);
  if (!job) return;
  $("one-title").textContent = job.name;
  $("one-state").textContent = stateOf(job);
  $("one-state").dataset.state = job.state;
  $("one-percent").value = job.percent;
  $("one").className = job.state;
  $("cancel").hidden = job.state !== "running";
}

// ---- One job ----

function look(id) {
  one = id;
  $("one").hidden = false;
  showCommands(id);
  render();
  watch(id);
}

function watch(id) {
  watching?.abort();
  watching = new AbortController();
  const { signal } = watching;
  $("wires").replaceChildren(...wires.map(({ name, how, watch: over }) => {
    const state = el("span", { textContent: "Connecting" });
    const last = el("code", { className: "last" });
    const node = el("li", {}, el("b", { textContent: name }), state, el("code", { className: "how", textContent: how }), last);
    node.dataset.wire = name;
    let count = 0;
    const show = (job) => {
      if (signal.aborted) return;
      count++;
      state.textContent = `${count} ${count === 1 ? "update" : "updates"}`;
      last.textContent = JSON.stringify(job);
    };
    over(id, show, { channel: live, signal }).then(() => {
      node.className = "over";
      state.textContent += ", over";
    }, ({ message }) => {
      node.className = "broken";
      state.textContent = message;
    });
    return node;
  }));
}

function showCommands(id) {
  const commands = [
    `curl -N ${location.origin}/jobs/${id}/events`,
    `curl ${location.origin}/jobs/${id}`,
    `curl -X DELETE ${location.origin}/jobs/${id}`,
    `curl ${location.origin}/jobs -H 'Content-Type: application/json' -d '{"name":"import"}'`,
  ];
  $("commands").replaceChildren(...commands.map((command) => {
    const copy = el("button", { type: "button", textContent: "Copy", ariaLabel: `Copy ${command}` });
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(command).then(() => { copy.textContent = "Copied"; }, () => { copy.textContent = "Select it"; });
      setTimeout(() => { copy.textContent = "Copy"; }, 1500);
    });
    return el("li", {}, el("code", { textContent: command }), copy);
  }));
}

$("cancel").addEventListener("click", () => live.cancel({ id: one }).catch(showFault));

// ---- Starting ----

async function startOver(way, input) {
  if (way === "channel") return live.start(input);
  const response = await fetch("/jobs", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(input), signal: AbortSignal.timeout(10_000),
  }).catch(() => { throw new KanavaError("unavailable", "the server cannot be reached"); });
  const body = await response.json();
  if (!response.ok) throw body.error;
  return body;
}

/** Shows the error of a call; both ways have the same. */
function showFault({ message, details = [] }) {
  for (const { pointer } of details) $(pointer.slice(1))?.setAttribute("aria-invalid", "true");
  const text = details.map((each) => `${each.pointer.slice(1)} ${each.message}`).join("; ") || message;
  $("fault").textContent = text[0].toUpperCase() + text.slice(1);
  $("fault").hidden = false;
}

$("start").addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = $("start").querySelector("button");
  if (button.disabled) return;
  for (const input of [$("name"), $("seconds")]) input.removeAttribute("aria-invalid");
  $("fault").hidden = true;
  button.disabled = true;
  try {
    const { name, seconds, over } = Object.fromEntries(new FormData($("start")));
    const job = await startOver(over, { name: name.trim(), ...(seconds && { seconds: Number(seconds) }) });
    if (!all.has(job.id)) all.set(job.id, job);
    look(job.id);
  } catch (error) {
    showFault(error);
  } finally {
    button.disabled = false;
  }
});
