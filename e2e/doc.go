// Package e2e holds the scenario that clients have to survive: the chat
// example, its server killed and started again, the network cut, blackholed
// and slowed, sessions that expire. Its clients are the page in Chromium, a
// Node program with the same generated client, and a program with the
// generated Go client. None of them may see an event twice or out of order, or
// miss one without being told.
package e2e
