// Microsoft's handler of events: what handler_test.go does in Go.
// node handler.js <endpoint of the service>
import http from "node:http";
import { WebPubSubEventHandler } from "@azure/web-pubsub-express";
import { say, serve } from "./lines.js";

const seen = (event, { userId, hub, connectionId, eventName, states }, more) =>
  say({ event, context: { userId, hub, connectionId, eventName, states }, ...more });

const handler = new WebPubSubEventHandler("chat", {
  path: "/upstream",
  allowedEndpoints: [process.argv[2]],
  handleConnect(req, res) {
    seen("connect", req.context, { claims: Object.keys(req.claims).sort(), query: req.queries, subprotocols: req.subprotocols });
    const { user, refuse, bare } = req.queries;
    if (refuse) {
      res.fail(Number(refuse[0]), "no entry");
    } else if (bare) {
      res.success();
    } else {
      res.setState("from", user[0]);
      res.success({
        userId: user[0],
        groups: ["everybody"],
        roles: ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup.news"],
        subprotocol: req.subprotocols.includes("kanava.v1") ? "kanava.v1" : undefined,
      });
    }
  },
  handleUserEvent(req, res) {
    const data = req.dataType === "binary" ? req.data.toString("base64") : req.data;
    seen("user", req.context, { as: req.dataType, data });
    switch (data) {
      case "silent":
        return res.success();
      case "fail":
        return res.fail(400, "no");
      case "state":
        res.setState("asked", true);
        return res.success(JSON.stringify(req.context.states), "json");
    }
    return res.success(req.dataType === "json" ? JSON.stringify(req.data) : req.data, req.dataType);
  },
  onConnected: (req) => seen("connected", req.context),
  onDisconnected: (req) => seen("disconnected", req.context, { reason: req.reason }),
});

const middleware = handler.getMiddleware();
const server = http.createServer((req, res) => {
  // The two properties that Express adds and the middleware reads.
  req.baseUrl = "";
  req.path = new URL(req.url, "http://localhost").pathname;
  middleware(req, res, (err) => {
    res.statusCode = err ? 500 : 404;
    res.end();
  });
});
server.listen(0, "127.0.0.1", () => say({ event: "listening", port: server.address().port }));
serve({});
