import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { address } from '../../../internal/testport/testport.mjs';

/** The chat example as a process: built once, and started as often as it is stopped. */
export class ChatServer {
  /** Where it listens, or has listened last. */
  url = '';
  #address = '';
  readonly #folder = mkdtempSync(join(tmpdir(), 'kanava-chat-'));
  readonly #binary = join(this.#folder, 'chat');
  #process: ChildProcess | undefined;

  async build() {
    await promisify(execFile)('go', ['build', '-o', this.#binary, './examples/chat'], { cwd: new URL('../../../', import.meta.url).pathname });
  }

  /** Starts it, always at the same address. */
  async start() {
    this.#address ||= await address();
    const env = { ...process.env, KANAVA_CHAT_SECRET: 'only for tests, 32 bytes at least' };
    this.#process = spawn(this.#binary, ['-addr', this.#address], { stdio: ['ignore', 'ignore', 'pipe'], env });
    for await (const line of createInterface({ input: this.#process.stderr! })) {
      const found = /open (http:\/\/\S+)/.exec(line);
      if (!found) continue;
      this.url = found[1]!;
      this.#process.stderr!.resume();
      return;
    }
    throw new Error('the server did not start');
  }

  async stop(signal: NodeJS.Signals) {
    const exit = once(this.#process!, 'exit');
    this.#process!.kill(signal);
    await exit;
  }

  async remove() {
    await this.stop('SIGKILL');
    rmSync(this.#folder, { recursive: true });
  }
}
