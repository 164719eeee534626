// What the compiler must take, and what it must refuse: each refused line has its own mark, and
// the compiler complains about a mark without an error. Never run.
import WebSocket from 'ws';
import type { KanavaState } from '../src/state.js';
import { KanavaError, type KanavaErrorCode } from '../src/error.js';
import { connectChat, type ChatChannel, type StatusUpdate } from './sample.js';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Same<A, B>) => {};

export async function taken() {
  const chat = connectChat('https://a.test', { room: 'general' }, {
    authenticate: (first) => first.authenticate({ token: 't' }),
    token: async () => 't',
    timeout: 5000,
    queue: 10,
    WebSocket,
    headers: { a: 'b' },
  });
  connectChat(undefined, { room: 'general', limit: 3 }).close();
  connectChat('', { room: 'x' }, { authenticate: async () => {}, token: 't', WebSocket: globalThis.WebSocket });
  same<typeof chat, ChatChannel>(true);
  same<{ welcome: string }, Awaited<typeof chat.opened>>(true);

  const sent = await chat.sendMessage({ message: 'hi' }, { signal: new AbortController().signal, timeout: 1, key: 'k' });
  same<number, typeof sent.timestamp>(true);
  same<Promise<void>, ReturnType<typeof chat.logout>>(true);
  for await (const update of chat.process({ jobId: 'j', priority: 'high' })) {
    same<typeof update, StatusUpdate>(true);
    if (update.type === 'complete') same<string | null, typeof update.result.note>(true);
    else same<string, typeof update.step>(true);
  }
  chat.on.room((event, meta) => same<[string, string], [typeof event.userId, typeof meta.key]>(true));
  const off: () => void = chat.on.room('general', (event) => same<'message', typeof event.type>(true));
  off();
  chat.on.lost(({ from, to }) => same<[string, number], [typeof from.e, typeof to.o]>(true));
  chat.on.state((state) => same<typeof state, KanavaState>(true));
  chat.handle.confirm(async ({ question }, { signal, wait }) => {
    wait();
    return { yes: question !== '' && !signal.aborted };
  });
  chat.handle.confirm(() => ({ yes: true }));
  try {
    await chat.send({ message: 'x' });
  } catch (error) {
    if (error instanceof KanavaError && error.code === 'unavailable') {
      same<boolean, typeof error.unknownOutcome>(true);
      same<number | undefined, typeof error.retryAfter>(true);
      same<string | undefined, (typeof error.details)[number]['pointer'] | undefined>(true);
    }
  }
  const own: KanavaErrorCode = 'x_sold_out';
  return own;
}

export async function refused(chat: ChatChannel) {
  // @ts-expect-error opening data is demanded
  connectChat('https://a.test');
  // @ts-expect-error a member of the opening data is missing
  connectChat('https://a.test', {});
  // @ts-expect-error a member of the opening data has the wrong type
  connectChat('https://a.test', { room: 1 });
  // @ts-expect-error an unknown member of the opening data
  connectChat('https://a.test', { room: 'a', rom: 'b' });
  // @ts-expect-error an unknown option
  connectChat('https://a.test', { room: 'a' }, { timeOut: 1 });
  // @ts-expect-error an option of the wrong type
  connectChat('https://a.test', { room: 'a' }, { timeout: '1s' });
  // @ts-expect-error no WebSocket class
  connectChat('https://a.test', { room: 'a' }, { WebSocket: class {} as never as Date });
  // @ts-expect-error authenticate gets the channel, and it has no such action
  connectChat('https://a.test', { room: 'a' }, { authenticate: (first) => first.signIn({ token: 't' }) });
  // @ts-expect-error an unknown action
  chat.sendMesage({ message: 'a' });
  // @ts-expect-error an input is demanded
  chat.sendMessage();
  // @ts-expect-error a missing member
  chat.sendMessage({});
  // @ts-expect-error a member of the wrong type
  chat.sendMessage({ message: 1 });
  // @ts-expect-error null where it is not allowed
  chat.sendMessage({ message: null });
  // @ts-expect-error an unknown member
  chat.sendMessage({ message: 'a', to: 'b' });
  // @ts-expect-error an unknown call option
  chat.sendMessage({ message: 'a' }, { time: 1 });
  // @ts-expect-error a signal of the wrong type
  chat.sendMessage({ message: 'a' }, { signal: new AbortController() });
  // @ts-expect-error an action without input takes none
  chat.logout({ message: 'a' });
  // @ts-expect-error not a value of the enumeration
  chat.process({ jobId: 'a', priority: 'highest' });
  // @ts-expect-error a stream is no promise
  (await chat.process({ jobId: 'a' })).type;
  // @ts-expect-error a call is no stream
  for await (const _ of chat.sendMessage({ message: 'a' })) break;
  // @ts-expect-error the result has no such member
  (await chat.sendMessage({ message: 'a' })).id;
  // @ts-expect-error an action without result has none
  (await chat.logout()).ok;
  for await (const update of chat.process({ jobId: 'a' })) {
    // @ts-expect-error a union's tag that does not exist
    if (update.type === 'done') break;
    // @ts-expect-error a member that not every kind of the union has
    update.step;
    // @ts-expect-error nullable: null first
    if (update.type === 'complete') update.result.note.length;
  }
  // @ts-expect-error an unknown topic or push
  chat.on.rooms(() => {});
  // @ts-expect-error a key is a string
  chat.on.room(1, () => {});
  // @ts-expect-error a listener is demanded
  chat.on.room('general');
  // @ts-expect-error the event has no such member
  chat.on.room((event) => event.text);
  // @ts-expect-error a push has no key
  chat.on.notice('general', () => {});
  // @ts-expect-error what a listener takes
  chat.on.notice((value: { text: number }) => value);
  // @ts-expect-error an unknown call of the server
  chat.handle.conform(() => ({ yes: true }));
  // @ts-expect-error the handler's result lacks a member
  chat.handle.confirm(() => ({}));
  // @ts-expect-error the handler's result has the wrong type
  chat.handle.confirm(async () => ({ yes: 'y' }));
  // @ts-expect-error the input of the server's call has no such member
  chat.handle.confirm(({ text }) => ({ yes: !!text }));
  // @ts-expect-error OnMessage's input
  chat.send('text');
  // @ts-expect-error bytes are no string
  chat.sendBinary('text');
  // @ts-expect-error bytes are no array of numbers
  chat.sendBinary([1, 2]);
  // @ts-expect-error opened is a promise of the welcome
  chat.opened.welcome;
  // @ts-expect-error a state that does not exist
  if (chat.state.name === 'connected') return;
  // @ts-expect-error read only
  chat.state.name = 'open';
  // @ts-expect-error read only
  chat.opened = Promise.resolve({ welcome: '' });
  // @ts-expect-error a code that does not exist
  if (new KanavaError('unavailable', '').code === 'unavailible') return;
  // @ts-expect-error a new error needs a code that exists
  throw new KanavaError('oops', 'text');
}
