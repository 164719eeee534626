/** setTimeout takes no more for a wait than what fits into 31 bits. */
export const after = (ms: number, then: () => void) => setTimeout(then, Math.min(ms, 2 ** 31 - 1));

/** Timers by name. */
export function timers() {
  const all = new Map<unknown, any>();
  const cancel = (name: unknown) => clearTimeout(all.get(name));
  return {
    cancel,
    later(name: unknown, then: () => void, ms: number) {
      cancel(name);
      all.set(name, after(ms, then));
    },
    cancelAll() {
      for (const name of all.keys()) cancel(name);
      all.clear();
    },
  };
}
