// Something between client and server, which does to connections what such things do.
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

export type Block = 'nothing' | 'answers 200' | 'answers 400' | 'answers 426' | 'swallows' | 'cuts after 101' | 'is deaf after 101';

export class Proxy {
  /** What it does to WebSockets. */
  block: Block = 'nothing';
  /** How many answers to POSTs that say something it loses. */
  loses = 0;
  /** How many such POSTs it has seen. */
  posts = 0;
  private target!: { host: string; port: number };
  private readonly open = new Set<Socket>();
  private readonly server: Server = createServer((client) => this.serve(client));

  async listen(target: string): Promise<string> {
    this.pointAt(target);
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  pointAt(target: string) {
    const { hostname, port } = new URL(target);
    this.target = { host: hostname, port: Number(port) };
  }

  /** Cuts everything that goes through. */
  cut() {
    for (const socket of this.open) socket.destroy();
  }

  close() {
    this.cut();
    this.server.close();
  }

  private add(socket: Socket, other?: Socket) {
    this.open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => {
      this.open.delete(socket);
      other?.destroy();
    });
  }

  private serve(client: Socket) {
    this.add(client);
    client.once('data', (head) => {
      const isSocket = /^upgrade: websocket/im.test(String(head));
      const status = /\d+/.exec(this.block)?.[0];
      if (isSocket && this.block === 'swallows') return;
      if (isSocket && this.block.startsWith('answers')) return void client.end(`HTTP/1.1 ${status} No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno`);
      const server = connect(this.target);
      this.add(server, client);
      client.on('close', () => server.destroy());
      server.write(head);
      let deaf = false;
      let post = this.count(head);
      client.on('data', (data) => {
        if (this.count(data)) post = true;
        if (!deaf) server.write(data);
      });
      server.on('data', (data) => {
        if (isSocket && this.block === 'cuts after 101') return void client.end(data.subarray(0, data.indexOf('\r\n\r\n') + 4), () => client.destroy());
        if (isSocket && this.block === 'is deaf after 101') deaf = true;
        if (post && this.loses-- > 0) return void client.destroy();
        post = false;
        client.write(data);
      });
    });
  }

  private count(data: Buffer): boolean {
    const post = /^kanava-up: /im.test(String(data));
    this.posts += +post;
    return post;
  }
}
