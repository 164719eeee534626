import { expect, test } from 'vitest';
import { eventStream } from '../src/eventstream.js';

function read(...pieces: string[]) {
  const told: string[] = [];
  const feed = eventStream((data) => told.push(data));
  for (const piece of pieces) feed(piece);
  return told;
}

test.each([
  ['an event', 'data: a\n\n', ['a']],
  ['several lines are one text', 'data: a\ndata:\ndata: b\n\n', ['a\n\nb']],
  ['one space goes, others stay', 'data:a\n\ndata:  b \n\n', ['a', ' b ']],
  ['a colon in the text stays', 'data: {"a":"b: c"}\n\n', ['{"a":"b: c"}']],
  ['a field without a colon is empty', 'data\ndata: a\n\n', ['\na']],
  ['all ends of lines', 'data: a\r\n\r\ndata: b\r\rdata: c\n\ndata: d\r\n\n', ['a', 'b', 'c', 'd']],
  ['comments and other fields are nothing', ':\n\n: data: x\nid: 1\nretry: 5\nDATA: x\n data: y\ndata : z\ndata: a\n\n', ['a']],
  ['a name makes it another event, and ends with it', 'event: up\ndata: x\n\nevent:\ndata: a\n\ndata: b\n\n', ['a', 'b']],
  ['an event without data is none, and takes its name along', 'event: up\n\ndata: a\n\n', ['a']],
  ['what has not ended is none', 'data: a\n\ndata: b\n', ['a']],
  ['separators of Unicode are text', 'data: a\u2028b\u0085c\n\n', ['a\u2028b\u0085c']],
])('%s', (_, text, want) => {
  expect(read(text)).toEqual(want);
  // cut in two anywhere, and into characters
  for (let i = 0; i <= text.length; i++) expect(read(text.slice(0, i), '', text.slice(i))).toEqual(want);
  expect(read(...text)).toEqual(want);
});

test('a line without an end is the end, and so is an event without one', () => {
  const part = 'x'.repeat(2 ** 20);
  expect(() => read(...Array.from({ length: 15 }, () => part))).not.toThrow();
  expect(() => read(...Array.from({ length: 17 }, () => part))).toThrow('too long');
  expect(() => read(...Array.from({ length: 17 }, () => `data: ${part}\n`))).toThrow('too long');
  expect(() => read(...Array.from({ length: 17 }, () => `event: ${part}\n`))).not.toThrow();
  expect(() => read(...Array.from({ length: 17 }, () => `data: ${part}\n\n`))).not.toThrow();
});
