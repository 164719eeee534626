// Package awslambda runs the channels of a server on AWS Lambda, behind a WebSocket
// API of API Gateway. No process lives as long as a connection does: the gateway
// holds the connections and hands each of their events to a function, and what a
// connection is stands in a [engine.Store].
//
//	func main() {
//		cfg, err := config.LoadDefaultConfig(context.Background())
//		…
//		store, err := dynamodb.NewStore(awsdynamodb.NewFromConfig(cfg), "chat")
//		…
//		srv := kanava.NewServer(…)
//		srv.Wire(…)
//		lambda.Start(awslambda.Handler(srv, awslambda.Options{Config: cfg, Store: store}))
//	}
//
// The wiring is that of any other server. The routes $connect, $disconnect and
// $default of the API call the function by a proxy integration. So may others: a
// message is routed by what is wired, whatever the API has chosen.
//
// # Which channel
//
// A WebSocket API has no paths: its address is wss://host/stage. A client comes to
// the channel whose route is "/stage". So the stage "chat" is the address of the
// channel at "/chat", which is where generated clients look for it; for several
// channels the API has several stages. If no channel has that route, and the server
// has one channel only, it is that one. [Options].Path may say otherwise.
//
// # Functions over HTTP
//
// Events of an HTTP API (payload 2.0), or of a function URL, go to the functions
// wired with [kanava.Server.WireHTTP], or to Options.HTTP. A response is sent when it
// is complete: a stream comes as a whole, when its function has ended.
//
// # What the platform can and cannot do
//
//   - A message to a client has 128 KB at most; what is larger is logged and
//     dropped. A frame of a client has 32 KB at most, and browsers send a message as
//     one frame; clients of kanava.v1 are told.
//   - Messages are text. Clients of kanava.v1 get bytes in base64.
//   - Nothing can be sent before $connect is answered. What OnConnect returns in the
//     plain form comes with the answer to the client's first message.
//   - A close has no code of ours. Clients of kanava.v1 are told it before.
//   - Events of a connection may run at once, and in any order.
//   - The gateway ends a connection after 2 hours, and after 10 minutes in which
//     nothing was said; a message takes 29 s at most.
//   - $disconnect comes almost always. If it does not, the connection is found gone
//     when it is next sent to, and OnDisconnect runs then.
//
// The context of a function ends some time before the platform ends the process, so
// that the client can be told.
package awslambda
