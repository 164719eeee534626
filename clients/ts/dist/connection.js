import { KanavaError } from './error.js';
import { follow } from './topic.js';
/** Connects, and connects again whenever the connection is lost, until close() or a code that says to stop. */
export function connect(spec, base, opening, options = {}) {
  const url = address(spec, base, opening);
  const scope = globalThis;
  const Socket = options.WebSocket ?? scope.WebSocket;
  if (!Socket)
    throw new TypeError('this platform has no WebSocket: pass one in the options');
  const listeners = new Map();
  const handlers = new Map();
  const topics = new Map();
  const queue = []; // not sent yet
  let state = { name: 'idle' };
  let was = []; // ids of former connections, newest first
  let failures = 0; // tries in a row, for the back-off
  let refused = 0; // 4401 in a row without an `open` between
  let denied = 0; // the same, told to authenticate
  let notBefore = 0; // the server's retryAfter
  let patient = false; // the wait is the server's advice
  let reason; // the last error that belongs to no call
  // Of one connection, and gone with it:
  let run = 0; // its number
  let socket;
  let server; // what `open` says
  let openedAt = Infinity;
  let ready = false; // authenticated
  let ids = 0;
  let running = 0; // calls without their last frame
  let recovers = 0;
  let away;
  let due = Infinity; // when silence means that it is lost
  let woken = false;
  const replies = new Map(); // without a frame: the connection is lost
  const asked = new Map(); // the server's calls, and how to end them
  const timers = new Map();
  let resolveOpened, rejectOpened;
  const opened = new Promise((resolve, reject) => {
    resolveOpened = resolve;
    rejectOpened = reject;
  });
  opened.catch(() => { });
  const now = () => Date.now();
  const fault = (code, message, unknownOutcome = false, cause) => new KanavaError(code, message, { unknownOutcome, cause });
  const told = (err) => new KanavaError(err.code, err.message, err);
  const known = (error) => error instanceof KanavaError ? error : fault('unavailable', String(error?.message ?? error), false, error);
  // setTimeout takes no more for a wait than what fits into 31 bits.
  const after = (ms, then) => setTimeout(then, Math.min(ms, 2 ** 31 - 1));
  const later = (name, then, ms) => {
    clearTimeout(timers.get(name));
    timers.set(name, after(ms, then));
  };
  const emit = (event, value, meta) => {
    const all = listeners.get(event);
    for (const entry of [...(all ?? [])]) {
      const { key, fn } = entry;
      if (all.has(entry) && (key === undefined || key === meta.key)) {
        try {
          fn(value, meta);
        }
        catch (error) {
          queueMicrotask(() => {
            throw error;
          });
        }
      }
    }
  };
  const closed = () => state.name === 'closed';
  const become = (next) => {
    state = next;
    emit(':state', state);
  };
  // --- Calls -------------------------------------------------------------
  const tooLarge = (text) => text.length * 3 > server?.max && new TextEncoder().encode(text).length > server.max && fault('too_large', 'the message is larger than the server takes');
  const send = (frame) => socket.send(JSON.stringify(frame));
  const begin = (session, by, action, input, given = {}, settled, item) => {
    const { signal, timeout = options.timeout ?? 10_000, key } = given;
    let timer;
    const call = {
      action,
      text: JSON.stringify({ do: action, by: by || undefined, in: input }).slice(1),
      key, session, id: 0, sent: 0, over: false,
      start: item && given.timeout === undefined ? () => clearTimeout(timer) : undefined,
      item: item && ((value) => call.over || item(value)),
      done(error, out) {
        if (call.over)
          return;
        call.over = true;
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        if (queue.includes(call))
          queue.splice(queue.indexOf(call), 1);
        settled(error, out);
      },
    };
    const giveUp = (code, message, cause) => {
      if (call.over)
        return;
      if (call.id)
        send({ cancel: call.id });
      call.done(fault(code, message, call.sent > 0, cause));
    };
    const abort = () => giveUp('canceled', 'the call was given up', signal.reason);
    if (signal?.aborted)
      abort();
    else if (closed())
      call.done(gone());
    else if (session && session !== run)
      call.done(fault('unavailable', 'there is no connection'));
    // The server would take such a message for a broken frame, and close.
    else if (/(^|[^\\])(\\\\)*\\ud[89a-f]/.test(call.text))
      call.done(fault('invalid_argument', 'half of a surrogate pair'));
    else {
      signal?.addEventListener('abort', abort);
      if (timeout < Infinity)
        timer = after(timeout, () => giveUp('deadline_exceeded', call.sent ? 'no answer in time' : 'it could not be sent in time'));
      queue.push(call);
      flush();
      trim();
    }
    return () => giveUp('canceled', 'the loop was left');
  };
  const transmit = (call) => {
    const id = ids + 1;
    const again = call.key !== undefined && server.keys > 0;
    if (call.sent && !(again && now() < call.sent + server.keys))
      return call.done(lost(true));
    const text = `{"id":${id},${again ? `"key":${JSON.stringify(call.key)},` : ''}${call.text}`;
    const error = tooLarge(text);
    if (error)
      return call.done(error);
    call.id = ids = id;
    call.sent ||= now();
    call.start?.();
    running++;
    replies.set(id, (f) => {
      if (!f) {
        call.id = 0;
        if (again && !call.over)
          queue.push(call);
        else
          call.done(lost(true));
      }
      else if ('item' in f) {
        call.item?.(f.item);
      }
      else {
        replies.delete(id);
        running--;
        call.id = 0;
        call.done(f.err && told(f.err), f.out);
        if (away && !running && now() >= away.at)
          leave();
        flush();
      }
    });
    socket.send(text);
  };
  const gone = () => fault('unavailable', 'the connection is closed: ' + state.reason, false, reason);
  const lost = (unknownOutcome) => fault('unavailable', 'the connection was lost', unknownOutcome, reason);
  const flush = () => {
    let call;
    while (server && !away && (call = queue.find((c) => c.session || (ready && running < server.calls)))) {
      queue.splice(queue.indexOf(call), 1);
      transmit(call);
    }
  };
  const trim = () => {
    while (!ready && queue.length > (options.queue ?? 64)) {
      const call = queue.shift();
      const error = fault('unavailable', 'too many calls wait for a connection', call.sent > 0);
      call.done(error);
      emit(':dropped', { action: call.action, error });
    }
  };
  const calls = (session) => {
    const call = (by, action, input, given) => new Promise((resolve, reject) => {
      begin(session, by, action, input, given, (error, out) => (error ? reject(error) : resolve(out)));
    });
    const send = (input, given) => call('', '', input, given);
    const stream = (by, action, input, given) => {
      const items = [];
      let end;
      const waiters = [];
      const wake = () => waiters.splice(0).forEach((go) => go());
      const finish = (error) => {
        end ??= { error };
        wake();
      };
      const cancel = begin(session, by, action, input, given, finish, (value) => {
        items.push(value);
        if (items.length > 1000) {
          finish(fault('resource_exhausted', 'the stream is faster than its reader'));
          cancel();
        }
        wake();
      });
      return {
        async next() {
          while (!items.length && !end)
            await new Promise((resolve) => waiters.push(resolve));
          if (items.length)
            return { done: false, value: items.shift() };
          const { error } = end;
          end = { error: undefined };
          if (error)
            throw error;
          return { done: true, value: undefined };
        },
        async return(value) {
          end = { error: undefined };
          items.length = 0;
          cancel();
          wake();
          return { done: true, value };
        },
        [Symbol.asyncIterator]() {
          return this;
        },
      };
    };
    return { call, send, stream };
  };
  const signIn = async () => {
    const mine = run;
    try {
      await options.authenticate(Object.assign(Object.create(api), calls(mine)));
      if (mine !== run)
        return;
      denied = 0;
      becomeReady();
    }
    catch (error) {
      if (mine !== run)
        return;
      emit(':error', known(error));
      if (ready)
        return; // the session lasts a while yet
      if (error?.retryAfter)
        notBefore = now() + error.retryAfter;
      const wrong = error?.code === 'unauthenticated';
      lose(wrong ? 4401 : 1006, 'authentication failed: ' + known(error).message, wrong && ++denied > 1);
    }
  };
  const becomeReady = () => {
    ready = true;
    flush();
  };
  // --- Frames ------------------------------------------------------------
  const deliver = (name, { data, b64 }) => {
    if (data === undefined && b64 === undefined)
      return; // only a position
    const colon = (name + ':').indexOf(':');
    emit('t:' + name.slice(0, colon), b64 === undefined ? data : bytes(b64), { topic: name, key: name.slice(colon + 1) });
  };
  const topic = (name) => {
    let t = topics.get(name);
    if (!t) {
      t = follow({
        deliver: (f) => deliver(name, f),
        lost: (from, to) => emit(':lost', { topic: name, from, to }),
        ask(from, answer) {
          if (recovers > 3)
            return false;
          recovers++;
          request({ recover: name, e: from.e, o: from.o }, (f) => {
            recovers--;
            if (topics.get(name) === t)
              answer(f);
            for (const other of topics.values())
              other.wake();
          });
          return true;
        },
        later: (then, ms) => later(t, then, ms),
      });
      topics.set(name, t);
    }
    return t;
  };
  const request = (frame, answer) => {
    const id = ++ids;
    replies.set(id, (f) => {
      replies.delete(id);
      if (f)
        answer(f);
    });
    send({ id, ...frame });
  };
  // One entry a kind of frame.
  const kinds = {
    open({ open }) {
      if (server)
        return;
      server = open;
      was = [open.id, ...was].slice(0, 8);
      openedAt = now();
      refused = 0;
      clearTimeout(timers.get('greet'));
      alive();
      check();
      if (open.keep)
        later('keep', keep, open.keep);
      become({ name: 'open', contract: open.contract });
      if (!server)
        return; // a listener closed
      if (options.authenticate)
        signIn();
      else
        becomeReady();
    },
    re(f) {
      if (f.re)
        return replies.get(f.re)?.(f);
      reason = told(f.err);
      if (reason.retryAfter)
        notBefore = now() + reason.retryAfter;
      emit(':error', reason);
    },
    push(f) {
      if (f.push)
        return emit('p:' + f.push, f.v);
      resolveOpened(f.v);
      emit(':opened', f.v);
    },
    bin: (f) => emit(':binary', bytes(f.bin)),
    sub: (f) => topic(f.sub).frame('sub', f),
    on: (f) => topic(f.on).frame('on', f),
    at: (f) => topics.get(f.at)?.frame('at', f),
    unsub(f) {
      clearTimeout(timers.get(topics.get(f.unsub)));
      topics.delete(f.unsub);
    },
    async call(f) {
      const abort = new AbortController();
      const reply = (answer) => {
        const text = JSON.stringify({ re: f.id, ...answer });
        const error = tooLarge(text);
        clearTimeout(timer);
        if (asked.get(f.id) !== stop)
          return;
        asked.delete(f.id);
        socket.send(error ? JSON.stringify({ re: f.id, err: error.wire() }) : text);
      };
      const stop = (error) => {
        reply({ err: error.wire() });
        abort.abort(error);
      };
      const limit = (ms) => setTimeout(stop, ms, fault('deadline_exceeded', 'the server waits no longer'));
      let timer = limit(f.ms);
      asked.set(f.id, stop);
      try {
        const fn = handlers.get(f.call);
        if (!fn)
          throw fault('unimplemented', 'nothing handles this call');
        const out = await fn(f.in, {
          signal: abort.signal,
          wait() {
            if (asked.get(f.id) !== stop)
              return;
            clearTimeout(timer);
            timer = limit(600_000);
            send({ re: f.id, wait: true });
          },
        });
        reply({ out: out ?? null });
      }
      catch (error) {
        reply({ err: (error instanceof KanavaError ? error : fault('internal', 'the handler failed')).wire() });
      }
    },
    cancel: (f) => asked.get(f.cancel)?.(fault('canceled', 'the server gave the call up')),
    session({ session: { expiresIn } }) {
      // Every sign-in brings this frame: a short session must not make a loop.
      if (options.authenticate)
        later('session', signIn, Math.max(expiresIn - 60_000, expiresIn / 2));
    },
    away({ away: { code, in: range } }) {
      if (!range || stops(code))
        return lose(code, reason?.message ?? (code === 4426 ? 'the server no longer takes clients as old as this one' : 'closed by the server'));
      const at = now() + spread(range[0], range[1]);
      away = { code, at, until: now() + range[1] };
      later('leave', leave, at - now());
      become({ name: 'leaving', code, next: at });
    },
  };
  const receive = (text) => {
    try {
      const frame = JSON.parse(text);
      const members = Object.keys(frame);
      const [kind, second] = members.filter((name) => Object.hasOwn(kinds, name));
      if (second)
        throw second;
      if (kind && kind !== 'away')
        reason = undefined;
      if (kind)
        kinds[kind](frame);
      else if (!members.length)
        send({});
    }
    catch (error) {
      emit(':error', fault('invalid_frame', 'the server sent a frame that makes no sense', false, error));
    }
  };
  // --- Life of a connection ----------------------------------------------
  const alive = () => {
    woken = false;
    due = server?.ping ? now() + server.ping + 10_000 : Infinity;
  };
  // Timers that are late stood still: the machine slept, and what came meanwhile is read first.
  const check = () => {
    const over = now() - due;
    if (over >= 0) {
      if (woken || over < 1000)
        return lose(4408, 'the server is silent');
      woken = true;
      due = now() + 2000;
    }
    if (due < Infinity)
      later('life', check, due - now());
  };
  const ping = () => {
    request({ ping: true }, ({ out }) => {
      for (const name in out?.at)
        topics.get(name)?.frame('at', out.at[name]);
    });
    due = Math.min(due, now() + 10_000);
    check();
  };
  const keep = () => {
    later('keep', keep, server.keep);
    ping();
  };
  const attempt = async () => {
    if (closed())
      return;
    const mine = ++run;
    clearTimeout(timers.get('retry'));
    later('greet', () => lose(1006, 'no answer'), 15_000);
    become({ name: 'connecting' });
    try {
      const { token } = options;
      const secret = typeof token === 'function' ? await token() : token;
      if (mine !== run)
        return;
      const s = (socket = new Socket(url, ['kanava.v1'], options.headers && { headers: options.headers }));
      s.binaryType = 'arraybuffer';
      s.onopen = () => {
        send({ hello: { contract: spec.contract, token: secret, was: was.length ? was : undefined } });
        become({ name: 'greeting' });
      };
      s.onmessage = ({ data }) => {
        alive();
        if (typeof data !== 'string')
          emit(':binary', new Uint8Array(data));
        else if (data)
          receive(data);
      };
      s.onclose = (e) => lose(away?.code ?? e.code, reason?.message ?? e.reason);
      s.onerror = () => { };
    }
    catch (error) {
      if (mine !== run)
        return;
      emit(':error', known(error));
      lose(1006, 'no connection');
    }
  };
  // Nothing of an old connection is ever answered on a new one.
  const drop = (code) => {
    run++;
    for (const timer of timers.values())
      clearTimeout(timer);
    timers.clear();
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close(code);
    }
    for (const t of topics.values())
      t.drop();
    socket = server = away = undefined;
    openedAt = due = Infinity;
    ready = woken = false;
    ids = running = recovers = 0;
    const waiting = queue.splice(0);
    for (const reply of [...replies.values()])
      reply();
    replies.clear();
    for (const call of waiting) {
      if (call.session)
        call.done(lost(false));
      else
        queue.push(call);
    }
    const open = [...asked.values()];
    asked.clear();
    for (const stop of open)
      stop(lost(false));
    trim();
  };
  const lose = (code, text, final = false) => {
    const advice = away?.at;
    if (now() - openedAt >= 10_000)
      failures = 0;
    drop();
    if (closed())
      return; // by who was told of the loss
    if (final || stops(code) || (code === 4401 && ++refused > 1))
      return end(code, text);
    patient = !!advice || notBefore > now();
    const next = advice ?? Math.max(now(), notBefore) + spread(0, calm() ? 20_000 : Math.min(20_000, 500 * 2 ** failures++));
    reason = undefined;
    later('retry', attempt, next - now());
    become({ name: 'waiting', code, reason: text, next });
  };
  const leave = () => {
    if (running && now() < away.until)
      later('leave', leave, away.until - now());
    else
      lose(away.code, 'the server asked to come back');
  };
  const end = (code, text) => {
    drop(1000);
    watch('removeEventListener');
    become({ name: 'closed', code, reason: text });
    const error = gone();
    rejectOpened(error);
    for (const call of [...queue])
      call.done(error);
  };
  // Whoever cannot be seen, or has no network, does not hurry.
  const calm = () => scope.document?.hidden || scope.navigator?.onLine === false;
  const wake = () => {
    if (scope.document?.hidden)
      return;
    if (server)
      ping();
    else if (state.name === 'waiting' && !patient && !calm())
      attempt();
  };
  const watch = (verb) => {
    for (const event of ['online', 'offline'])
      scope[verb]?.(event, wake);
    scope.document?.[verb]?.('visibilitychange', wake);
  };
  const api = {
    ...calls(),
    listen(kind, name, key, fn) {
      const event = kind + ':' + name;
      const entry = { key, fn };
      if (!listeners.has(event))
        listeners.set(event, new Set());
      listeners.get(event).add(entry);
      return () => void listeners.get(event).delete(entry);
    },
    handler(name, fn) {
      handlers.set(name, fn);
      return () => void (handlers.get(name) === fn && handlers.delete(name));
    },
    sendBinary(data) {
      if (!server)
        throw fault('unavailable', 'there is no connection');
      if (data.length > server.max)
        throw fault('too_large', 'the message is larger than the server takes');
      socket.send(data);
    },
    close: () => void (closed() || end(1000, 'closed')),
    opened,
    get state() {
      return state;
    },
  };
  watch('addEventListener');
  queueMicrotask(attempt);
  return api;
}
/** The codes after which a client stays away. */
function stops(code) {
  return code >= 4400 && code < 4500 ? ![4401, 4408, 4409, 4429].includes(code)
    : [1000, 1002, 1003, 1007, 1008, 1009, 1010].includes(code) || (code >= 4000 && code < 4200);
}
function spread(from, to) {
  return from + Math.random() * (to - from);
}
function bytes(base64) {
  return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
}
function address(spec, base, opening) {
  const path = spec.path.replace(/\{([^{}.]+)(\.\.\.)?\}/g, (_, name, rest) => {
    const text = encodeURIComponent(opening[name]);
    return rest ? text.replaceAll('%2F', '/') : text;
  });
  const query = (spec.query ?? []).flatMap((name) => [opening[name] ?? []].flat().map((value) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`));
  const root = base ?? String(globalThis.location?.origin);
  if (!/^(http|ws)s?:\/\/[^/?#]+[^?#]*$/i.test(root))
    throw new TypeError('the address of the server is http(s)://HOST, not ' + root);
  const url = root.replace(/^http/i, 'ws').replace(/\/$/, '') + path;
  return new URL(query.length ? `${url}?${query.join('&')}` : url).href;
}
