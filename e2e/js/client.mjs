// A client of the chat as a program: says on standard output what it sees, a
// line of JSON each, and closes when its standard input ends. Runs on Node,
// Bun and Deno alike.
//
//   client.mjs SERVER TRANSPORT   the address of the server, such as http://127.0.0.1:3000,
//                                 and the only transport to use: websocket or sse

import process from 'node:process';
import { connectChat, KanavaError } from '../../examples/chat/page/kanava.js';

const [server, transport] = process.argv.slice(2);
const say = (line) => process.stdout.write(JSON.stringify(line) + '\n');

async function token() {
  const response = await fetch(`${server}/token?user=program&role=member`, { signal: AbortSignal.timeout(5000) });
  return (await response.json()).token;
}

const chat = connectChat(server, { room: 'general' }, {
  authenticate: async (connection) => {
    await connection.authenticate({ token: await token() });
  },
  transport,
  WebSocket: globalThis.WebSocket ?? (await import('ws')).WebSocket,
});

chat.on.room('general', (event) => say({ n: Number(event.message) }));
chat.on.lost(() => say({ lost: true }));

const calls = { answered: 0, failed: 0 };
let ended = false;
async function callOn() {
  while (!ended) {
    try {
      const { userId } = await chat.whoami({ timeout: 3000 });
      if (userId !== 'program') say({ fault: `whoami: ${userId}` });
      calls.answered++;
    } catch (error) {
      if (!(error instanceof KanavaError)) say({ fault: `not a KanavaError: ${error}` });
      calls.failed++;
    }
    say({ calls });
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
const calling = callOn();

process.stdin.resume();
process.stdin.on('end', async () => {
  ended = true;
  await calling;
  chat.close();
});
