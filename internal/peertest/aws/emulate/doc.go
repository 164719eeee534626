// Package emulate starts, for a test, what AWS has in place of a server: two
// emulators of API Gateway, one of DynamoDB, and Lambda's Runtime API. Others
// wrote the emulators, in JavaScript; js/package.json names them, and "make aws"
// installs them.
//
//   - [Offline] is serverless-offline: messages meet warm processes, as on AWS
//   - [Sandbox] is Architect's sandbox: every message meets a new process
//   - [Dynamo] is dynalite
//   - [NewLambda] is Lambda alone, for events that no emulator sends
//
// All run the same bootstrap, an ordinary Linux program that Lambda could run,
// and the package does not know what is in it. [Build] makes one.
//
// Everything ends with the test. If the test itself is killed, the emulators
// notice that and end, and a bootstrap ends when it misses its Runtime API; one
// that hangs in the midst of an event stays.
//
// What the emulators do that AWS does not is written beside the tests here that
// show it.
package emulate
