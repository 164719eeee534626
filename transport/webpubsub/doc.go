// Package webpubsub speaks with Azure Web PubSub, which holds WebSocket
// connections for programs that do not run all the time: a [Client] sends to
// connections and manages them by the REST API of the service.
//
// The package is a module of its own: who does not use Azure gets none of it.
package webpubsub
