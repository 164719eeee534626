// Against a real server, over both transports: its calls, and subscriptions that clients make.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import WebSocket from 'ws';
import { connect, type KanavaConnection } from '../src/connection.js';
import { KanavaError } from '../src/error.js';
import { subscribe } from '../src/subscribing.js';

const folder = mkdtempSync(join(tmpdir(), 'kanava-test-'));
const root = new URL('../../../', import.meta.url).pathname;
let server: ChildProcess;
let url: string;
let chat: KanavaConnection;

beforeAll(async () => {
  const binary = join(folder, 'server');
  await promisify(execFile)('go', ['build', '-o', binary, './clients/ts/test/server'], { cwd: root });
  server = spawn(binary, { stdio: ['ignore', 'ignore', 'pipe'] });
  for await (const line of createInterface({ input: server.stderr! })) {
    url = /open (http:\S+)/.exec(line)?.[1] ?? '';
    if (url) break;
  }
  server.stderr!.resume();
}, 300_000);

afterEach(() => chat.close());

afterAll(() => {
  server.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

const both = test.each(['websocket', 'sse'] as const);
const open = (transport: 'websocket' | 'sse') => (chat = connect({ path: '/test' }, url, {}, { WebSocket, transport }));

both('the server asks, over %s', async (transport) => {
  open(transport);
  chat.handler('confirm', async ({ text }) => {
    if (text === 'no') throw new KanavaError('x_no', 'no');
    return { text: text + '!' };
  });
  const ask = (text: string) => chat.call({ do: 'ask', in: { text } });
  expect(await Promise.all(['a', 'ä€😀', 'x'.repeat(20_000)].map(ask))).toEqual([{ text: 'a!' }, { text: 'ä€😀!' }, { text: 'x'.repeat(20_000) + '!' }]);
  await expect(ask('no')).rejects.toBeInstanceOf(KanavaError);
});

both('a subscription is the server\'s to refuse, heals over lost connections, and ends, over %s', async (transport) => {
  open(transport);
  const log = subscribe(chat, 'log');
  const heard: string[] = [];
  let changed = () => {};
  chat.listen('t:log', 'a', ({ text }) => {
    heard.push(text);
    changed();
  });
  const faults: unknown[] = [];
  for (const event of [':lost', ':error']) chat.listen(event, undefined, (fault) => faults.push(fault));
  const until = async (...want: string[]) => {
    while (heard.length < want.length) await new Promise<void>((resolve) => (changed = resolve));
    expect(heard).toEqual(want);
  };
  const say = (action: string, text: string) => chat.call({ do: action, in: { text } });

  await expect(log('secret')).rejects.toMatchObject({ code: 'permission_denied' });
  const [off, other] = [await log('a'), await log('a')];
  const before = ['one'];
  await say('publish', 'one');
  await until(...before);
  for (const text of ['while away', 'and again']) {
    before.push(text);
    await say('cut', text);
    await until(...before);
  }
  off();
  await say('publish', 'the other one lasts');
  before.push('the other one lasts');
  await until(...before);
  other();
  await say('publish', 'nobody hears this');
  await say('publish', 'nor this');
  expect(heard).toEqual(before);
  expect(faults).toEqual([]);
}, 60_000);
