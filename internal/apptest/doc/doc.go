// Package doc tests that an editor for several people is easy to write: edits
// of a document go to all others who have it open.
//
// Who is here is a Presence, and each one's cursor a Value, kept with the
// connection.
//
// To be added: with ClientFunc, the question "really?" before an edit, which is
// why Apply is Concurrent; with the delivery classes, edits are Recoverable; with
// View, notes go to editors only, which outgoing middleware does for now.
package doc
