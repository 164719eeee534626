// Package peertest holds tests with neighbours that are not written in Go, and
// share no code with Kanava: they need programs that a machine may not have, so
// "make peers", "make aws" and "make azure" run them, and "make test" does not.
//
//   - autobahn: WebSocket connections with the Python library of this name, in
//     both roles
//   - eventsource: server-sent events with the EventSource of Chromium
//   - aws: what AWS has in place of a server, emulated, with Lambda functions
//   - nginx: a server behind nginx, with the configuration that the guide shows
//   - webpubsub: Microsoft's packages for Azure Web PubSub, on all sides of a
//     service that is played
//
// The module stands outside go.work, so that "go test work" leaves it alone.
package peertest
