package kanava

import (
	"context"
	"errors"
	"maps"
	"slices"
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
	switch {
	case v.rec.V1:
		if v.rec.Refused = v.refused.relayed(); v.rec.Refused == nil && v.rec.Code == 0 {
			v.rec.Request = keptRequestOf(req)
		}
	case v.rt.opts.TellsConnected:
		v.rec.Phase = keptAccepted
	default:
		v.rec.Phase, v.rec.Since = keptConnecting, now
	}
	data, err := v.rec.encode()
	if err != nil {
		return err
	}
	ttl := v.lasts(&v.rec)
	v.version, err = v.rt.store.Save(ctx, v.key.String(), data, 0, ttl)
	if errors.Is(err, engine.ErrConflict) { // what was left of another one with the same id
		if _, err = v.rt.store.Delete(ctx, v.key.String()); err == nil {
			v.version, err = v.rt.store.Save(ctx, v.key.String(), data, 0, ttl)
		}
	}
	if err != nil {
		return unavailableStore(err)
	}
	v.created = true
	return nil
}

// connect runs OnConnect of a connection of the plain form, before the platform has
// accepted it: what it returns is kept until that can be sent, and its error refuses
// the client.
func (v *visit) connect(ctx context.Context) error {
	c := v.c
	v.start()
	var said []Frame
	for {
		idle := v.isIdle()
		frames, closing := c.take(nil, visitBatch)
		said = append(said, frames...)
		if closing != nil {
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
			over := v.interrupt()
			for !v.isIdle() {
				select {
				case <-v.wake:
				case <-over:
					return v.undo(Errorf(CodeDeadlineExceeded, "opening the connection took too long"))
				}
			}
			return v.undo(Errorf(CodeDeadlineExceeded, "opening the connection took too long"))
		}
	}
	if len(said) > 0 {
		if err := v.pend(said); err != nil {
			return v.undo(err)
		}
	}
	return nil
}

// start begins the life of a connection of the plain form.
func (v *visit) start() {
	v.c.start()
	if v.c.def.onConnect == nil {
		v.connected()
	}
}

// undo ends a connection that cannot be opened because of err.
func (v *visit) undo(err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(v.now()), graceTime)
	defer cancel()
	if failed := v.rt.end(ctx, v.key, CloseAbnormal, ""); failed != nil {
		v.rt.logger.Error("a connection that was refused is still kept", "conn", v.key.String(), "error", failed)
	}
	return err
}

// connects is asked before OnConnect runs, if the session may. It works on nil.
func (v *visit) connects(c *conn) *Error {
	if v == nil || c.permit(c.def.onConnect) != nil {
		return nil //nolint:nilerr // who calls asks again, and tells
	}
	if err := v.connecting(false); err != nil {
		return asError(err, errInternal)
	}
	return nil
}

// connected is told that OnConnect is over, and has not refused.
func (v *visit) connected() {
	if err := v.connecting(true); err != nil && !errors.Is(err, ErrClosed) {
		v.rt.logger.Error("that a connection is open is not kept: it is closed", "conn", v.key.String(), "error", err)
		v.c.closeWith(v.now(), Closing{Code: CloseInternal, Reason: CloseInternal.String()})
	}
}

