// Package jobs tests that functions which know nothing of channels are easy to
// write and to mount: one starts a job, another streams its progress, on a
// channel and over HTTP.
package jobs
