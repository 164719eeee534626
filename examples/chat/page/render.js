// The parts of the page that follow the session, the connection and the room in sight.

const parts = [];

/** Adds a function that makes one part of the page show how things are now. */
export function shows(part) { parts.push(part); }

/** Shows all parts; whoever changes the session, the connection or the room calls it. */
export function render() { for (const part of parts) part(); }
