import type { KanavaCore } from './core.js';
import { known } from './error.js';

/** Signs in on each connection, and again before the session ends. Returns what makes a new connection ready. */
export function signIn(core: KanavaCore, channel: () => unknown): () => void {
  const { authenticate } = core.options;
  let denied = 0; // unauthenticated in a row
  const ready = () => {
    core.ready = true;
    core.flush();
  };
  const sign = async () => {
    const mine = core.run;
    try {
      await authenticate!(channel() as any);
      if (mine !== core.run) return;
      denied = 0;
      ready();
    } catch (thrown: any) {
      if (mine !== core.run) return;
      const error = known(thrown);
      core.blame(error);
      if (core.ready) return; // the session lasts a while yet
      const wrong = thrown?.code === 'unauthenticated';
      core.lose(wrong ? 4401 : 1006, 'authentication failed: ' + error.message, wrong && ++denied > 1);
    }
  };
  core.kinds['session'] = ({ session: { expiresIn } }) => {
    // Every sign-in brings this frame: a short session must not make a loop.
    if (authenticate) core.later('session', sign, Math.max(expiresIn - 60_000, expiresIn / 2));
  };
  return authenticate ? sign : ready;
}
