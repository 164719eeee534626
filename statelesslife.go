package kanava

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/kanava-go/kanava/engine"
)

// This file keeps how a connection without a process begins and ends, and whose it
// is meanwhile.

// enter makes the visit one of a connection that is being opened.
func (v *visit) enter(c *conn) {
	v.c, c.id = c, v.key
	c.ownRare().visit = v
}

// refuseLater notes what a client of kanava.v1 is told when it says hello.
func (v *visit) refuseLater(ctx context.Context, tooNew bool, refusal error) {
	switch {
	case tooNew:
		v.rec.Code, v.rec.Reason = CloseUpgradeRequired, CloseUpgradeRequired.String()
	case refusal != nil:
		v.refused = openError(ctx, refusal)
		v.c.core.observer.OpenRefused(v.c.def.route, v.refused)
	}
}

// create keeps a connection that has just been opened.
func (v *visit) create(ctx context.Context, req *OpenRequest) error {
	c, now := v.c, time.Now().UnixMilli()
	opening, err := encoded(func(buf []byte) ([]byte, error) { return v.rt.opening[c.def].Append(buf, c.ch.openingData()) })
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.rec.At, v.rec.Channel, v.rec.V1 = v.at, c.def.name, c.form.Envelope()
	v.rec.Opened, v.rec.Saved, v.rec.Opening = now, now, opening
	if v.rec.V1 {
		v.rec.Request = keptRequestOf(req)
		v.rec.Refused = v.refused.kept()
	} else {
		v.rec.Phase = keptOpen
		if v.rt.opts.TellsConnected {
			v.rec.Phase = keptAccepted
		}
	}
	data, err := v.rec.encode()
	if err != nil {
		return err
	}
	v.version, err = v.rt.store.Save(ctx, v.key.String(), data, 0, v.rt.opts.Keep)
	if errors.Is(err, engine.ErrConflict) { // what was left of another one with the same id
		if _, err = v.rt.store.Delete(ctx, v.key.String()); err == nil {
			v.version, err = v.rt.store.Save(ctx, v.key.String(), data, 0, v.rt.opts.Keep)
		}
	}
	if err != nil {
		return unavailableStore(err)
	}
	return nil
}

// kept returns an error as the Store keeps it; nil for none.
func (e *Error) kept() *relayedError {
	if e == nil {
		return nil
	}
	return &relayedError{e.Code, e.Message, e.Details, e.RetryAfter.Milliseconds()}
}

// connect runs OnConnect of a connection of the plain form, before the platform has
// accepted it: what it returns is kept until that can be sent, and its error refuses
// the client.
func (v *visit) connect(ctx context.Context) error {
	c := v.c
	c.start()
	var said []Frame
	for {
		idle := v.isIdle()
		frames, closing := c.take(nil, visitBatch)
		said = append(said, frames...)
		if closing != nil {
			if err := v.change(ctx, func(k *keptConn) error { k.NotBegun = !v.hasBegun(); return nil }); err != nil {
				return err
			}
			if err := v.rt.end(ctx, v.key, closing.Code, closing.Reason); err != nil {
				return err
			}
			if v.refused != nil {
				return v.refused
			}
			return errorOfClose(closing)
		}
		if len(frames) > 0 {
			continue
		}
		if idle {
			break
		}
		select {
		case <-v.wake:
		case <-ctx.Done():
			return errors.Join(Errorf(CodeDeadlineExceeded, "opening the connection took too long"), v.rt.end(context.WithoutCancel(ctx), v.key, CloseAbnormal, ""))
		}
	}
	if len(said) == 0 {
		return nil
	}
	return v.pend(said)
}

// begin does what has waited until the client can be told something: OnConnect, or a
// refusal. Of all events that come then one does it.
func (v *visit) begin(ctx context.Context) error {
	c, k := v.c, v.kept()
	switch {
	case k.Phase == keptGreeting && (k.Refused != nil || k.Code != 0):
		if !c.v1.hear() {
			return nil
		}
		if e := k.Refused; e != nil {
			c.refuse(ctx, &Error{Code: e.Code, Message: e.Message, Details: e.Details, RetryAfter: time.Duration(e.RetryAfter) * time.Millisecond})
		} else {
			c.closeWith(ctx, Closing{Code: k.Code, Reason: k.Reason})
		}
	case k.Phase == keptAccepted:
		mine := false
		err := v.change(ctx, func(k *keptConn) error {
			mine = k.Phase == keptAccepted
			k.Phase = max(k.Phase, keptOpen)
			return nil
		})
		if err != nil {
			return err
		}
		if mine {
			c.phase, c.started = phaseNew, false
			c.start()
		}
	default:
		v.send(v.takePending())
	}
	return nil
}

