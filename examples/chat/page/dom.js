// Elements, and words for numbers and times.

export const $ = (id) => document.getElementById(id);

/** The length of a text in characters, as the server counts them. */
export const length = (text) => [...text].length;

/** Makes an element. Text is only ever set as text, so nothing a person writes becomes markup. */
export function el(tag, props = {}, ...children) {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children);
  return node;
}

/** Sets a text only if it differs, so that nothing flickers or loses a selection. */
export function set(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Tells people who listen rather than look. */
export function speak(text) { $("spoken").textContent = text; }

export function mark() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", "#mark");
  svg.classList.add("mark");
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

export function monogram(name = "") { return [...name][0]?.toUpperCase() ?? ""; }

export function timeOf(ms) { return new Date(ms).toLocaleTimeString([], { timeStyle: "short" }); }

export function dayOf(ms) {
  const day = new Date(ms).toDateString();
  if (day === new Date().toDateString()) return "Today";
  if (day === new Date(Date.now() - 86_400_000).toDateString()) return "Yesterday";
  return new Date(ms).toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" });
}

export function duration(ms) {
  const seconds = Math.max(1, Math.round(ms / 1000));
  return seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}

export function messages(n) { return n === 1 ? "1 message" : `${n} messages`; }
