package client

import "time"

// Phase is where a connection stands.
type Phase string

// The phases. A connection goes through them again each time it is lost, until
// it is closed.
const (
	Idle       Phase = "idle"       // before the first try
	Connecting Phase = "connecting" // the transport connects
	Greeting   Phase = "greeting"   // the client has said hello
	Open       Phase = "open"       // calls go out, once the client has authenticated
	Leaving    Phase = "leaving"    // the server asks to come back: running calls finish, new ones wait
	Waiting    Phase = "waiting"    // until State.Next
	Closed     Phase = "closed"     // for good
)

// State says where a connection stands, and why the last one ended.
type State struct {
	Phase  Phase
	Code   CloseCode // of the last end, where the phase is Leaving, Waiting or Closed
	Reason string    // the same in words, for people and logs
	// Next is when the next try begins, where the phase is Leaving or Waiting.
	Next time.Time
	// Transport is what the connection travels by, where the phase is Open or
	// Leaving.
	Transport Transport
	// Contract is what the server says of itself, while the phase is Open. It
	// may be newer than the client's.
	Contract string
}

// CloseCode says why a connection ended: a number of the WebSocket close-code
// space.
type CloseCode uint16

// The close codes that the client itself uses.
const (
	CloseNormal          CloseCode = 1000 // Close was called
	CloseLost            CloseCode = 1006 // the connection is gone, or could not be made
	CloseUnauthenticated CloseCode = 4401 // Authenticate was refused
	CloseNoPong          CloseCode = 4408 // the server is silent
	CloseSlowConsumer    CloseCode = 4409 // this client's handlers are too slow
	CloseUpgradeRequired CloseCode = 4426 // the server no longer takes clients as old as this one
)

// stops reports whether a client stays away after a close with this code
// (docs/protocol.md section 6).
func (code CloseCode) stops() bool {
	switch code {
	case CloseUnauthenticated, CloseNoPong, CloseSlowConsumer, 4429:
		return false
	case 1000, 1002, 1003, 1007, 1008, 1009, 1010:
		return true
	}
	return code >= 4000 && code < 4200 || code >= 4400 && code < 4500
}
