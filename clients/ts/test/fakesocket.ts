// A WebSocket whose other end is the test.

export class FakeSocket {
  /** Every socket that was made and not yet taken by the test. */
  static made: FakeSocket[] = [];
  /** Sockets that are not closed. */
  static open = new Set<FakeSocket>();

  binaryType = 'blob';
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string; wasClean: boolean }) => void) | null = null;
  onerror: (() => void) | null = null;
  /** What the client sent: parsed text frames, and bytes. */
  sent: any[] = [];
  /** How the client closed: its code, 1005 if it gave none. */
  closed: number | undefined;
  url: string;
  protocols: string[];
  init: unknown;

  constructor(url: string, protocols: string[], init?: unknown) {
    this.url = url;
    this.protocols = protocols;
    this.init = init;
    FakeSocket.made.push(this);
    FakeSocket.open.add(this);
  }

  send(data: string | Uint8Array) {
    if (!FakeSocket.open.has(this)) throw new Error('sent on a closed socket');
    this.sent.push(typeof data === 'string' ? JSON.parse(data) : data);
  }

  close(code?: number) {
    this.closed = code ?? 1005;
    FakeSocket.open.delete(this);
  }

  // The server's side.

  accept() {
    this.onopen?.();
  }

  frame(frame: unknown) {
    this.text(JSON.stringify(frame));
  }

  text(text: string) {
    this.onmessage?.({ data: text });
  }

  binary(bytes: Uint8Array) {
    this.onmessage?.({ data: bytes.slice().buffer });
  }

  end(code: number, reason = '') {
    FakeSocket.open.delete(this);
    this.onclose?.({ code, reason, wasClean: code !== 1006 });
  }

  static take(): FakeSocket {
    const socket = FakeSocket.made.shift();
    if (!socket) throw new Error('the client has not connected');
    return socket;
  }

  static reset() {
    FakeSocket.made = [];
    FakeSocket.open = new Set();
  }
}
