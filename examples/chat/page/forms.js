// Faults at the fields of a form, and forms in dialogs.

import { KanavaError } from "./kanava.js";
import { $ } from "./dom.js";

/** Shows an error at the fields its details point to, and the rest of it below them. */
export function showFaults(form, error = null) {
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

/** Wires a dialog: `submit(values, close)` may throw a KanavaError, which is shown in its form. */
export function dialog(id, submit) {
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
      if (!(error instanceof KanavaError)) throw error;
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

