// A client on a scripted connection and in virtual time, for tests that vectors cannot say.
import { vi } from 'vitest';
import { connect, type KanavaConnection } from '../src/connection.js';
import type { KanavaOptions } from '../src/options.js';
import { Clock } from './clock.js';
import { FakeHTTP } from './fakehttp.js';
import { FakeSocket } from './fakesocket.js';

export const greeting = { id: 'c1', max: 65536, calls: 32, ping: 25_000, keep: 0, keys: 0, has: [] };

export class Harness {
  clock = new Clock();
  chat!: KanavaConnection;
  socket!: FakeSocket;
  stream!: FakeHTTP;
  window = new Listeners();
  document = Object.assign(new Listeners(), { hidden: false });
  navigator = { onLine: true };

  constructor() {
    FakeSocket.reset();
    FakeHTTP.install();
    this.clock.install();
    vi.stubGlobal('addEventListener', this.window.addEventListener);
    vi.stubGlobal('removeEventListener', this.window.removeEventListener);
    vi.stubGlobal('document', this.document);
    vi.stubGlobal('navigator', this.navigator);
    vi.stubGlobal('WebSocket', FakeSocket);
  }

  async connect(options: KanavaOptions = {}) {
    this.chat = connect({ path: '/c' }, 'ws://server.test', {}, { transport: 'websocket', ...options });
    await this.clock.pass(0);
    return this.chat;
  }

  /** The server accepts the connection and greets. */
  async greet(open: object = {}) {
    this.socket = FakeSocket.take();
    this.socket.accept();
    this.socket.sent.shift();
    this.socket.frame({ open: { ...greeting, ...open } });
    this.socket.frame({ push: '' });
    await this.clock.pass(0);
  }

  /** The same by server-sent events. */
  async greetStream(open: object = {}) {
    this.stream = FakeHTTP.take();
    this.stream.accept();
    this.stream.sent.shift();
    this.stream.frame({ open: { ...greeting, ...open } });
    this.stream.frame({ push: '' });
    await this.clock.pass(0);
  }

  /** A connection ends, and the next one is there. */
  async reconnect(code = 1006) {
    this.socket.end(code);
    await this.clock.pass(this.chat.state.next! - this.clock.now);
    await this.greet();
  }

  /** What keeps a client alive after it should not. */
  get left() {
    return { timers: this.clock.count, sockets: FakeSocket.open.size + FakeHTTP.open.size, listeners: this.window.count + this.document.count };
  }

  end() {
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
  }
}

class Listeners {
  private all: [string, () => void][] = [];

  addEventListener = (event: string, listener: () => void) => void this.all.push([event, listener]);

  removeEventListener = (event: string, listener: () => void) => {
    this.all = this.all.filter(([e, l]) => e !== event || l !== listener);
  };

  get count() {
    return this.all.length;
  }

  fire(event: string) {
    for (const [e, listener] of [...this.all]) if (e === event) listener();
  }
}
