// Microsoft's client of the REST API. node service.js <connection string>
import { WebPubSubServiceClient } from "@azure/web-pubsub";
import { payload, serve } from "./lines.js";

const client = new WebPubSubServiceClient(process.argv[2], "chat", {
  allowInsecureConnection: true,
  retryOptions: { maxRetries: 3, retryDelayInMs: 10, maxRetryDelayInMs: 20 },
});

const options = ({ as, except, reason }) => ({
  ...(as === "text" && { contentType: "text/plain" }),
  ...(except && { excludedConnections: except }),
  ...(reason && { reason }),
});

const done = async (call) => void (await call); // what a call answers besides is undocumented

serve({
  sendToAll: (c) => done(client.sendToAll(payload(c), options(c))),
  sendToUser: (c) => done(client.sendToUser(c.user, payload(c), options(c))),
  sendToGroup: (c) => done(client.group(c.group).sendToAll(payload(c), options(c))),
  sendToConnection: (c) => done(client.sendToConnection(c.connection, payload(c), options(c))),
  closeConnection: (c) => done(client.closeConnection(c.connection, options(c))),
  closeUser: (c) => done(client.closeUserConnections(c.user, options(c))),
  closeGroup: (c) => done(client.group(c.group).closeAllConnections(options(c))),
  connectionExists: (c) => client.connectionExists(c.connection),
  addToGroup: (c) => done(client.group(c.group).addConnection(c.connection)),
  removeFromGroup: (c) => done(client.group(c.group).removeConnection(c.connection)),
  removeFromAllGroups: (c) => done(client.removeConnectionFromAllGroups(c.connection)),
  clientURL: async (c) =>
    (await client.getClientAccessToken({ userId: c.user, roles: c.roles, groups: c.groups, expirationTimeInMinutes: c.minutes })).url,
});
