// Microsoft's WebSocket client, with the subprotocol json.webpubsub.azure.v1.
import { WebPubSubClient, WebPubSubJsonProtocol } from "@azure/web-pubsub-client";
import { payload, say, serve } from "./lines.js";

const plain = ({ dataType, data, group, fromUserId }) => ({
  as: dataType,
  data: dataType === "binary" ? Buffer.from(data).toString("base64") : data,
  group,
  fromUserId,
});

let client;
serve({
  async start({ url }) {
    client = new WebPubSubClient(url, { protocol: WebPubSubJsonProtocol(), autoReconnect: false, messageRetryOptions: { maxRetries: 0 } });
    client.on("connected", (e) => say({ event: "connected", connection: e.connectionId, user: e.userId }));
    client.on("disconnected", (e) => say({ event: "disconnected", message: e.message?.message }));
    client.on("stopped", () => say({ event: "stopped" }));
    client.on("server-message", (e) => say({ event: "server", ...plain(e.message) }));
    client.on("group-message", (e) => say({ event: "group", ...plain(e.message) }));
    await client.start();
  },
  stop: () => client.stop(),
  joinGroup: (c) => client.joinGroup(c.group),
  leaveGroup: (c) => client.leaveGroup(c.group),
  sendToGroup: (c) => client.sendToGroup(c.group, payload(c), c.as, { noEcho: c.noEcho }),
  sendEvent: (c) => client.sendEvent(c.name, payload(c), c.as),
});