// errorOfClose is what refuses a client whose connection the program closes before it
// is open.
func errorOfClose(end *Closing) *Error {
	code := CodeFailedPrecondition
	switch end.Code {
	case CloseUnauthenticated:
		code = CodeUnauthenticated
	case CloseForbidden:
		code = CodePermissionDenied
	case CloseRateLimited:
		code = CodeResourceExhausted
	case CloseDraining:
		code = CodeUnavailable
	}
	return Errorf(code, "%s", end.Reason)
}

// greeted notes that the client has said hello: of two that it sends at once, one
// counts.
func (v *visit) greeted(was []string) *Error {
	err := v.change(v.ctx, func(k *keptConn) error {
		if k.Phase != keptGreeting {
			return errSecondHello
		}
		k.Phase, k.Seen, k.Was, k.Request = keptOpen, true, was, nil
		return nil
	})
	if err != nil {
		return asError(err, errInternal)
	}
	return nil
}

var errSecondHello = Errorf(CodeInvalidFrame, "hello is for the first frame of a connection")

// end forgets a connection and runs its OnDisconnect, if nobody else has.
func (rt *Stateless) end(ctx context.Context, id connID, code CloseCode, reason string) error {
	rt.met.forget(id)
	rec, err := rt.store.Delete(ctx, id.String())
	if err != nil {
		return unavailableStore(err)
	}
	if rec.Version == 0 {
		return nil
	}
	v, err := rt.revive(ctx, id, rec)
	if err != nil {
		return nil // there is no program for it any more, which was logged
	}
	defer v.leave()
	v.ended = true
	v.forgetGroups(ctx)
	if v.rec.Code != 0 {
		code, reason = v.rec.Code, v.rec.Reason
	}
	v.c.disconnect(code, reason)
	select {
	case <-v.c.doneChan():
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// userGroup is the group of the connections of a user. No topic has such a name.
func userGroup(userID string) string { return "\x01user:" + userID }

// errMoved says that the session was changed by another event since this one has
// read it.
var errMoved = errors.New("kanava: the session was changed by another event")

// again tries once more where another event has changed the session meanwhile. It
// works on nil, for connections that have no other events.
func (v *visit) again(ctx context.Context, try func() error) (err error) {
	for range changeTries {
		if err = try(); v == nil || !errors.Is(err, errMoved) {
			return err
		}
		v.c.sessions.Lock()
		err = v.adopt(ctx)
		v.c.sessions.Unlock()
		if err != nil {
			return err
		}
	}
	return unavailableStore(err)
}

// sameUser refuses what is to be kept for a user who has left meanwhile. The session
// is held still.
func (v *visit) sameUser(k *keptConn) error {
	if k.Turn != v.turn {
		return errAborted
	}
	return nil
}

// setSession keeps a session, in the place of the one that this event knows. The
// subscriptions that end are those for which ends is true. c.sessions is held.
func (v *visit) setSession(ctx context.Context, next *session, changed bool, ends func(*subscription) (reason string)) error {
	var data jsontext.Value
	user := ""
	if next != nil {
		var err error
		if data, err = v.rt.encodeSession(ctx, next.value); err != nil {
			return err
		}
		if user = next.id.UserID; user != "" {
			if err := v.roomOfUser(ctx, user); err != nil {
				return err
			}
		}
	}
	former := userOf(v.c.current.Load())
	subs := v.c.listSubscriptions()
	err := v.change(ctx, func(k *keptConn) error {
		if k.Rev != v.rev {
			return errMoved
		}
		k.Session = data
		k.Rev++
		k.Subs = maps.Clone(k.Subs)
		for _, sub := range subs {
			if ends(sub) != "" {
				delete(k.Subs, sub.topic)
			}
		}
		if changed {
			k.Turn++
			k.Values = maps.Clone(k.Values)
			maps.DeleteFunc(k.Values, func(_ string, o keptOwn) bool { return o.Owned })
			k.Present = maps.Clone(k.Present)
			maps.DeleteFunc(k.Present, func(_ string, s keptStay) bool { return s.Owned })
		}
		return nil
	})
	if err != nil {
		return err
	}
	k := v.kept()
	v.rev, v.turn = k.Rev, k.Turn
	for _, sub := range subs {
		if ends(sub) != "" {
			v.leaveTopic(ctx, sub.topic)
		}
	}
	if former != "" && former != user {
		v.leaveUser(ctx, former)
	}
	if user != "" {
		if err := v.rt.store.Join(ctx, userGroup(user), v.key.String(), v.rt.opts.Keep); err != nil {
			v.rt.logger.Error("a connection is not found by its user", "conn", v.key.String(), "error", err)
		}
	}
	if next != nil {
		next.buckets = v.c.core.bucketsOf(user)
	}
	return nil
}

// roomOfUser refuses a user who has too many connections.
func (v *visit) roomOfUser(ctx context.Context, user string) error {
	n, own, limit := 0, v.key.String(), v.c.def.limits.UserConns
	for id, err := range v.rt.store.Members(ctx, userGroup(user)) {
		if err != nil {
			return unavailableStore(err)
		}
		if id == own {
			return nil
		}
		if n++; n >= limit {
			return Errorf(CodeResourceExhausted, "too many connections of this user: the limit is %d", limit)
		}
	}
	return nil
}

// leaveGroup takes the connection out of a group, unless another event has put it
// there again meanwhile. If that fails, whoever meets it there knows what it is.
func (v *visit) leaveGroup(ctx context.Context, group string, again func(*keptConn) bool) {
	ctx = context.WithoutCancel(ctx)
	err := v.rt.store.Leave(ctx, group, v.key.String())
	if err == nil {
		var now keptConn
		if now, err = v.read(ctx); err == nil && again(&now) {
			err = v.rt.store.Join(ctx, group, v.key.String(), v.rt.opts.Keep)
		}
	}
	if err != nil && !errors.Is(err, ErrClosed) {
		v.rt.logger.Warn("a connection may still be in a group that it has left", "conn", v.key.String(), "error", err)
	}
}

func (v *visit) leaveUser(ctx context.Context, user string) {
	v.leaveGroup(ctx, userGroup(user), func(k *keptConn) bool {
		if k.Session == nil {
			return false
		}
		s, err := v.rt.decodeSession(ctx, k.Session)
		return err == nil && s.id.UserID == user
	})
}

// groups are those of the connection.
func (v *visit) groups() (groups []string) {
	for topic := range v.kept().Subs {
		groups = append(groups, topic)
	}
	if user := userOf(v.c.current.Load()); user != "" {
		groups = append(groups, userGroup(user))
	}
	return groups
}

// forgetGroups takes a connection that has ended out of all groups.
func (v *visit) forgetGroups(ctx context.Context) {
	for _, g := range v.groups() {
		if err := v.rt.store.Leave(ctx, g, v.key.String()); err != nil {
			v.rt.logger.Warn("a connection that has ended is still in a group", "conn", v.key.String(), "error", err)
		}
	}
}

// rejoin prolongs the stay of the connection in its groups.
func (v *visit) rejoin(ctx context.Context) error {
	for _, g := range v.groups() {
		if err := v.rt.store.Join(ctx, g, v.key.String(), v.rt.opts.Keep); err != nil {
			return err
		}
	}
	return nil
}

// getValue returns the JSON of a value, nil if there is none.
func (v *visit) getValue(name string) []byte { return v.kept().Values[name].Data }

// setValue keeps the JSON of a value; nil forgets it. The session is held still.
func (v *visit) setValue(ctx context.Context, name string, data []byte) error {
	limit, owned := v.c.def.limits.Values, v.c.current.Load() != nil
	return v.change(ctx, func(k *keptConn) error {
		if err := v.sameUser(k); err != nil {
			return err
		}
		k.Values = maps.Clone(k.Values)
		if data == nil {
			delete(k.Values, name)
			return nil
		}
		if k.Values == nil {
			k.Values = make(map[string]keptOwn)
		}
		k.Values[name] = keptOwn{data, owned}
		bytes := 0
		for n, o := range k.Values {
			bytes += len(n) + len(o.Data)
		}
		if bytes > limit {
			return errTooManyValues(bytes, limit)
		}
		return nil
	})
}
