package client

import (
	"bytes"
	"errors"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava/internal/jsonscan"
)

// This file reads the frames of kanava.v1 (docs/protocol.md section 3).

// The members that are looked for in a frame. The first ones name its kind.
const (
	memberOpen = iota
	memberRe
	memberPush
	memberBin
	memberSub
	memberOn
	memberAt
	memberUnsub
	memberPresence
	memberCall
	memberCancel
	memberSession
	memberAway
	kinds // their number

	memberID = iota - 1
	memberIn
	memberMs
	memberItem
	memberOut
	memberErr
	memberV
	memberClass
	memberE
	memberO
	memberP
	memberK
	memberData
	memberB64
	members // their number
)

var frameMembers = []string{
	memberOpen: "open", memberRe: "re", memberPush: "push", memberBin: "bin", memberSub: "sub", memberOn: "on", memberAt: "at",
	memberUnsub: "unsub", memberPresence: "presence", memberCall: "call", memberCancel: "cancel", memberSession: "session", memberAway: "away",
	memberID: "id", memberIn: "in", memberMs: "ms", memberItem: "item", memberOut: "out", memberErr: "err", memberV: "v",
	memberClass: "class", memberE: "e", memberO: "o", memberP: "p", memberK: "k", memberData: "data", memberB64: "b64",
}

// frame is one frame and where its members stand in it. It is gone when the
// next message is read: what has to last is cloned.
type frame struct {
	data  []byte
	found [members]jsonscan.Member
	kind  int // kinds stands for none of the known ones
	id    uint64
}

var (
	errNoObject = errors.New("not an object")
	errTwoKinds = errors.New("two kinds in one frame")
	errInteger  = errors.New("not an integer from 0 to 2^53-1")
	errText     = errors.New("not a string")
	errMissing  = errors.New("a member is missing")
)

// parse finds the members of a frame and its kind.
func (f *frame) parse(data []byte) error {
	f.data, f.kind, f.id = data, kinds, 0
	is, err := jsonscan.Scan(data, frameMembers, f.found[:], jsonscan.Limits{Depth: jsonscan.MaxDepth})
	if err != nil {
		return err
	}
	if is != jsonscan.KindObject {
		return errNoObject
	}
	for k := range kinds {
		if !f.has(k) {
			continue
		}
		if f.kind != kinds {
			return errTwoKinds
		}
		f.kind = k
	}
	return nil
}

// isEmpty reports whether the frame, which has no kind, has no members at all.
func (f *frame) isEmpty() bool {
	text := bytes.TrimSpace(f.data)
	return len(bytes.TrimSpace(text[1:len(text)-1])) == 0
}

func (f *frame) has(member int) bool { return f.found[member].Found() }

// raw returns the value of a member as it stands in the frame, nil if it is
// not there.
func (f *frame) raw(member int) []byte {
	at := f.found[member]
	return f.data[at.ValueStart:at.ValueEnd]
}

func (f *frame) decode(member int, to any) error { return json.Unmarshal(f.raw(member), to) }

// text returns the value of a member that is a string, "" if it is absent.
func (f *frame) text(member int) (string, error) {
	raw := f.raw(member)
	switch {
	case !f.has(member):
		return "", nil
	case raw[0] != '"':
		return "", errText
	case bytes.IndexByte(raw, '\\') < 0:
		return string(raw[1 : len(raw)-1]), nil
	}
	text, err := jsontext.AppendUnquote(nil, raw)
	return string(text), err
}

const maxInteger = 1<<53 - 1

// integer returns the value of a member that is there.
func (f *frame) integer(member int) (uint64, error) {
	if !f.has(member) {
		return 0, errMissing
	}
	n, err := strconv.ParseUint(string(f.raw(member)), 10, 64)
	if err != nil || n > maxInteger {
		return 0, errInteger
	}
	return n, nil
}

func (f *frame) position() (at Position, err error) {
	if at.Epoch, err = f.text(memberE); err == nil {
		at.Offset, err = f.integer(memberO)
	}
	return at, err
}

