// Package calls tests the outcome of each call of the Go client over a network
// that fails: slow, cut, reset, silent.
package calls
