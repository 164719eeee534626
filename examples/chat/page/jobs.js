// Jobs: a stream of steps and a result.

import { $, el, speak } from "./dom.js";
import { render, shows } from "./render.js";
import { dialog } from "./forms.js";
import { session } from "./session.js";
import { room } from "./rooms.js";
import { chat, online } from "./connection.js";
import { reasonOf } from "./messages.js";

let running = false;

/** Runs a job; its card appears with its first step, so what was refused stays in the form. */
async function runJob(jobId, started) {
  const here = room;
  let card;
  running = true;
  render();
  try {
    for await (const update of chat.process({ jobId })) {
      if (!card) {
        started();
        card = new JobCard(jobId);
        here.add(card.node, { own: true });
      }
      if (update.type === "processing") card.step(update.step);
      if (update.type === "complete") card.complete(update.result);
    }
    if (!card) started();
    card?.end();
  } catch (error) {
    if (!card) throw error;
    if (error.unknownOutcome) card.fail("Outcome unknown", "The connection was lost before the job ended.");
    else card.fail("Failed", reasonOf(error));
  } finally {
    running = false;
    render();
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

const openJob = dialog("job", ({ jobId }, close) => runJob(jobId.trim(), close));

$("open-job").addEventListener("click", () => {
  $("job-id").value = `report-${1 + document.querySelectorAll(".job").length}`;
  openJob();
  $("job-id").select();
});

shows(() => {
  $("open-job").disabled = !online() || !session.confirmed || running;
  $("open-job").title = running ? "One job runs at a time" : "";
});
