// Virtual time. Unlike vitest's own, a timer of 0 ms runs in the same instant,
// and the machine can sleep: then time goes by and timers stand still.
import { vi } from 'vitest';

const realTick = setImmediate;

export class Clock {
  now = 1_000_000;
  private timers = new Map<number, { at: number; run: () => void }>();
  private ids = 0;

  install() {
    vi.stubGlobal('setTimeout', (run: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) => {
      if (!(ms <= 2 ** 31 - 1)) throw new Error(`setTimeout does not wait ${ms} ms`);
      this.timers.set(++this.ids, { at: this.now + Math.max(0, ms), run: () => run(...args) });
      return this.ids;
    });
    vi.stubGlobal('clearTimeout', (id: number) => void this.timers.delete(id));
    vi.spyOn(Date, 'now').mockImplementation(() => this.now);
  }

  /** How many timers are set. */
  get count() {
    return this.timers.size;
  }

  /** Lets time go by, and everything happen that is due. */
  async pass(ms: number) {
    const end = this.now + ms;
    await tick();
    for (;;) {
      const next = [...this.timers].sort(([a, x], [b, y]) => x.at - y.at || a - b)[0];
      if (!next || next[1].at > end) break;
      this.timers.delete(next[0]);
      this.now = Math.max(this.now, next[1].at);
      next[1].run();
      await tick();
    }
    this.now = end;
  }

  /** Lets time go by while the machine sleeps. */
  sleep(ms: number) {
    this.now += ms;
    for (const timer of this.timers.values()) timer.at = Math.max(timer.at, this.now);
  }
}

/** Everything happens that needs no time. */
export const tick = () => new Promise<void>((resolve) => realTick(resolve));
