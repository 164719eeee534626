/** setTimeout takes no more for a wait than what fits into 31 bits. */
export const after = (ms: number, then: () => void) => setTimeout(then, Math.min(ms, 2 ** 31 - 1));

/** Timers by name. */
export function timers() {
  const all = new Map<unknown, any>();
  return {
    later(name: unknown, then: () => void, ms: number) {
      clearTimeout(all.get(name));
      all.set(name, after(ms, then));
    },
    cancelAll() {
      for (const timer of all.values()) clearTimeout(timer);
      all.clear();
    },
  };
}
