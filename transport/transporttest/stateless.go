package transporttest

import "maps"

// Why some things cannot be seen where a platform holds the clients.
const (
	unread = "the platform takes what a client does not read"
	apart  = "the end of a connection is an event of its own, which can meet another process than functions that still run"
	over   = "the connections are the platform's: they go on when a process ends"
)

// statelessOmits is what no stateless transport can be tested for; see
// Transport.Omit.
var statelessOmits = map[string]string{
	"needs process": "each message may meet another process",
	"D8 middleware changes and drops what is recovered":                        "an event that is on its way while a client subscribes comes once more: D5 drops it",
	"P14 a full connection is not read until there is room":                    unread,
	"P14 a client that sends faster than it reads is slowed down":              unread,
	"D11 a client that never reads is closed and costs the others nothing":     unread,
	"D11 a client that never reads loses Volatile events only":                 unread,
	"D11 a client that never reads gets the newest Latest event":               unread,
	"D11 a client that never reads gets on with a Recoverable topic":           unread,
	"P12 a stream waits for its client and ends with it":                       unread,
	"P12 a stream goes on when its client reads again":                         unread,
	"P16 contexts end with the connection":                                     apart,
	"§5 OnDisconnect runs once, after the functions":                           apart,
	"§5 a close of the server is seen by OnDisconnect":                         "it closes a channel that was kept beyond its call",
	"§5 every OnConnect has an OnDisconnect, also while the server shuts down": over,
	"§5 shutdown lets functions finish and tells clients to come back":         over,
	"§5 shutdown does not wait longer than it may":                             over,
	"S5 a connection is closed some time after its session has expired":        "no timer runs between events: it is closed at the next one, or when something is to be sent",
	"§9 connections from one address are bounded":                              "the platform counts them",
}

// omits is Omit with what goes without saying.
func (tr *Transport) omits() map[string]string {
	if !tr.Stateless {
		return tr.Omit
	}
	all := maps.Clone(statelessOmits)
	maps.Copy(all, tr.Omit)
	return all
}
