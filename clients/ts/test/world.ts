// A model of one topic: an engine, a node (or many stateless invocations) and the client's topic
// machine, interleaved at random with lost connections, slow consumers, filters, engines that lose
// their data, lost and reordered deliveries, and expiring history. An observer that knows all
// events and none of the client's state judges what the application sees: each event once and in
// order, or `lost`.
import { follow, type KanavaPosition, type KanavaTopic } from '../src/topic.js';

interface Event { e: number; o: number; hidden: boolean }

export interface Faults {
  cut?: boolean; // connections are lost
  slow?: boolean; // the connection's queue is full: events are dropped, then `at`
  filter?: boolean; // events that this client must not see
  restart?: boolean; // the engine loses its data: a new epoch
  link?: boolean; // an event is lost between engine and node
  unsub?: boolean; // unsubscribed, and subscribed again later
  expire?: boolean; // the history is gone
  stateless?: boolean; // deliveries are reordered or lost
  busy?: boolean; // recover is refused for a while
}

const history = 6, queue = 5, page = 3;

/** mulberry32: a run is its seed. */
function seeded(seed: number): (below: number) => number {
  return (below) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** Judges what the application is told, by what really happened. */
class Observer {
  events = new Map<string, Event>();
  seen = new Set<string>();
  faults = new Set<string>();
  at: { e: number; o: number } | undefined; // the application knows of everything up to here
  lost = 0;
  delivered = 0;
  unsubscribed: { e: number; from: number; to: number }[] = [];

  deliver(e: number, o: number) {
    const id = `${e}/${o}`;
    const event = this.events.get(id);
    if (!event) this.faults.add('an event that never was');
    if (event?.hidden) this.faults.add('an excluded event');
    if (this.seen.has(id)) this.faults.add('delivered twice');
    this.seen.add(id);
    if (this.unsubscribed.some((u) => u.e === e && o > u.from && o <= u.to)) this.faults.add('seen while not subscribed');
    if (!this.at) this.faults.add('an event before the subscription');
    else if (this.at.e !== e) this.faults.add('another epoch without a word');
    else if (o <= this.at.o) this.faults.add('out of order');
    else if (this.missing(e, this.at.o, o - 1)) this.faults.add('a silent gap');
    this.at = { e, o };
    this.delivered++;
  }

  tell(from: KanavaPosition, to: KanavaPosition) {
    this.lost++;
    const at = { e: Number(to.e), o: to.o };
    if (Number(from.e) === at.e && at.o <= from.o) this.faults.add('lost went back');
    this.at = at;
  }

  missing(e: number, after: number, to: number): boolean {
    for (let o = after + 1; o <= to; o++) {
      const event = this.events.get(`${e}/${o}`);
      if (event && !event.hidden) return true;
    }
    return false;
  }
}

export class World {
  observer = new Observer();
  e = 1;
  o = 0;
  kept: Event[] = [];
  link: Event[] = []; // from the engine to the node
  node = { e: 1, o: 0 }; // what the node has sent
  // The connection.
  up = false;
  subscribed = false;
  behind = false;
  announced = false; // `sub` went out; until then the server keeps events in `early`
  early: any[] = [];
  down: any[] = [];
  asks: { e: number; o: number; answer: (frame: any) => void }[] = [];
  tasks: (() => void)[] = [];
  timers: (() => void)[] = [];
  first = true; // the client has no position: the next `sub` gives it one
  connection = 0;
  floor: { e: number; o: number } | undefined; // where the user was subscribed: nothing before it is recovered
  topic: KanavaTopic;
  random: (below: number) => number;
  faults: Faults;

  constructor(seed: number, faults: Faults) {
    this.random = seeded(seed);
    this.faults = faults;
    this.topic = this.follow();
    this.connect();
  }

  follow(): KanavaTopic {
    const topic = follow({
      deliver: (f) => {
        if (f.data !== undefined) this.observer.deliver(Number(f.data.split('/')[0]), Number(f.data.split('/')[1]));
      },
      lost: (from, to) => this.observer.tell(from, to),
      ask: (from, answer) => {
        if (this.random(4) === 0) {
          this.timers.push(() => this.topic.wake());
          return false;
        }
        const connection = this.connection;
        this.asks.push({
          e: Number(from.e), o: from.o,
          answer: (frame) => connection === this.connection && topic === this.topic && answer(frame),
        });
        return true;
      },
      later: (then) => this.timers.push(() => topic === this.topic && then()),
    });
    return topic;
  }

  publish() {
    const event = { e: this.e, o: ++this.o, hidden: !!this.faults.filter && this.random(3) === 0 };
    this.observer.events.set(`${event.e}/${event.o}`, event);
    this.kept.push(event);
    if (this.kept.length > history) this.kept.shift();
    if (!this.faults.stateless) this.link.push(event);
    else if (this.subscribed && this.up && this.random(8) > 0) this.event(event, event.o - 1);
  }

  /** The engine's answer to "what followed (e,o)": events, or nothing if it cannot tell. */
  read(e: number, o: number): Event[] | undefined {
    if (e !== this.e || o > this.o) return undefined;
    const after = this.kept.filter((event) => event.e === e && event.o > o);
    if (o < this.o && after[0]?.o !== o + 1) return undefined;
    return after;
  }

  nodeTakes() {
    const event = this.link.shift();
    if (!event || (event.e === this.node.e && event.o <= this.node.o)) return;
    if (event.e !== this.node.e || event.o !== this.node.o + 1) return this.nodeChecks();
    const p = this.node.o;
    this.node = { e: event.e, o: event.o };
    if (this.subscribed) this.event(event, p);
  }

  nodeChecks() {
    const events = this.read(this.node.e, this.node.o);
    if (!events) {
      this.node = { e: this.e, o: this.o };
      if (this.subscribed) this.emit({ kind: 'at', e: String(this.e), o: this.o });
      return;
    }
    for (const event of events) {
      const p = this.node.o;
      this.node.o = event.o;
      if (this.subscribed) this.event(event, p);
    }
  }

  event(event: Event, p: number) {
    if (!this.up) return;
    if (this.faults.slow && this.down.length >= queue) this.behind = true;
    if (this.behind) return;
    const frame: any = { kind: 'on', e: String(event.e), o: event.o };
    if (p !== event.o - 1 || this.random(2)) frame.p = p;
    if (!event.hidden) frame.data = `${event.e}/${event.o}`;
    this.emit(frame);
  }

  emit(frame: any) {
    if (!this.announced && !this.faults.stateless) this.early.push(frame);
    else if (this.up) this.down.push(frame);
  }

  connect() {
    if (this.up) return;
    this.up = true;
    this.subscribe();
  }

  subscribe() {
    let at: { e: number; o: number };
    this.tasks.push(
      () => {
        this.subscribed = true;
        this.behind = this.announced = false;
        this.early = [];
      },
      () => {
        at = { e: this.e, o: this.o };
        if (this.floor?.e !== at.e) this.floor = at;
      },
      () => {
        if (!this.subscribed || !this.up) return;
        this.down.push({ kind: 'sub', class: 'recoverable', e: String(at.e), o: at.o });
        this.announced = true;
        this.down.push(...this.early.splice(0));
      },
    );
  }

  serverAnswers() {
    const ask = this.asks.shift();
    if (!ask || !this.up) return;
    const say = (out: any): void => void this.tasks.push(() => this.down.push({ kind: 'answer', ask, out }));
    if (!this.subscribed) return say({ err: { code: 'not_found', message: 'x' } });
    if (this.faults.busy && this.random(3) === 0) return say({ err: { code: 'resource_exhausted', message: 'x', retryAfter: 10 } });
    this.tasks.push(() => {
      const events = this.read(ask.e, ask.o);
      if (!events || ask.o < this.floor!.o) return say({ out: { ok: false, e: String(this.e), o: this.o } });
      const more = events.length > page;
      const part = events.slice(0, page);
      let p = ask.o;
      const shown = part.filter((event) => !event.hidden).map((event) => {
        const frame = { p, o: event.o, data: `${event.e}/${event.o}` };
        p = event.o;
        return frame;
      });
      say({ out: { ok: true, e: String(this.e), o: more ? part.at(-1)!.o : this.o, more, events: shown } });
    });
  }

  clientTakes() {
    if (!this.down.length || !this.up) return;
    const i = this.faults.stateless ? this.random(this.down.length) : 0;
    const { kind, ask, out, ...frame } = this.down.splice(i, 1)[0]!;
    if (kind === 'answer') ask.answer(out);
    else if (kind === 'unsub') {
      this.topic = this.follow();
      this.first = true;
    } else {
      if (kind === 'sub' && this.first) {
        this.first = false;
        this.observer.at = { e: Number(frame.e), o: frame.o };
      }
      this.topic.frame(kind, frame);
    }
    if (this.behind && this.down.length <= queue / 2) {
      this.behind = false;
      if (this.subscribed) this.emit({ kind: 'at', e: String(this.node.e), o: this.node.o });
    }
  }

  cut() {
    this.up = this.subscribed = this.behind = this.announced = false;
    this.down = [];
    this.asks = [];
    this.tasks = [];
    this.timers = [];
    this.early = [];
    this.connection++;
    this.topic.drop();
  }

  step(quiet: boolean) {
    const n = this.random(100);
    if (n < 22 && !quiet) this.publish();
    else if (n < 40) this.nodeTakes();
    else if (n < 60) this.clientTakes();
    else if (n < 72) this.serverAnswers();
    else if (n < 86) this.tasks.shift()?.();
    else if (n < 90) this.timers.shift()?.();
    else if (n < 92 && this.faults.cut && !quiet) this.cut();
    else if (n < 96) this.connect();
    else if (quiet) return;
    else if (n === 96 && this.faults.restart) {
      this.e++;
      this.o = 0;
      this.kept = [];
      this.link = [];
      if (!this.faults.stateless) this.nodeChecks();
    } else if (n === 97 && this.faults.link) this.link.shift();
    else if (n === 98 && this.faults.expire) this.kept = [];
    else if (n === 99 && this.faults.unsub && this.subscribed && !this.tasks.length) {
      this.subscribed = false;
      this.floor = undefined;
      this.down.push({ kind: 'unsub' });
      const away = { e: this.e, from: this.o, to: this.o + 2 };
      this.publish();
      this.publish();
      this.observer.unsubscribed.push(away);
      while (this.link.length) this.nodeTakes();
      this.subscribe();
    }
  }

  run() {
    for (let i = 0; i < 300; i++) this.step(false);
    for (let i = 0; i < 800; i++) this.step(true);
    for (let k = 0; k < 3; k++) {
      // The check that comes by and by: the node reads positions, or the client pings.
      if (!this.faults.stateless) this.nodeChecks();
      else if (this.subscribed) this.down.push({ kind: 'at', e: String(this.e), o: this.o });
      for (let i = 0; i < 800; i++) this.step(true);
    }
    const { at, faults } = this.observer;
    if (at?.e !== this.e || this.observer.missing(this.e, at.o, this.o)) faults.add('stalled without a word');
    return this.observer;
  }
}
