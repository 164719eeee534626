import type { KanavaCore } from './core.js';
import { told, type KanavaError } from './error.js';
import { eventStream } from './eventstream.js';
import type { KanavaLink, KanavaLinkEvents } from './link.js';
import { upstream } from './upstream.js';

/** A connection by HTTP alone: frames come as server-sent events (rule P20), and go by POST. */
export function serverSentEvents(core: KanavaCore, url: string, hello: string, events: KanavaLinkEvents): KanavaLink {
  const life = new AbortController(); // of the response
  const { signal } = life;
  const post = (body: string, fields: Record<string, string>, signal: AbortSignal) =>
    fetch(url.replace('ws', 'http'), {
      method: 'POST', body, signal, redirect: 'error',
      headers: { ...core.options.headers, 'Content-Type': 'application/json', ...fields },
    });
  const ended = (reason: string, error?: KanavaError) => signal.aborted || events.ended(1006, reason, error);
  const { send, pack, close } = upstream(core, post, ended);
  const read = eventStream((data) => signal.aborted || events.message(data));

  const run = async () => {
    const response = await post(hello, { Accept: 'text/event-stream', 'Kanava-Protocol': 'kanava.v1' }, signal);
    if (response.status !== 200 || !/^text\/event-stream/.test(response.headers.get('Content-Type')!)) {
      return ended('the server answered with ' + response.status, await refusal(response));
    }
    events.opened();
    for await (const text of texts(response)) {
      if (signal.aborted) return;
      events.message(''); // a sign of life
      read(text);
    }
    ended('the connection was lost');
  };
  run().catch((error) => ended(String(error.message)));

  return {
    transport: 'sse', send, pack,
    close() {
      life.abort();
      close();
    },
  };
}

/** The server's own error, if that is what it answered. */
async function refusal(response: Response): Promise<KanavaError | undefined> {
  let text = '';
  try {
    if ([403, 404, 429, 503].includes(response.status)) {
      for await (const piece of texts(response)) if ((text += piece).length > 9999) break;
    }
    const { error } = JSON.parse(text);
    return error.message && told(error);
  } catch {
    return undefined; // of something on the way
  }
}

async function* texts({ body }: Response): AsyncGenerator<string> {
  const reader = body!.getReader();
  const decoder = new TextDecoder();
  for (let next; !(next = await reader.read()).done; ) yield decoder.decode(next.value, { stream: true });
}
