// Package memory joins hubs that run in one process: a [Backend] is what they
// have in common, and each of its [Engine]s is for one hub. It is for tests of
// programs that will run on several nodes, and for programs that have several
// hubs. It joins no processes, and what it keeps ends with this one. A [Store]
// keeps connections, for programs behind a gateway.
//
// It is also the plainest form of what package engine promises: engines that
// need a server are measured by the same tests. With the faults that it has on
// demand a test sees how a program gets on when events are lost, late or
// doubled, when the link to the server is cut, and when the server forgets.
//
// # What is kept
//
// Recoverable topics keep their last Size events for TTL, Latest topics the
// newest event of each of 1,024 keys for 24 h; the position of a topic is kept
// for 25 h after it was used last, and longer than its events. IDs of
// publications are kept for two minutes. For each engine at most 64 MiB wait to
// be delivered; beyond that the events of a topic are dropped, and the hub is
// told by Resumed.
//
// Time is that of package time, so that a bubble of testing/synctest holds all
// of it. A goroutine runs only while something waits to be delivered, and one
// timer while something is kept that will end; both end when the last engine is
// closed.
package memory
