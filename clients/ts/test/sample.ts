// What a generated client of the chat example looks like, with imports where its text would be.
import type { KanavaAsked } from '../src/asked.js';
import { connect, type KanavaConnection } from '../src/connection.js';
import type { KanavaCallOptions, KanavaOptions } from '../src/options.js';
import type { KanavaState } from '../src/state.js';
import type { KanavaError } from '../src/error.js';
import type { KanavaPosition } from '../src/topic.js';

export interface RoomParams { room: string; limit?: number }
export interface Welcome { welcome: string }
export interface Text { message: string }
export interface Credentials { token: string }
export interface Authenticated { authenticated: boolean }
export interface Sent { message: string; timestamp: number }
export interface Job { jobId: string; priority?: 'low' | 'high' }
export interface JobResult { jobId: string; records: number; note: string | null }
export type StatusUpdate =
  | { type: 'processing'; step: string }
  | { type: 'complete'; result: JobResult };
export interface RoomEvent { type: 'message'; message: string; userId: string; timestamp: number }
export interface Notice { text: string }
export interface Question { question: string }
export interface Answer { yes: boolean }

export interface Meta { readonly topic: string; readonly key: string }

export interface On<Event> {
  (listener: (event: Event, meta: Meta) => void): () => void;
  (key: string, listener: (event: Event, meta: Meta) => void): () => void;
}

export interface ChatChannel {
  readonly opened: Promise<Welcome>;
  readonly state: KanavaState;
  authenticate(input: Credentials, options?: KanavaCallOptions): Promise<Authenticated>;
  sendMessage(input: Text, options?: KanavaCallOptions): Promise<Sent>;
  logout(options?: KanavaCallOptions): Promise<void>;
  process(input: Job, options?: KanavaCallOptions): AsyncIterableIterator<StatusUpdate>;
  send(input: Text, options?: KanavaCallOptions): Promise<Text>;
  sendBinary(bytes: Uint8Array): void;
  close(): void;
  readonly on: {
    readonly room: On<RoomEvent>;
    notice(listener: (value: Notice) => void): () => void;
    opened(listener: (value: Welcome) => void): () => void;
    state(listener: (state: KanavaState) => void): () => void;
    lost(listener: (lost: { topic: string; from: KanavaPosition; to: KanavaPosition }) => void): () => void;
    binary(listener: (bytes: Uint8Array) => void): () => void;
    error(listener: (error: KanavaError) => void): () => void;
    dropped(listener: (dropped: { action: string; error: KanavaError }) => void): () => void;
  };
  readonly handle: {
    confirm(handler: (input: Question, asked: KanavaAsked) => Answer | Promise<Answer>): () => void;
  };
}

export function connectChat(url: string | undefined, opening: RoomParams, options: KanavaOptions<ChatChannel> = {}): ChatChannel {
  const { authenticate, ...rest } = options;
  const spec = { path: '/chat', query: ['room', 'limit'], contract: '1.9f2c01ab' };
  return chatChannel(connect(spec, url, opening, authenticate ? { ...rest, authenticate: (c) => authenticate(chatChannel(c)) } : rest));
}

function chatChannel(c: KanavaConnection): ChatChannel {
  const on = (event: string) => (listener: (value: any) => void) => c.listen(event, undefined, listener);
  const topic = (name: string) => (key: any, listener?: any) => c.listen('t:' + name, listener && key, listener ?? key);
  return {
    opened: c.opened,
    get state() {
      return c.state;
    },
    authenticate: (input, options) => c.call({ do: 'authenticate', in: input }, options),
    sendMessage: (input, options) => c.call({ do: 'sendMessage', in: input }, options),
    logout: (options) => c.call({ do: 'logout' }, options),
    process: (input, options) => c.stream({ do: 'process', in: input }, options),
    send: (input, options) => c.call({ do: '', in: input }, options),
    sendBinary: c.sendBinary,
    close: c.close,
    on: {
      room: topic('room'),
      notice: on('p:notice'),
      opened: on(':opened'),
      state: on(':state'),
      lost: on(':lost'),
      binary: on(':binary'),
      error: on(':error'),
      dropped: on(':dropped'),
    },
    handle: {
      confirm: (handler) => c.handler('confirm', handler),
    },
  };
}
