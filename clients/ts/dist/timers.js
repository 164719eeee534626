/** setTimeout takes no more for a wait than what fits into 31 bits. */
export const after = (ms, then) => setTimeout(then, Math.min(ms, 2 ** 31 - 1));
/** Timers by name. */
export function timers() {
  const all = new Map();
  return {
    later(name, then, ms) {
      clearTimeout(all.get(name));
      all.set(name, after(ms, then));
    },
    cancelAll() {
      for (const timer of all.values())
        clearTimeout(timer);
      all.clear();
    },
  };
}
