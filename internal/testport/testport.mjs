// What testport.go is to tests in Go, with the same blocks: those of both may run at once.
import { once } from "node:events";
import { createServer } from "node:net";

const lowest = 10_000, highest = 32_767, size = 64, blocks = Math.floor((highest + 1 - lowest) / size);
const locks = []; // listen on the first port of each block that this process has
let next = 0, left = 0;

/** Returns an address of the loopback, "127.0.0.1:" and a port, that nobody else gets and where nobody listens. */
export async function address() {
  for (;;) {
    if (left === 0) await claim();
    const port = next++;
    left--;
    const listener = await listen(port);
    if (!listener) continue; // a stranger is there
    listener.close();
    await once(listener, "close");
    return `127.0.0.1:${port}`;
  }
}

async function claim() {
  for (let i = 0; i < blocks; i++) {
    const first = lowest + ((process.pid + i) % blocks) * size;
    const lock = await listen(first);
    if (!lock) continue;
    lock.unref();
    locks.push(lock);
    next = first + 1;
    left = size - 1;
    return;
  }
  throw new Error(`all ports from ${lowest} to ${highest} are taken`);
}

async function listen(port) {
  const listener = createServer().listen(port, "127.0.0.1");
  return once(listener, "listening").then(() => listener, () => undefined);
}
