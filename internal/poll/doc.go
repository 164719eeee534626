// Package poll watches many sockets with one goroutine a processor, so that a
// connection on which nothing happens costs neither a goroutine nor a timer nor
// a buffer. It is for Linux: elsewhere the package is empty.
//
// Each socket belongs to a loop for as long as it lives. A loop tells the
// socket's [Handler] what has happened, one after the other: events of the
// kernel, pokes of other goroutines, and the end of a time. A handler that is
// about to run code that may take long, such as functions of a program, says so
// with [Turn.Enter] and [Turn.Leave]. If that takes longer than about 200 µs, a
// fresh goroutine takes over the loop: nobody else waits for it.
//
// There are as many loops as processors. One begins with its first socket and
// ends with its last.
package poll
