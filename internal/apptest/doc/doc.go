// Package doc tests that an editor for several people is easy to write: edits
// of a document go to all others who have it open.
//
// To be added: with Presence, who is here; with Value, each one's cursor, kept
// with the connection; with ClientFunc, the question "really?" before an edit,
// which is why Apply is Concurrent; with the delivery classes, edits are
// Recoverable; with View, notes go to editors only, which outgoing middleware
// does for now.
package doc
