// What the compiler must take of the generated client of the chat example, and what it must refuse.
import { connectChat, KanavaError, type ChatChannel, type KanavaPresence, type Person, type StatusUpdate, type Welcome } from './generated/chat.js';
import type { GalleryChannel } from './generated/gallery.js';

export async function taken() {
  const chat: ChatChannel = connectChat('https://a.test', { room: 'general' }, {
    authenticate: (first) => first.authenticate({ token: 't' }),
  });
  const welcome: Welcome = await chat.opened;
  const { timestamp }: { timestamp: number } = await chat.sendMessage({ message: welcome.welcome }, { timeout: 5000 });
  for await (const update of chat.process({ jobId: 'j' })) {
    const all: StatusUpdate = update;
    if (all.type === 'complete') all.result.records.toFixed();
    else all.step.trim();
  }
  const off: () => void = chat.on.room('general', (event, meta) => [event.userId, meta.key]);
  off();
  chat.on.room((event) => event.message);
  chat.on.lost((lost) => lost.from.o);
  const stop: () => void = chat.presence.room('general', (who) => {
    const same: KanavaPresence<Person> = who;
    const roles: string[] = [...(same.members?.values() ?? [])].map(({ data }) => data.role);
    return [roles, who.joined[0]?.id, who.left[0]?.connections];
  });
  stop();
  chat.presence.room((who) => who.key);
  for await (const { id, data } of chat.presence.room.members('general', { timeout: 5000 })) id + data.role;
  const echo: { message: string } = await chat.send({ message: 'x' }).catch((error: unknown) => {
    if (error instanceof KanavaError && error.code === 'x_own') return { message: String(error.unknownOutcome) };
    throw error;
  });
  return [timestamp, echo];
}

export async function refused(chat: ChatChannel) {
  // @ts-expect-error opening data is demanded
  connectChat('https://a.test');
  // @ts-expect-error a member of the opening data is missing
  connectChat('https://a.test', {});
  // @ts-expect-error a member of another type
  connectChat('https://a.test', { room: 5 });
  // @ts-expect-error an action that there is not
  chat.shout({ message: 'x' });
  // @ts-expect-error the input is missing
  chat.sendMessage();
  // @ts-expect-error a member that there is not
  chat.sendMessage({ message: 'x', loud: true });
  // @ts-expect-error a member of another type
  chat.sendMessage({ message: 5 });
  // @ts-expect-error an action without input takes options only
  chat.logout({ message: 'x' });
  // @ts-expect-error a result has the members of its type
  (await chat.whoami()).name;
  // @ts-expect-error a stream is no promise
  chat.process({ jobId: 'j' }).then();
  // @ts-expect-error a variant has the members of its own
  for await (const update of chat.process({ jobId: 'j' })) if (update.type === 'complete') update.step;
  // @ts-expect-error a topic that there is not
  chat.on.rooms(() => {});
  // @ts-expect-error an event has the members of its type
  chat.on.room((event) => event.text);
  // @ts-expect-error a presence that there is not
  chat.presence.rooms(() => {});
  // @ts-expect-error the data of a member has the members of its type
  chat.presence.room((who) => who.joined[0]?.data.name);
  // @ts-expect-error where there are too many, nobody is known
  chat.presence.room((who) => who.members.size);
  // @ts-expect-error who is there is for reading
  chat.presence.room((who) => who.members?.clear());
  // @ts-expect-error members are those of one key
  chat.presence.room.members();
  // @ts-expect-error a topic that clients may not subscribe to
  chat.subscribe;
  // @ts-expect-error the state is for reading
  chat.state = { name: 'open' };
}

export async function subscribing(gallery: GalleryChannel) {
  const off: () => void = await gallery.subscribe.shape('a');
  // @ts-expect-error a key is demanded
  await gallery.subscribe.shape();
  // @ts-expect-error the server's refusal comes first
  gallery.subscribe.shape('a')();
  // @ts-expect-error a topic that clients may not subscribe to
  gallery.subscribe.chunk('a');
  // @ts-expect-error a channel without presence
  gallery.presence;
  return off;
}
