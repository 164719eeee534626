import type { KanavaCore } from './core.js';
import { fault } from './error.js';

const most = 2 ** 22; // characters that wait, of a program that sends bytes without a pause; twice of it in all

/** What a client says by HTTP: one POST at a time, the same again until the server has taken it (rule P21). */
export function upstream(
  core: KanavaCore,
  post: (body: string, fields: Record<string, string>, signal: AbortSignal) => Promise<Response>,
  lost: (reason: string) => void,
) {
  const lines: string[] = [];
  let waiting = 0; // characters in lines
  let busy = false;
  let seq = 0;
  let abort = new AbortController(); // of the POST in flight
  let over = false;

  /** The next lines that go together: their sizes in UTF-8 are at most three times their lengths. */
  const batch = () => {
    const limit = Math.max(2 ** 16, core.server.max);
    let size = lines[0]!.length * 3;
    let n = 1;
    while (n < Math.min(lines.length, 128) && (size += lines[n]!.length * 3 + 1) <= limit) n++;
    const body = lines.splice(0, n).join('\n');
    waiting -= body.length + 1;
    return body;
  };

  /** Sends the same until it is taken. */
  const deliver = async (body: string, n: string) => {
    for (let pause = 1000; !over; pause = Math.min(pause * 1.5, 5000)) {
      abort = new AbortController();
      core.later('post', () => abort.abort(), 20_000);
      const response = await post(body, { 'Kanava-Up': core.server.up, 'Kanava-Seq': n }, abort.signal).catch(() => {});
      abort.abort(); // of what it said, nobody reads more
      if (over || response?.status === 204) return;
      if (response && ![429, 502, 503, 504].includes(response.status)) return lost('the server answered with ' + response.status);
      const seconds = Number(response?.headers.get('Retry-After'));
      await new Promise<void>((go) => core.later('post', go, seconds >= 1 ? seconds * 1000 : pause));
    }
  };

  return {
    async send(line: string) {
      waiting += line.length + 1;
      if (waiting > 2 * most) return lost('too much waits to be sent');
      lines.push(line);
      if (busy) return;
      busy = true;
      await undefined; // what is said at the same time goes together
      while (!over && lines[0]) await deliver(batch(), String(++seq));
      busy = false;
    },
    /** Bytes as the text by which they travel. */
    pack(bytes: Uint8Array) {
      if (waiting > most) throw fault('resource_exhausted', 'too much waits to be sent');
      let text = '';
      for (const byte of bytes) text += String.fromCharCode(byte);
      return JSON.stringify({ bin: btoa(text) });
    },
    close() {
      over = true;
      abort.abort();
    },
  };
}
