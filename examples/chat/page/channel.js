// One connection to a Kanava channel in the plain form of the protocol: every text frame is
// one JSON value. This file knows nothing of the page; chat.js knows nothing of sockets.

const backoff = { first: 500, most: 20_000, reset: 10_000 }; // ms
const patience = 15_000; // ms of silence while an answer is due

/** An error a call ended with: the server's, or `unknown` when no answer came. */
export class CallError extends Error {
  constructor({ code, message, details = [] }, unknown = false) {
    super(message);
    this.code = code;
    this.details = details; // [{pointer: "/message", message: "..."}]
    this.unknown = unknown; // sent, and the connection ended before the answer
  }
}

/**
 * Channel keeps a connection open and opens it again when it is lost. It queues nothing: a
 * call without a connection fails at once. The handlers it is given:
 *
 *   state({name, code, reason, at})  name is connecting, online, waiting (until `at`) or stopped
 *   event(topic, data)               something was published to a topic
 *   value(v)                         a value that answers no call, such as OnConnect's result
 *   fault(error)                     an error that belongs to no call
 */
export class Channel {
  #url; #on; #socket; #timer; #silence; #openedAt = 0; #failures = 0; #waiting = [];

  constructor(url, handlers) {
    this.#url = url;
    this.#on = handlers;
  }

  get online() { return this.#socket?.readyState === WebSocket.OPEN; }

  /** Connects now; also the way to cut a wait short. */
  connect() {
    this.#drop();
    this.#on.state({ name: "connecting" });
    const socket = this.#socket = new WebSocket(this.#url);
    socket.onopen = () => {
      this.#openedAt = Date.now();
      this.#on.state({ name: "online" });
    };
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") this.#receive(JSON.parse(data));
    };
    socket.onclose = ({ code, reason }) => this.#lost(code, reason);
  }

  /** Ends the connection for good. */
  close() { this.#drop(); }

  /**
   * Calls an action and waits for its answer. What a stream sends before its end goes to
   * onItem; items carry no id, so run one stream at a time.
   */
  call(action, data = {}, onItem = null) {
    if (!this.online) {
      return Promise.reject(new CallError({ code: "unavailable", message: "There is no connection." }));
    }
    return new Promise((resolve, reject) => {
      this.#socket.send(JSON.stringify({ ...data, action }));
      this.#waiting.push({ action, onItem, resolve, reject });
      this.#expectAnswer();
    });
  }

  #receive(frame) {
    const { action, error, ...rest } = frame ?? {};
    if (typeof action === "string") {
      // Replies carry no id, but those of one action come in the order of its calls.
      const i = this.#waiting.findIndex((call) => call.action === action);
      const [call] = i < 0 ? [] : this.#waiting.splice(i, 1);
      if (error) call ? call.reject(new CallError(error)) : this.#on.fault(new CallError(error));
      else call?.resolve(rest);
    } else if (typeof rest.topic === "string" && "data" in rest) {
      this.#on.event(rest.topic, rest.data);
    } else if (typeof error?.code === "string") {
      this.#on.fault(new CallError(error));
    } else {
      const stream = this.#waiting.find((call) => call.onItem);
      stream ? stream.onItem(frame) : this.#on.value(frame);
    }
    this.#expectAnswer();
  }

  // A call given up alone would leave its late reply to the next call of the same action, so
  // silence gives up the connection.
  #expectAnswer() {
    clearTimeout(this.#silence);
    if (this.#waiting.length > 0) this.#silence = setTimeout(() => this.#lost(1006, "no answer"), patience);
  }

  #lost(code, reason) {
    const opened = this.#openedAt;
    if (opened && Date.now() - opened > backoff.reset) this.#failures = 0;
    this.#drop();
    if (isFinal(code)) return this.#on.state({ name: "stopped", code, reason, opened: opened > 0 });

    const range = /(\d+)-(\d+)$/.exec(reason); // "draining 0-5000": the server spreads its clients
    const [from, to] = range ? [Number(range[1]), Number(range[2])]
      : [0, Math.min(backoff.most, backoff.first * 2 ** this.#failures)];
    const wait = from + Math.random() * (to - from);
    this.#failures++;
    this.#timer = setTimeout(() => this.connect(), wait);
    this.#on.state({ name: "waiting", code, reason, opened: opened > 0, at: Date.now() + wait });
  }

  // Nothing of an old connection is ever answered on a new one.
  #drop() {
    clearTimeout(this.#timer);
    clearTimeout(this.#silence);
    if (this.#socket) {
      this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
      this.#socket.close();
    }
    this.#socket = null;
    this.#openedAt = 0;
    for (const call of this.#waiting.splice(0)) {
      call.reject(new CallError({ code: "unavailable", message: "The connection was lost before the answer came." }, true));
    }
  }
}

/** Says whether a close code tells the client to stay away. */
function isFinal(code) {
  if (code >= 4400 && code < 4500) return ![4408, 4409, 4429].includes(code);
  return code === 1000 || code === 1002 || code === 1003 || (code >= 1007 && code <= 1010) || (code >= 4000 && code < 4200);
}
