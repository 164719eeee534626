// What the other files share to change the document. All text goes in as text.

/** The element with this id. */
export const $ = (id) => document.getElementById(id);

/** A new element. */
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "data") Object.assign(made.dataset, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

/** Sets the text of an element, if it is another one. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Adds a line to the log. */
export function log(text, bad = false) {
  const now = new Date();
  $("log").prepend(el("li", { className: bad ? "bad" : "" }, el("time", { dateTime: now.toISOString(), textContent: now.toLocaleTimeString() }), el("span", { textContent: text })));
  while ($("log").children.length > 200) $("log").lastElementChild.remove();
}

/** A number of things, in words. */
export const count = (n, one, more = one + "s") => `${n} ${n === 1 ? one : more}`;
