type KanavaListener = (value: any, meta: any) => void;

/** Whom a client tells what: "t:room" are events of a topic, "p:notice" are pushes, ":state" is what it says of itself. */
export function listeners() {
  const all = new Map<string, Set<{ key: string | undefined; fn: KanavaListener }>>();
  return {
    listen(event: string, key: string | undefined, fn: KanavaListener) {
      const entry = { key, fn };
      if (!all.has(event)) all.set(event, new Set());
      all.get(event)!.add(entry);
      return () => void all.get(event)!.delete(entry);
    },
    emit(event: string, value: any, meta?: any) {
      const set = all.get(event);
      for (const entry of [...(set ?? [])]) {
        const { key, fn } = entry;
        if (set!.has(entry) && (key === undefined || key === meta.key)) {
          try {
            fn(value, meta);
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
