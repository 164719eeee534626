package emulate

// Gateway is an API Gateway with a WebSocket API and an HTTP API, and the same
// function behind both. They are there until the test ends.
type Gateway struct {
	// URL is that of the WebSocket API, "ws://…".
	URL string
	// HTTP is that of the HTTP API, "http://…" without a slash at the end. All of
	// its requests go to the function, with payload 2.0.
	HTTP string
	// Management is the endpoint of the API that posts to connections, for the AWS
	// SDK: "http://…" without "/@connections".
	Management string
	// Lambda runs the function's processes. It is nil for the sandbox, which runs
	// them itself.
	Lambda *Lambda
}
