import { lostError, tooLarge } from './core.js';
import { KanavaError, fault } from './error.js';
/** Answers the server's calls. Returns what names their handlers. */
export function answers(core) {
  const handlers = new Map();
  const open = new Map(); // calls, and how to end them
  core.kinds['call'] = async (f) => {
    const abort = new AbortController();
    const reply = (answer) => {
      const frame = { re: f.id, ...answer };
      const error = tooLarge(core, JSON.stringify(frame));
      clearTimeout(timer);
      if (open.get(f.id) !== stop)
        return;
      open.delete(f.id);
      core.send(error ? { re: f.id, err: error.wire() } : frame);
    };
    const stop = (error) => {
      reply({ err: error.wire() });
      abort.abort(error);
    };
    const limit = (ms) => setTimeout(stop, ms, fault('deadline_exceeded', 'the server waits no longer'));
    let timer = limit(f.ms);
    open.set(f.id, stop);
    try {
      const fn = handlers.get(f.call);
      if (!fn)
        throw fault('unimplemented', 'nothing handles this call');
      const out = await fn(f.in, {
        signal: abort.signal,
        wait() {
          if (open.get(f.id) !== stop)
            return;
          clearTimeout(timer);
          timer = limit(600_000);
          core.send({ re: f.id, wait: true });
        },
      });
      reply({ out: out ?? null });
    }
    catch (error) {
      reply({ err: (error instanceof KanavaError ? error : fault('internal', 'the handler failed')).wire() });
    }
  };
  core.kinds['cancel'] = (f) => open.get(f.cancel)?.(fault('canceled', 'the server gave the call up'));
  core.drops.push(() => {
    const stops = [...open.values()];
    open.clear();
    for (const stop of stops)
      stop(lostError(core));
  });
  return (name, fn) => {
    handlers.set(name, fn);
    return () => void (handlers.get(name) === fn && handlers.delete(name));
  };
}