// connecting notes that OnConnect is about to run, so that OnDisconnect follows, or
// that it is over.
func (v *visit) connecting(over bool) error {
	return v.change(v.now(), func(k *keptConn) error {
		if k.Begun = true; over && k.Phase < keptOpen {
			k.Phase = keptOpen
		}
		return nil
	})
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
		if k.Refused != nil {
			c.refuse(ctx, asError(k.Refused.err(), errInternal))
		} else {
			c.closeWith(ctx, Closing{Code: k.Code, Reason: k.Reason})
		}
	case k.Phase == keptAccepted:
		mine := false
		err := v.change(ctx, func(k *keptConn) error {
			if mine = k.Phase == keptAccepted; mine {
				k.Phase, k.Since = keptConnecting, time.Now().UnixMilli()
			}
			return nil
		})
		if err != nil {
			return err
		}
		if mine {
			c.phase, c.started = phaseNew, false
			v.start()
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
	err := v.change(v.now(), func(k *keptConn) error {
		if k.Phase != keptGreeting {
			return errSecondHello
		}
		k.Phase, k.Since, k.Seen, k.Was, k.Request = keptConnecting, time.Now().UnixMilli(), true, was, nil
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
	rt.Start()
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
		if v.kept().Turn != v.turn { // the user under whom this was begun has left
			err = errAborted
		} else {
			err = v.adopt(ctx)
		}
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
		user = next.id.UserID
	}
	mark, err := v.enterUser(ctx, user)
	if err != nil {
		return err
	}
	formerMark := v.kept().Mark
	former := userOf(v.c.current.Load())
	subs := v.c.listSubscriptions()
	present := v.present()
	err = v.change(ctx, func(k *keptConn) error {
		if k.Rev != v.rev || !v.knows(k, subs, present) {
			return errMoved
		}
		k.Session, k.Mark = data, mark
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
		if e, _ := find(err); mark != formerMark && (e == nil || e.Code != CodeUnavailable) { // else it may be kept
			v.leaveGroup(ctx, userGroup(user), mark)
		}
		return err
	}
	k := v.kept()
	v.rev, v.turn = k.Rev, k.Turn
	for _, sub := range subs {
		if ends(sub) != "" {
			v.leaveGroup(ctx, sub.topic, sub.mark)
		}
	}
	if former != "" && former != user {
		v.leaveGroup(ctx, userGroup(former), formerMark)
	}
	if next != nil {
		next.buckets = v.borrow(user)
	}
	return nil
}

// knows reports whether the event knows all that the connection has of topics: what
// else there is has not been decided about.
func (v *visit) knows(k *keptConn, subs []*subscription, present map[string]bool) bool {
	n := 0
	for _, sub := range subs {
		if _, ok := k.Subs[sub.topic]; ok {
			n++
		}
	}
	for topic := range k.Present {
		if !present[topic] {
			return false
		}
	}
	return n == len(k.Subs)
}

// present returns the topics in which the connection is, as far as this event knows.
func (v *visit) present() map[string]bool {
	v.c.subMu.Lock()
	defer v.c.subMu.Unlock()
	topics := make(map[string]bool)
	for at := range v.c.rare().present {
		topics[at.topic] = true
	}
	return topics
}

// enterUser makes the connection one of a user, if there is room, and returns the mark
// of that. Whoever meets it there before that is kept looks whose it is.
func (v *visit) enterUser(ctx context.Context, user string) (mark string, err error) {
	if user == "" {
		return "", nil
	}
	if user == userOf(v.c.current.Load()) {
		return v.kept().Mark, nil
	}
	if err := v.roomOfUser(ctx, user); err != nil {
		return "", err
	}
	mark = memberMark()
	if err := v.rt.store.Join(ctx, userGroup(user), member(v.key, mark), v.rt.opts.Keep); err != nil {
		return "", unavailableStore(err)
	}
	return mark, nil
}

// roomOfUser refuses a user who has too many connections. Those that have ended
// without a word do not count.
func (v *visit) roomOfUser(ctx context.Context, user string) error {
	limit, others, err := v.c.def.limits.UserConns, make(map[string][]string), error(nil)
	for m, failed := range v.rt.store.Members(ctx, userGroup(user)) {
		if failed != nil {
			return unavailableStore(failed)
		}
		if id, _, ok := readMember(m); ok && id != v.key {
			others[id.String()] = append(others[id.String()], m)
		}
	}
	if len(others) < limit {
		return nil
	}
	live := 0
	for part := range slices.Chunk(slices.Collect(maps.Keys(others)), fanBatch) {
		recs, failed := v.rt.store.Load(ctx, part)
		if failed != nil {
			return unavailableStore(failed)
		}
		for i, rec := range recs {
			if rec.Version > 0 {
				live++
				continue
			}
			for _, m := range others[part[i]] {
				err = errors.Join(err, v.rt.store.Leave(ctx, userGroup(user), m))
			}
		}
	}
	if err != nil {
		v.rt.logger.Warn("connections that have ended are still said to be a user's", "error", err)
	}
	if live >= limit {
		return Errorf(CodeResourceExhausted, "too many connections of this user: the limit is %d", limit)
	}
	return nil
}

// leaveGroup takes a stay of the connection out of a group. If that fails, whoever
// meets it there knows that it is over.
func (v *visit) leaveGroup(ctx context.Context, group, mark string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), engineTime)
	defer cancel()
	if err := v.rt.store.Leave(ctx, group, member(v.key, mark)); err != nil {
		v.rt.logger.Warn("a connection may still be in a group that it has left", "conn", v.key.String(), "error", err)
	}
}

// groups are those of the connection, with the mark of its stay in each.
func (v *visit) groups() map[string]string {
	groups, k := make(map[string]string), v.kept()
	for topic, sub := range k.Subs {
		groups[topic] = sub.Mark
	}
	if user := userOf(v.c.current.Load()); user != "" {
		groups[userGroup(user)] = k.Mark
	}
	return groups
}

// forgetGroups takes a connection that has ended out of all groups.
func (v *visit) forgetGroups(ctx context.Context) {
	for g, mark := range v.groups() {
		v.leaveGroup(ctx, g, mark)
	}
}

// rejoin prolongs the stay of the connection in its groups.
func (v *visit) rejoin(ctx context.Context) error {
	for g, mark := range v.groups() {
		if err := v.rt.store.Join(ctx, g, member(v.key, mark), v.rt.opts.Keep); err != nil {
			return err
		}
	}
	return v.stayPresent(ctx)
}

// getValue returns the JSON of a value, nil if there is none. The session is held
// still.
func (v *visit) getValue(name string) ([]byte, error) {
	k := v.kept()
	return k.Values[name].Data, v.sameUser(&k)
}

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
