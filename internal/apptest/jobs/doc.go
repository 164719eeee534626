// Package jobs tests that functions which know nothing of channels are easy to
// write and to mount: one starts a job, another streams its progress.
//
// To be added with Server.WireHTTP: the same two values as "POST /jobs" and,
// as server-sent events, "GET /jobs/{id}/events", served by package httpfunc.
package jobs
