// Package chat runs the example examples/serverless/aws, the chat without a server,
// behind both emulators of API Gateway, with all its state in one of DynamoDB. There is
// nothing in it but tests; "make aws" runs them.
package chat
