// What a server that is written by hand does with a message: JSON.parse,
// checks, JSON.stringify. c has reply(text), join(topic), leave(topic) and
// publish(topic, text).
export function handle(c, path, message) {
  let m;
  try {
    m = JSON.parse(message);
  } catch {
    return fail(c, 'not JSON');
  }
  if (path === '/echo') return c.reply(message);
  if (typeof m !== 'object' || m === null) return fail(c, 'not an object');
  if (path === '/typed' && m.action === 'echo') {
    if (typeof m.message !== 'string' || m.message.length > 1024) return fail(c, 'message: a string of at most 1024 characters');
    return c.reply(JSON.stringify({ message: m.message, timestamp: Date.now(), action: 'echo' }));
  }
  if (path === '/topic' && typeof m.topic === 'string') {
    if (m.action === 'join') {
      c.join(m.topic);
      return c.reply('{"action":"join"}');
    }
    if (m.action === 'leave') {
      c.leave(m.topic);
      return c.reply('{"action":"leave"}');
    }
    if (m.action === 'pub') {
      c.publish(m.topic, JSON.stringify({ topic: m.topic, data: m.payload }));
      return c.reply('{"action":"pub"}');
    }
  }
  fail(c, 'no such action');
}

function fail(c, why) {
  c.reply(JSON.stringify({ error: why }));
}

/** The host and port of "-addr host:port". */
export function address() {
  const [hostname, port] = process.argv[process.argv.indexOf('-addr') + 1].split(':');
  return { hostname, port: +port };
}
