/** setTimeout takes no more for a wait than what fits into 31 bits. */
export const after = (ms, then) => setTimeout(then, Math.min(ms, 2 ** 31 - 1));
/** Timers by name. */
export function timers() {
  const all = new Map();
  const cancel = (name) => clearTimeout(all.get(name));
  return {
    cancel,
    later(name, then, ms) {
      cancel(name);
      all.set(name, after(ms, then));
    },
    cancelAll() {
      for (const name of all.keys())
        cancel(name);
      all.clear();
    },
  };
}
