// Package webpubsub runs the channels of a server on Azure Web PubSub, which holds
// WebSocket connections for programs that do not run all the time. The service posts
// what happens to them to a [Handler], for instance a function of Azure Functions;
// what a connection is stands in an [engine.Store].
//
//	func main() {
//		client, err := webpubsub.NewClient(webpubsub.ClientOptions{Endpoint: endpoint, Hub: "chat", AccessKey: key})
//		…
//		srv := kanava.NewServer(…)
//		srv.Wire(…)
//		http.Handle("/api/webpubsub", webpubsub.Handler(srv, webpubsub.Options{Store: store, Client: client}))
//		http.Handle("/api/negotiate", webpubsub.Negotiate(client, admit))
//		err = webpubsub.ServeFunctions(ctx, http.DefaultServeMux)
//	}
//
// The wiring is that of any other server. The handlers are an http.Handler each, for
// any server; [ServeFunctions] is one for Azure Functions.
//
// # Which channel
//
// The address of a hub is wss://host/client/hubs/HUB. A client comes to the channel
// that its query names, as ?channel=/rooms/7, which opening data does not see. Else it
// is the one whose route is "/HUB": so the hub "chat" is the address of the channel at
// "/chat", where generated clients look for it if their server is
// wss://host/client/hubs. If no channel has that route, and the server has one channel
// only, it is that one. [Options].Path may say otherwise. Each hub has a Handler and a
// Store of its own.
//
// # Who connects
//
// The service wants a token of its own in a client's address, see [Negotiate]; what is
// in it is found by [TokenOf]. Generated clients have no place for it: for them the
// hub allows anonymous clients, which show who they are as anywhere else, by a
// credential or by a function of the channel. Pages of other origins than the service,
// which are all, have to be among the Origins of the server's options.
//
// # What the platform can and cannot do
//
//   - A message has 1,000,000 bytes at most, either way; clients of kanava.v1 are told.
//     A reply that is larger is an error. Frames may be binary.
//   - A close has a reason, and no code of ours. Clients of kanava.v1 are told the code
//     before. Nor is the code told by which a client closes: OnDisconnect sees
//     CloseAbnormal.
//   - The addresses of clients are not told: Limits.AddressConns bounds nothing.
//   - The service accepts messages to connections that are gone. Their end is an event
//     of its own; one message in 16 is followed by a look whether the connection is
//     there, which finds those whose end was not told.
//   - A process that fails in the middle of a message leaves its client without an
//     answer: the service sends the event again, that is refused, and the connection
//     ends. Only what has not begun is done by another try.
//   - An event is one that comes from the service if it is signed, and has not come
//     before. Only the connection's id is signed, so the service must post to https://.
//   - A client that only listens, in the plain form, is forgotten after 7 days.
//   - Groups of the service are not used: who may see an event is decided for each
//     connection, see docs/adr/0011 of the repository.
//
// # What stands below
//
// [EventHandler] takes any function, and a [Client] sends to connections, users and
// groups, and manages them, for programs that want Web PubSub without channels.
//
// The package is a module of its own: who does not use Azure gets none of it.
package webpubsub