// receive does what a message says. c.mu is held.
func (r *run) receive(m message) {
	c := r.c
	if m.binary {
		c.happen(listenKey{kind: listenBinary}, &happening{data: bytes.Clone(m.data)})
		return
	}
	if len(m.data) == 0 {
		return
	}
	f := &r.frame
	err := f.parse(m.data)
	if err == nil {
		err = r.take(f)
	}
	if err != nil {
		c.tell(listenError, fault(CodeInvalidFrame, "the server sent a frame that makes no sense").because(err))
	}
}

// take does what a frame says.
func (r *run) take(f *frame) (err error) {
	c := r.c
	if f.kind != memberAway && f.kind != kinds {
		c.reason = nil
	}
	switch f.kind {
	case memberOpen:
		return r.open(f.raw(memberOpen))
	case memberRe:
		return r.takeReply(f)
	case memberPush:
		return c.takePush(f)
	case memberBin:
		data, err := unbase64(f.raw(memberBin))
		if err == nil {
			c.happen(listenKey{kind: listenBinary}, &happening{data: data})
		}
		return err
	case memberSub, memberOn, memberAt, memberUnsub:
		return c.takeTopic(f)
	case memberPresence:
		return c.takePresence(f)
	case memberCall:
		return r.takeCall(f)
	case memberCancel:
		id, err := f.integer(memberCancel)
		if a := r.asked[id]; a != nil && err == nil {
			a.abandon(fault(CodeCanceled, "the server gave the call up"))
		}
		return err
	case memberSession:
		return r.takeSession(f)
	case memberAway:
		return r.takeAway(f)
	}
	if f.isEmpty() {
		r.send([]byte("{}"))
	}
	return nil
}

func (r *run) takeReply(f *frame) (err error) {
	if f.id, err = f.integer(memberRe); err != nil {
		return err
	}
	if f.id > 0 {
		if waits := r.replies[f.id]; waits != nil {
			waits.replied(f)
		}
		return nil
	}
	var w wireError
	if err := f.decode(memberErr, &w); err != nil {
		return err
	}
	c := r.c
	c.reason = w.told()
	if c.reason.RetryAfter > 0 {
		c.notBefore = time.Now().Add(c.reason.RetryAfter)
	}
	c.tell(listenError, c.reason)
	return nil
}

func (c *Conn) takePush(f *frame) error {
	name, err := f.text(memberPush)
	if err != nil {
		return err
	}
	if !f.has(memberPush) {
		return errMissing
	}
	h := &happening{data: bytes.Clone(f.raw(memberV))}
	if name != "" {
		c.happen(listenKey{listenPush, name}, h)
		return nil
	}
	select {
	case <-c.opened:
	default:
		c.firstOpened = h.data
		close(c.opened)
	}
	c.happen(listenKey{kind: listenOpened}, h)
	return nil
}

func (r *run) takeSession(f *frame) error {
	var s struct {
		ExpiresIn float64 `json:"expiresIn"` // milliseconds
	}
	if err := f.decode(memberSession, &s); err != nil {
		return err
	}
	if r.c.settings.authenticate == nil {
		return nil
	}
	// Every sign-in brings this frame: a short session must not make a loop.
	left := millis(s.ExpiresIn)
	r.c.later(timerSession, max(left-time.Minute, left/2), r.c.signIn)
	return nil
}

func (r *run) takeAway(f *frame) error {
	var a struct {
		Code CloseCode   `json:"code"`
		In   *[2]float64 `json:"in"` // milliseconds
	}
	if err := f.decode(memberAway, &a); err != nil {
		return err
	}
	c := r.c
	if a.In == nil || a.Code.stops() {
		reason := "closed by the server"
		switch {
		case c.reason != nil:
			reason = c.reason.Message
		case a.Code == CloseUpgradeRequired:
			reason = "the server no longer takes clients as old as this one"
		}
		c.lose(a.Code, reason, false)
		return nil
	}
	from := millis(a.In[0])
	r.leaveWithin(a.Code, from, max(from, millis(a.In[1])))
	return nil
}

// leaveWithin ends the connection at a random time, or when what runs has ended,
// and makes another one. c.mu is held.
func (r *run) leaveWithin(code CloseCode, from, to time.Duration) {
	c := r.c
	now := time.Now()
	wait := c.spread(from, to)
	r.away = &away{code: code, at: now.Add(wait), until: now.Add(to)}
	c.later(timerLeave, wait, c.leave)
	c.become(State{Phase: Leaving, Code: code, Next: r.away.at, Transport: r.by})
}
