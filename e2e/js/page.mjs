// The chat's page in Chromium, as a client: says on standard output what the
// page shows, a line of JSON each, and closes when its standard input ends.
//
//   page.mjs SERVER   the address of the server, such as http://127.0.0.1:3000
//   CHROMIUM          the browser, /usr/bin/chromium by default

import process from 'node:process';
import { chromium } from 'playwright-core';

const server = process.argv[2];
const say = (line) => process.stdout.write(JSON.stringify(line) + '\n');

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const page = await browser.newPage();
page.on('pageerror', (error) => say({ fault: String(error.stack) }));
await page.exposeFunction('say', say);
await page.addInitScript(() => {
  document.addEventListener('DOMContentLoaded', () => {
    // Entries of the room, in the order in which they are shown.
    new MutationObserver((changes) => {
      for (const entry of changes.flatMap(({ addedNodes }) => [...addedNodes])) {
        if (!(entry instanceof HTMLLIElement)) continue;
        if (entry.dataset.eventId) globalThis.say({ n: Number(entry.querySelector('.text').textContent) });
        if (entry.classList.contains('loss')) globalThis.say({ lost: true });
      }
    }).observe(document.getElementById('timeline'), { childList: true, subtree: true });
  });
});

// Signed in, and only then in the room: the network fails soon after the first number is seen.
await page.goto(`${server}/#lobby`);
await page.getByRole('button', { name: 'Sign in to write' }).click();
await page.getByLabel('Your name').fill('program');
await page.getByRole('radio', { name: 'Admin' }).check();
await page.locator('#sign-in').getByRole('button', { name: 'Sign in' }).click();
await page.locator('#open-announce:enabled').waitFor();
await page.getByRole('link', { name: 'general' }).click();

// Announcements to a room where nobody is, one after the other.
const calls = { answered: 0, failed: 0 };
let ended = false;
async function callOn() {
  while (!ended) {
    try {
      await page.locator('#open-announce').click({ timeout: 0 }); // waits until the page is signed in
      await page.locator('#announce-room').fill('nowhere', { timeout: 2000 });
      await page.locator('#announce-message').fill('does anybody hear this?', { timeout: 2000 });
      await page.locator('#announce .primary').click({ timeout: 2000 });
    } catch (error) {
      if (ended || error.name !== 'TimeoutError') throw error;
      await closeForm(); // a click can meet a page that is just losing its session
      continue;
    }
    // The form is gone, or says why not.
    const outcome = await page.waitForFunction(() => {
      if (!document.getElementById('announce').open) return 'answered';
      return document.querySelector('#announce .fault:not([hidden])') && 'failed';
    }, null, { timeout: 0 });
    calls[await outcome.jsonValue()]++;
    say({ calls });
    await closeForm();
  }
}
const closeForm = () => page.evaluate(() => document.getElementById('announce').close());
const calling = callOn().catch((error) => ended || say({ fault: String(error.stack) }));

process.stdin.resume();
process.stdin.on('end', async () => {
  ended = true;
  const counter = async (name) => Number(await page.locator(`#events-${name}`).textContent());
  say({ count: { Received: await counter('received'), Lost: await counter('lost'), Doubled: await counter('doubled') } });
  await browser.close();
  await calling;
});
