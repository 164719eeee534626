import { isClosed, lostError, tooLarge, type KanavaCore } from './core.js';
import { fault, told, type KanavaError, type KanavaErrorCode } from './error.js';
import type { KanavaCallOptions } from './options.js';
import { after } from './timers.js';

interface KanavaCall {
  action: string | undefined;
  text: string; // its frame, without id and key
  key: string | undefined;
  session: number | undefined; // belongs to authenticate, on the connection of this number
  id: number; // 0: not sent on this connection
  sent: number; // when it was sent first; 0: never
  over: boolean;
  start?: (() => void) | undefined;
  item?: ((value: any) => void) | undefined;
  done(error?: KanavaError, out?: unknown): void;
}

/** A frame that has an answer, as it goes over the wire, but for its id. */
export interface KanavaAsk { do?: string; by?: string; in?: unknown; presence?: string; after?: string | undefined }

/** Makes a call, and returns what gives it up. */
export type KanavaBegin = (
  session: number | undefined, resolve: (out: any) => void, reject: (error: KanavaError) => void, item: ((value: any) => void) | undefined,
  frame: KanavaAsk, given?: KanavaCallOptions,
) => () => void;

/** Calls: they wait, are sent, and are answered; and other frames that have an answer. */
export function calls(core: KanavaCore) {
  const { options } = core;
  const queue = new Set<KanavaCall>(); // not sent yet
  const replies = new Map<number, (frame?: any) => void>(); // without a frame: the connection is lost
  let ids = 0;

  const begin: KanavaBegin = (session, resolve, reject, item, frame, given = {}) => {
    const { signal, timeout = options.timeout ?? 10_000, key } = given;
    let timer: any;
    const call: KanavaCall = {
      action: frame.do,
      text: JSON.stringify(frame).slice(1),
      key, session, id: 0, sent: 0, over: false,
      start: item && given.timeout === undefined ? () => clearTimeout(timer) : undefined,
      item: item && ((value) => call.over || item(value)),
      done(error, out) {
        if (call.over) return;
        call.over = true;
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        queue.delete(call);
        if (error) reject(error);
        else resolve(out);
      },
    };
    const giveUp = (code: KanavaErrorCode, message: string, cause?: unknown) => {
      if (call.over) return;
      if (call.id) core.send({ cancel: call.id });
      call.done(fault(code, message, call.sent > 0, cause));
    };
    const abort = () => giveUp('canceled', 'the call was given up', signal?.reason);

    if (signal?.aborted) abort();
    else if (session && session !== core.run) call.done(lostError(core));
    // The server would take such a message for a broken frame, and close.
    else if (/(^|[^\\])(\\\\)*\\ud[89a-f]/.test(call.text)) call.done(fault('invalid_argument', 'half of a surrogate pair'));
    else {
      signal?.addEventListener('abort', abort);
      if (timeout < Infinity) timer = after(timeout, () => giveUp('deadline_exceeded', call.sent ? 'no answer in time' : 'it could not be sent in time'));
      queue.add(call);
      core.flush();
      trim();
    }
    return abort;
  };

  const transmit = (call: KanavaCall) => {
    const id = ids + 1;
    const { keys } = core.server;
    const again = call.key !== undefined && keys > 0;
    if (call.sent && !(again && Date.now() < call.sent + keys)) return call.done(lostError(core, true));
    const text = `{"id":${id},${again ? `"key":${JSON.stringify(call.key)},` : ''}${call.text}`;
    const error = tooLarge(core, text);
    if (error) return call.done(error);
    call.id = ids = id;
    call.sent ||= Date.now();
    call.start?.();
    core.running++;
    replies.set(id, (f) => {
      if (!f) {
        call.id = 0;
        if (again && !call.over) queue.add(call);
        else call.done(lostError(core, true));
      } else if ('item' in f) {
        call.item?.(f.item);
      } else {
        replies.delete(id);
        core.running--;
        call.id = 0;
        call.done(f.err && told(f.err), f.out);
        core.leave();
        core.flush();
      }
    });
    core.link!.send(text);
  };

  const trim = () => {
    for (const call of queue) {
      if (isClosed(core)) call.done(lostError(core, call.sent > 0));
      else if (!core.ready && queue.size > (options.queue ?? 64)) {
        const error = fault('unavailable', 'too many calls wait for a connection', call.sent > 0);
        call.done(error);
        core.emit(':dropped', { action: call.action, error });
      }
    }
  };

  core.flush = () => {
    for (const call of queue) {
      if (!core.server || core.away) return;
      if (!call.session && !(core.ready && core.running < core.server.calls)) continue;
      queue.delete(call);
      transmit(call);
    }
  };

  core.request = (frame, answer) => {
    const id = ++ids;
    replies.set(id, (f) => {
      replies.delete(id);
      if (f) answer(f);
    });
    core.send({ id, ...frame });
  };

  core.drops.push(() => {
    ids = core.running = 0;
    const waiting = [...queue];
    const unanswered = [...replies.values()];
    queue.clear();
    replies.clear();
    for (const reply of unanswered) reply();
    for (const call of waiting) {
      if (call.session) call.done(lostError(core));
      else queue.add(call);
    }
    trim();
  });

  core.answer = (f) => replies.get(f.re)?.(f);
  return begin;
}
