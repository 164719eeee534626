// What the browser tests of the examples share: the real server, real browsers, no fixed waits.
//
//   CHROMIUM     the browser, /usr/bin/chromium by default
//   SCREENSHOTS  where to put the pictures, a new folder by default

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export class Server {
  #binary; #address; #process;

  constructor(binary, address) {
    this.#binary = binary;
    this.#address = address;
  }

  get url() { return `http://${this.#address}/`; }

  /** Starts the server with more arguments. */
  async start(...args) {
    const child = spawn(this.#binary, ["-addr", this.#address, ...args], {
      env: { ...process.env, KANAVA_CHAT_SECRET: "the secret of the browser tests, 32 bytes and more" },
      stdio: ["ignore", "ignore", "pipe"],
    });
    let log = "";
    child.stderr.on("data", (data) => { log += data; });
    this.#process = child;
    await poll(async () => {
      assert.equal(child.exitCode, null, `the server ended: ${log}`);
      return fetch(this.url).then((response) => response.ok, () => false);
    });
  }

  get running() { return this.#process?.exitCode === null && this.#process.signalCode === null; }

  /** Sends a signal; all but STOP wait for the end of the process. */
  async signal(name) {
    if (!this.running) return;
    const child = this.#process;
    const exit = once(child, "exit");
    child.kill(name);
    if (name !== "SIGSTOP") await exit;
  }
}

/** Asks until the answer is yes. */
export async function poll(condition, limit = 20_000) {
  const end = Date.now() + limit;
  while (!(await condition())) {
    assert.ok(Date.now() < end, "the condition did not come true");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Builds an example into a folder. */
export function build(example, into) {
  const binary = join(into, example);
  execFileSync("go", ["build", "-o", binary, "."], { cwd: fileURLToPath(new URL(`../../${example}`, import.meta.url)), stdio: "inherit" });
  return binary;
}

/** Makes the folder for an example's pictures. */
export function picturesOf(example) {
  const folder = process.env.SCREENSHOTS ?? mkdtempSync(join(tmpdir(), `kanava-${example}-pictures-`));
  mkdirSync(folder, { recursive: true });
  return folder;
}

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: ["--no-sandbox", "--headless", "--disable-gpu", "--disable-background-networking", "--disable-quic",
      "--no-first-run", "--disable-component-update", "--disable-sync"],
  });
}

/** A network between a browser and a server, which can be cut. */
export class Network {
  #sockets = new Set(); #server; #cut = false;

  /** Whether it lets WebSockets through. */
  passesWebSockets = true;

  constructor(target) {
    this.#server = createServer((near) => {
      if (this.#cut) return near.destroy();
      const far = connect(Number(new URL(target).port), "127.0.0.1");
      for (const [from, to] of [[near, far], [far, near]]) {
        this.#sockets.add(from);
        from.on("error", () => {});
        from.on("close", () => { this.#sockets.delete(from); to.destroy(); });
        if (from === far) from.pipe(to);
      }
      near.on("data", (data) => {
        const refused = !this.passesWebSockets && /^upgrade: websocket/im.test(data.toString("latin1"));
        if (refused) near.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        else far.write(data);
      });
    });
  }

  async open() {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
  }

  get url() { return `http://127.0.0.1:${this.#server.address().port}/`; }

  cut() {
    this.#cut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend() { this.#cut = false; }

  close() {
    this.cut();
    this.#server.close();
  }
}
