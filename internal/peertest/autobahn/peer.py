"""A WebSocket peer that does as it is told, right or wrong.

    peer.py client    takes a case a line from standard input, connects for it
    peer.py server    prints its port; a connection brings its case in its query

For each case it prints a line: what came, how the connection ended, and what
autobahn found wrong with it. autobahn_test.go has the cases, and tells what
their members mean.
"""

import base64
import json
import os
import sys
import traceback
from urllib.parse import unquote

from autobahn.twisted.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
    WebSocketServerFactory,
    WebSocketServerProtocol,
)
from autobahn.websocket.compress import (
    PerMessageDeflateOffer,
    PerMessageDeflateOfferAccept,
    PerMessageDeflateResponse,
    PerMessageDeflateResponseAccept,
)
from twisted.internet import reactor

# What both sides do beside autobahn's defaults: close as RFC 6455 wants, and be
# patient, because the machine may be busy.
OPTIONS = {"failByDrop": False, "echoCloseCodeReason": True, "openHandshakeTimeout": 15, "closeHandshakeTimeout": 15}


def say(report):
    print(json.dumps(report), flush=True)


class Case:
    """One connection, in either role."""

    case = None

    def begin(self, case):
        self.case = case
        self.todo = list(case.get("steps", []))
        self.report = {"got": []}

    def onOpen(self):
        self.report["opened"] = True
        self.report["protocol"] = self.websocket_protocol_in_use
        self.report["extensions"] = [str(e) for e in self.websocket_extensions_in_use]
        self.go_on()

    def go_on(self):
        try:
            while self.todo and len(self.report["got"]) >= self.todo[0].get("await", 0):
                self.do(self.todo.pop(0))
        except Exception:  # which autobahn would keep to itself
            traceback.print_exc()
            os._exit(1)

    def do(self, step):
        data = base64.b64decode(step.get("data", ""))
        kind = step["do"]
        if kind == "frame":
            # The option, as the parameter mask does not send the mask.
            rightly = not self.factory.isServer
            self.maskClientFrames = self.maskServerFrames = rightly != step.get("wrongMask", False)
            self.sendFrame(
                step.get("op", 0), data, fin=not step.get("more"), rsv=step.get("rsv", 0), chopsize=step.get("chop")
            )
        elif kind == "bytes":
            self.sendData(data)
        elif kind == "message":
            self.sendMessage(data, step.get("binary", False), step.get("fragment"))
        elif kind == "ping":
            self.sendPing(data)
        elif kind == "close":
            self.sendClose(step.get("code"), step.get("reason"))
        elif kind == "drop":
            self.transport.loseConnection()
        elif kind == "cut":
            self.transport.abortConnection()

    def came(self, kind, data):
        self.report["got"].append({"kind": kind, "data": base64.b64encode(data).decode()})
        self.go_on()

    def onMessage(self, payload, isBinary):
        if self.case.get("echo"):
            self.sendMessage(payload, isBinary, self.case.get("fragment"))
        self.came("binary" if isBinary else "text", payload)

    def onPing(self, payload):
        super().onPing(payload)
        self.came("ping", payload)

    def onPong(self, payload):
        self.came("pong", payload)

    def _fail_connection(self, code=1001, reason="going away"):
        self.report.setdefault("fault", f"{code}: {reason}")
        super()._fail_connection(code, reason)

    def failHandshake(self, reason, *more):
        self.report["refused"] = reason
        super().failHandshake(reason, *more)

    def onClose(self, wasClean, code, reason):
        if self.case is None:
            return
        self.report["clean"] = wasClean
        if self.remoteCloseCode is not None:
            self.report["code"] = self.remoteCloseCode
        self.report["wire"] = self.trafficStats.incomingOctetsWebSocketLevel
        self.report["reason"] = self.remoteCloseReason or ""
        if not wasClean and self.wasNotCleanReason:
            self.report["unclean"] = self.wasNotCleanReason
        say(self.report)


class Client(Case, WebSocketClientProtocol):
    pass


class Server(Case, WebSocketServerProtocol):
    def onConnect(self, request):
        self.begin(json.loads(base64.urlsafe_b64decode(unquote(request.params["case"][0]))))
        wanted = self.case.get("protocol")
        return wanted if wanted in request.protocols else None


def connect(case):
    factory = WebSocketClientFactory(
        case["url"],
        origin=case.get("origin"),
        protocols=case.get("protocols"),
        headers=case.get("headers"),
    )

    def build():
        protocol = Client()
        protocol.begin(case)
        return protocol

    factory.protocol = build
    factory.setProtocolOptions(version=case.get("version", 18), serverConnectionDropTimeout=15, **OPTIONS)
    if "deflate" in case:
        factory.setProtocolOptions(
            perMessageCompressionOffers=[PerMessageDeflateOffer(**case["deflate"])],
            perMessageCompressionAccept=lambda response: PerMessageDeflateResponseAccept(response)
            if isinstance(response, PerMessageDeflateResponse)
            else None,
        )
    reactor.connectTCP(factory.host, factory.port, factory)


def accept(offers):
    for offer in offers:
        if isinstance(offer, PerMessageDeflateOffer):
            return PerMessageDeflateOfferAccept(offer)
    return None


def read_cases():
    """Connects for each line; ends the program when there are no more."""
    for line in sys.stdin:
        reactor.callFromThread(connect, json.loads(line))
    reactor.callFromThread(reactor.stop)


if sys.argv[1] == "server":
    listening = WebSocketServerFactory()
    listening.protocol = Server
    listening.setProtocolOptions(perMessageCompressionAccept=accept, **OPTIONS)
    say({"port": reactor.listenTCP(0, listening, interface="127.0.0.1").getHost().port})
reactor.callInThread(read_cases)
reactor.run()
