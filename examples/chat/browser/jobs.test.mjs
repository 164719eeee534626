// Drives the jobs example as people would; harness.mjs says what of the environment counts.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { address } from "../../../internal/testport/testport.mjs";
import { Server, build, launch, picturesOf, poll } from "./harness.mjs";

const work = mkdtempSync(join(tmpdir(), "kanava-jobs-"));
const pictures = picturesOf("jobs");
let browser;
let server;

before(async () => {
  server = new Server(build("jobs", work), await address());
  await server.start();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.signal("SIGKILL");
  rmSync(work, { recursive: true, force: true });
});

/** Opens the page; whatever it complains of fails the test. */
async function open(t, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, reducedMotion: "reduce", ...options });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(error.stack));
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
  t.after(async () => {
    await context.close();
    assert.deepEqual(complaints, options.refusals ? complaints : []);
  });
  await page.goto(server.url);
  await connected(page);
  return page;
}

const connected = (page) => page.waitForFunction(() => document.body.dataset.connection === "open");

async function start(page, name, seconds, over = "HTTP POST") {
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByLabel("Seconds").fill(String(seconds));
  await page.getByRole("radio", { name: over }).check();
  await page.getByRole("button", { name: "Start a job" }).click();
  await page.locator("#one-title", { hasText: name }).waitFor();
}

/** The last that each of the three ways was told. */
const lasts = (page) => page.locator("#wires .last").allTextContents();

async function allSee(page, state) {
  await poll(async () => (await lasts(page)).every((text) => text && JSON.parse(text).state === state));
}

test("one job, over three transports, started over each of two", async (t) => {
  const page = await open(t);
  for (const over of ["HTTP POST", "Channel"]) {
    await start(page, `over ${over}`, 2, over);
    await allSee(page, "done");
    await page.locator("#wires .over").nth(2).waitFor();
    const [first, ...others] = await lasts(page);
    for (const other of others) assert.equal(other, first);
    assert.match(first, /"percent":100/);
    // The channel and the events tell the same of it; asking once a second sees less.
    const counts = (await page.locator("#wires span").allTextContents()).map((text) => Number.parseInt(text, 10));
    assert.ok(counts[0] >= 10 && counts[1] >= 10 && counts[2] < 6, counts.join());
  }
});

test("every page sees a job, also one that was started elsewhere, and any of them cancels it", async (t) => {
  const alice = await open(t);
  const bob = await open(t);
  const started = await fetch(`${server.url}jobs`, { method: "POST", headers: { "Content-Type": "application/json" }, body: '{"name":"from outside","seconds":60}' });
  const { id } = await started.json();
  for (const page of [alice, bob]) {
    await page.getByRole("button", { name: "from outside" }).click();
    await allSee(page, "running");
  }
  await bob.getByRole("button", { name: "Cancel", exact: true }).click();
  for (const page of [alice, bob]) {
    await allSee(page, "canceled");
    assert.match(await page.locator("#one-state").textContent(), /Canceled at/);
  }
  assert.equal((await fetch(`${server.url}jobs/${id}`, { method: "DELETE" })).status, 412);
});

test("a job outlives the page that started it, and a page that was reloaded has it", async (t) => {
  const page = await open(t);
  await start(page, "survivor", 60);
  await page.reload();
  await connected(page);
  await page.getByRole("button", { name: "survivor" }).click();
  await allSee(page, "running");
  await page.getByRole("button", { name: "Cancel", exact: true }).click();
  await allSee(page, "canceled");
});

test("what is wrong is said at the field, whichever way it went", async (t) => {
  const page = await open(t, { refusals: true }); // the browser reports the status 400
  for (const over of ["HTTP POST", "Channel"]) {
    await page.getByLabel("Seconds").fill("500");
    await page.getByRole("radio", { name: over }).check();
    await page.getByRole("button", { name: "Start a job" }).click();
    await page.locator("#fault", { hasText: "Seconds must be between 1 and 120" }).or(page.locator("#fault", { hasText: /Seconds must be at most 120/ })).waitFor();
    assert.equal(await page.getByLabel("Seconds").getAttribute("aria-invalid"), "true");
    await page.getByLabel("Seconds").fill("1");
    await page.getByRole("button", { name: "Start a job" }).click();
    await page.locator("#fault").waitFor({ state: "hidden" });
  }
});

test("a server that restarts has forgotten its jobs, and the page too", async (t) => {
  const page = await open(t, { refusals: true }); // the browser reports a server that is down
  await start(page, "forgotten", 60);
  await server.signal("SIGKILL");
  await server.start();
  await connected(page);
  await page.locator("#none").waitFor();
  assert.equal(await page.locator("#jobs li").count(), 0);
});

test("pictures, on a desktop and a phone, light and dark", async (t) => {
  for (const colorScheme of ["light", "dark"]) {
    const desktop = await open(t, { colorScheme });
    if (colorScheme === "light") {
      await desktop.screenshot({ path: join(pictures, "jobs-empty.png") });
      await start(desktop, "nightly export", 1);
      await allSee(desktop, "done");
      await start(desktop, "thumbnails for the spring catalogue", 60, "Channel");
      await desktop.getByRole("button", { name: "Cancel", exact: true }).click();
      await allSee(desktop, "canceled");
      await start(desktop, "import", 30);
    } else {
      await start(desktop, "import again", 30);
    }
    await poll(async () => (await lasts(desktop)).every((text) => text && JSON.parse(text).percent >= 20));
    await desktop.screenshot({ path: join(pictures, `jobs-${colorScheme}.png`) });
    const phone = await open(t, { colorScheme, viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 });
    await phone.getByRole("button", { name: "import" }).first().click();
    await allSee(phone, "running");
    await phone.screenshot({ path: join(pictures, `jobs-phone-${colorScheme}.png`), fullPage: true });
    const wide = await phone.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `the page is ${wide} pixels wider than the phone`);
    await desktop.getByRole("button", { name: "Cancel", exact: true }).click();
  }
});
