// Package chat tests that a chat is easy to write: rooms, people who sign in
// on an open connection, messages to the others in the room, jobs that report
// their progress, and a broadcast for administrators.
//
// To be added with transport/sse: the same route for clients without
// WebSocket, as the fallback of ws.Handler.
package chat
