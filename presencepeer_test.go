package kanava_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava"
)

// presencePeer is a client of kanava.v1 that reads when it is told to, and
// keeps what it was told of presences as the protocol says.
type presencePeer struct {
	srv    *server
	link   *kanava.Link
	ch     *line
	open   bool
	seen   map[string]*presenceSeen // by topic
	pages  []presencePage           // the answers to its requests
	errors []string                 // codes of errors
	bytes  int                      // of all frames
	large  bool                     // the data of members is
	frames int                      // of presences
}

// presenceSeen is what a client knows of one topic.
type presenceSeen struct {
	subscribed bool
	v          uint64
	count      int
	listed     bool
	members    map[string]presenceMember
	told       []presenceFrame
}

type presenceMember struct {
	ID   string         `json:"id"`
	N    int            `json:"n"`
	Data jsontext.Value `json:"data"`
}

type presenceFrame struct {
	Presence string            `json:"presence"`
	V        uint64            `json:"v"`
	All      *[]presenceMember `json:"all"`
	Join     *[]presenceMember `json:"join"`
	Leave    *[]string         `json:"leave"`
	Count    *int              `json:"count"`
}

type presencePage struct {
	V     uint64           `json:"v"`
	All   []presenceMember `json:"all"`
	Count int              `json:"count"`
	Next  string           `json:"next"`
}

// Wake implements kanava.Peer.
func (*presencePeer) Wake() {}

// openPresence connects to the channel /test, which has no OnConnect.
func openPresence(srv *server) (*presencePeer, error) {
	p := &presencePeer{srv: srv, seen: map[string]*presenceSeen{}}
	link, err := srv.Open(ctx, &kanava.OpenRequest{
		URL: &url.URL{Path: "/test"}, Host: "kanava.test", Header: http.Header{}, Subprotocols: []string{"kanava.v1"},
	}, p)
	if err != nil {
		return nil, err
	}
	p.link, p.open = link, true
	link.Start()
	link.Receive([]byte(`{"hello":{}}`), false)
	for { // OnConnect is over
		frames, closing := link.Take(nil, 64<<10)
		if closing != nil {
			return nil, fmt.Errorf("closed: %v", closing)
		}
		if len(frames) > 0 && strings.HasPrefix(string(frames[len(frames)-1].Data), `{"push":""`) {
			break
		}
		yield()
	}
	conn, err := srv.Conns().Get(ctx, link.ID())
	if err != nil {
		return nil, err
	}
	p.ch = conn.(*line)
	return p, nil
}

// leave ends the connection.
func (p *presencePeer) leave() {
	p.open = false
	p.link.Disconnect(kanava.CloseGoingAway, "")
}

// take reads all that there is, and says what is wrong with it.
func (p *presencePeer) take() error {
	for p.open {
		frames, closing := p.link.Take(nil, 64<<10)
		for _, f := range frames {
			if f.Binary {
				continue
			}
			p.bytes += len(f.Data)
			if err := p.frame(f.Data); err != nil {
				return fmt.Errorf("%w: %s", err, f.Data)
			}
		}
		if closing != nil {
			p.open = false
			p.link.Disconnect(closing.Code, closing.Reason)
		}
		if len(frames) == 0 {
			break
		}
	}
	return nil
}

func (p *presencePeer) frame(data []byte) error {
	var f struct {
		Sub, Unsub *string
		Re         *uint64
		Out        *presencePage
		Err        *struct{ Code string }
		Presence   *string
		X          jsontext.Value `json:",unknown"`
	}
	if err := json.Unmarshal(data, &f, json.MatchCaseInsensitiveNames(true)); err != nil {
		return err
	}
	switch {
	case f.Sub != nil:
		p.seen[*f.Sub] = &presenceSeen{subscribed: true, members: map[string]presenceMember{}}
	case f.Unsub != nil:
		p.seen[*f.Unsub].subscribed = false
	case f.Err != nil:
		p.errors = append(p.errors, f.Err.Code)
	case f.Out != nil:
		p.pages = append(p.pages, *f.Out)
	case f.Presence != nil:
		p.frames++
		var pf presenceFrame
		if err := json.Unmarshal(data, &pf, json.RejectUnknownMembers(true)); err != nil {
			return err
		}
		seen := p.seen[pf.Presence]
		if seen == nil || !seen.subscribed {
			return fmt.Errorf("a presence without a subscription")
		}
		if pf.All == nil && pf.Join == nil && *pf.Count <= 150 && !p.large {
			return fmt.Errorf("only the number of so few")
		}
		return seen.apply(pf)
	}
	return nil
}

// apply keeps the rules of a client: docs/protocol.md D12.
func (s *presenceSeen) apply(f presenceFrame) error {
	if f.V != s.v+1 {
		return fmt.Errorf("v is %d after %d", f.V, s.v)
	}
	if f.Count == nil {
		return fmt.Errorf("no count")
	}
	s.v, s.count = f.V, *f.Count
	s.told = append(s.told, f)
	switch {
	case f.All != nil && f.Join == nil && f.Leave == nil:
		s.listed, s.members = true, map[string]presenceMember{}
		for i, m := range *f.All {
			if i > 0 && (*f.All)[i-1].ID >= m.ID {
				return fmt.Errorf("members out of order")
			}
			s.members[m.ID] = m
		}
	case f.All == nil && f.Join != nil && f.Leave != nil:
		if !s.listed {
			return fmt.Errorf("a difference to what was not told")
		}
		if len(*f.Join)+len(*f.Leave) == 0 {
			return fmt.Errorf("a difference that is none")
		}
		for _, id := range *f.Leave {
			if _, known := s.members[id]; !known {
				return fmt.Errorf("%s leaves, and was not there", id)
			}
			delete(s.members, id)
		}
		for _, m := range *f.Join { // perhaps as before: there and back again is a change too
			s.members[m.ID] = m
		}
	case f.All == nil && f.Join == nil && f.Leave == nil:
		s.listed = false
		s.members = map[string]presenceMember{}
	default:
		return fmt.Errorf("all with join or leave")
	}
	if s.listed && len(s.members) != s.count {
		return fmt.Errorf("%d members, and the count is %d", len(s.members), s.count)
	}
	return nil
}

// who tells the members of a topic as this client has them: "ann*2=1 bob*1=2".
func (p *presencePeer) who(topic string) string {
	s := p.seen[topic]
	if s == nil {
		return "not subscribed"
	}
	return presenceText(s.members)
}
