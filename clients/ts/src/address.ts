import type { KanavaSpec } from './options.js';

/** The URL of a channel: its WebSocket's. */
export function address(spec: KanavaSpec, base: string | undefined, opening: Record<string, any>): string {
  const query = (spec.query ?? []).flatMap((name) => [opening[name] ?? []].flat().map((value) => encodeURIComponent(name) + '=' + encodeURIComponent(value)));
  const root = base ?? String(globalThis.location?.origin);
  if (!/^(http|ws)s?:\/\/[^/?#]+[^?#]*$/i.test(root)) throw new TypeError('the address of the server is http(s)://HOST, not ' + root);
  const url = root.replace(/^http/i, 'ws').replace(/\/$/, '') + spec.path;
  return new URL(query[0] ? url + '?' + query.join('&') : url).href;
}
