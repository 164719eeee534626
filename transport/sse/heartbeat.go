package sse

import (
	"time"

	"github.com/kanava-go/kanava"
)

// beat runs when the timer of the stream fires. It tells a client that has long
// been told nothing that it is still connected, and one of kanava.v1 also if it
// has long said nothing; one that stays silent is given up. It returns when to
// look again.
func (s *stream) beat() (next time.Duration, end *kanava.Closing) {
	now := time.Since(s.born)
	quiet, silent := s.told, now+s.h.o.Ping // since when; when a silent client is given up
	if s.envelope {
		heard := time.Duration(s.heard.Load())
		silent = heard + s.h.o.Ping + s.h.o.PongWait
		if s.pinged < heard+s.h.o.Ping { // it has not been asked
			quiet = min(quiet, heard)
		}
	}
	if now >= silent {
		how := s.leave(closing(kanava.CloseTimeout), true)
		return 0, &how
	}
	if now >= quiet+s.h.o.Ping {
		life := []byte(comment)
		if alive := s.link.KeepAlive(); alive != nil && s.opened { // nothing comes before the first frame
			life = appendText(nil, alive)
		}
		if end := s.tell(life); end != nil {
			return 0, end
		}
		s.pinged, quiet = s.told, s.told
	}
	return max(min(quiet+s.h.o.Ping, silent)-now, time.Millisecond), nil
}

// hear notes a sign of life of the client.
func (s *stream) hear() { s.heard.Store(int64(time.Since(s.born))) }

// closing returns the end with a code whose reason is its name.
func closing(code kanava.CloseCode) *kanava.Closing {
	return &kanava.Closing{Code: code, Reason: code.String()}
}
