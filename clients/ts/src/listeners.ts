type KanavaListener = (value: any, meta: any) => void;

/** Whom a client tells what: "t:room" are events of a topic, "p:notice" are pushes, ":state" is what it says of itself. */
export function listeners() {
  const all = new Set<{ event: string; key: string | undefined; fn: KanavaListener }>();
  return {
    listen(event: string, key: string | undefined, fn: KanavaListener) {
      const entry = { event, key, fn };
      all.add(entry);
      return () => void all.delete(entry);
    },
    emit(event: string, value: any, meta: any = {}) {
      for (const entry of [...all]) {
        if (entry.event === event && all.has(entry) && (entry.key ?? meta.key) === meta.key) {
          try {
            entry.fn(value, meta);
          } catch (error) {
            queueMicrotask(() => {
              throw error;
            });
          }
        }
      }
    },
  };
}
