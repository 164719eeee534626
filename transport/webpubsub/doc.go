// Package webpubsub speaks with Azure Web PubSub, which holds WebSocket
// connections for programs that do not run all the time. The service posts what
// happens to them to an [EventHandler]; by its REST API a [Client] sends to
// connections and manages them.
//
//	http.Handle("/api/webpubsub", webpubsub.EventHandler(handle, webpubsub.EventOptions{…}))
//
// The handler is an http.Handler for any server; [ServeFunctions] is one for Azure
// Functions.
//
// The package is a module of its own: who does not use Azure gets none of it.
package webpubsub
