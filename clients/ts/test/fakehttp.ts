// HTTP whose other end is the test: connections by server-sent events, as FakeSocket is one by WebSocket.
import { vi } from 'vitest';

type Init = { method: string; headers: Record<string, string>; body: string; signal: AbortSignal; redirect: string };

export class FakeHTTP {
  /** Every connection that was asked for and not yet taken by the test. */
  static made: FakeHTTP[] = [];
  /** Connections that are not closed. */
  static open = new Set<FakeHTTP>();
  /** POSTs that were not answered, where `holds` is set. */
  static held: { lines: string[]; init: Init; answer(response: Response): void }[] = [];
  static holds = false;

  static install() {
    FakeHTTP.made = [];
    FakeHTTP.open = new Set();
    FakeHTTP.held = [];
    FakeHTTP.holds = false;
    vi.stubGlobal('fetch', (url: string, init: Init) => {
      if (init.method !== 'POST' || init.redirect !== 'error' || init.headers['Content-Type'] !== 'application/json') throw new Error('no such request');
      const { promise, resolve, reject } = deferred<Response>();
      init.signal.addEventListener('abort', () => reject(init.signal.reason));
      if (init.signal.aborted) reject(init.signal.reason);
      else if (init.headers['Kanava-Protocol']) new FakeHTTP(url, init, resolve, reject);
      else FakeHTTP.say(init, resolve);
      return promise;
    });
  }

  private static say(init: Init, resolve: (response: Response) => void) {
    const connection = [...FakeHTTP.open].find(({ up }) => up === init.headers['Kanava-Up']);
    if (!connection) return resolve(new Response(null, { status: 404 }));
    const lines = init.body.replace(/\n$/, '').split('\n');
    const answer = (response: Response) => {
      if (response.status === 204) connection.take(lines, Number(init.headers['Kanava-Seq']));
      resolve(response);
    };
    if (FakeHTTP.holds) FakeHTTP.held.push({ lines, init, answer });
    else answer(new Response(null, { status: 204 }));
  }

  url: string;
  init: Init;
  protocols: string[];
  /** What the client sent: parsed text frames, and bytes. */
  sent: any[] = [];
  closed: number | undefined;
  up: string | undefined;
  seq = 0;
  private accepted = false;
  private left = false; // the client was told how it ends
  private controller!: ReadableStreamDefaultController;
  private readonly resolve: (response: Response) => void;
  private readonly reject: (error: unknown) => void;

  constructor(url: string, init: Init, resolve: (response: Response) => void, reject: (error: unknown) => void) {
    this.url = url;
    this.init = init;
    this.resolve = resolve;
    this.reject = reject;
    this.protocols = init.headers['Kanava-Protocol']!.split(', ');
    FakeHTTP.made.push(this);
    FakeHTTP.open.add(this);
    init.signal.addEventListener('abort', () => {
      this.closed ??= 1005;
      FakeHTTP.open.delete(this);
      try {
        this.controller?.error(init.signal.reason);
      } catch {
        // it has ended already
      }
    });
  }

  private take(lines: string[], n: number) {
    if (n !== this.seq && n !== this.seq + 1) throw new Error(`POST ${n} follows ${this.seq}`);
    if (n === this.seq) return; // taken before
    this.seq = n;
    for (const line of lines) {
      const frame = JSON.parse(line);
      this.sent.push('bin' in frame ? Uint8Array.from(Buffer.from(frame.bin, 'base64')) : frame);
    }
  }

  // The server's side.

  accept(type = 'text/event-stream') {
    this.sent.push(JSON.parse(this.init.body));
    this.begin(type);
  }

  private begin(type = 'text/event-stream') {
    this.accepted = true;
    const body = new ReadableStream({ start: (controller) => void (this.controller = controller) });
    this.resolve(new Response(body, { status: 200, headers: { 'Content-Type': type } }));
  }

  /** Answers something else than a stream. */
  refuse(status: number, body?: unknown, headers: Record<string, string> = {}) {
    FakeHTTP.open.delete(this);
    this.resolve(new Response(body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body), { status, headers }));
  }

  frame(frame: any) {
    this.left ||= !!frame?.away;
    if (frame?.open) this.up = frame.open.up ??= 'node.secret' + frame.open.id;
    this.text(JSON.stringify(frame));
  }

  text(text: string) {
    this.raw(text ? text.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`).join('') + '\n' : ':\n\n');
  }

  raw(text: string | Uint8Array) {
    if (this.closed === undefined) this.controller.enqueue(typeof text === 'string' ? new TextEncoder().encode(text) : text);
  }

  binary(bytes: Uint8Array) {
    this.frame({ bin: Buffer.from(bytes).toString('base64') });
  }

  /** Ends as a server does that wants to tell this code. */
  end(code: number) {
    if (code !== 1006 && !this.left) {
      if (!this.accepted) this.begin();
      this.frame({ away: { code } });
    }
    FakeHTTP.open.delete(this);
    if (!this.accepted) this.reject(new TypeError('fetch failed'));
    else if (this.closed === undefined) this.controller.close();
  }

  static take(): FakeHTTP {
    const connection = FakeHTTP.made.shift();
    if (!connection) throw new Error('the client has not connected');
    return connection;
  }
}

function deferred<T>() {
  let resolve!: (value: T) => void, reject!: (error: unknown) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
