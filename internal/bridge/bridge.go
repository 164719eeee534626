// Package bridge lets package kanavatest reach what package kanava does not
// export. Package kanava sets the variables when it is initialised.
package bridge

// SetOpening puts opening data into a *kanava.OpenRequest, in place of what its
// path, query and header say.
var SetOpening func(request, opening any)

// Idle reports whether a *kanava.Link has no call running or waiting, and an
// empty outbox.
var Idle func(link any) bool
