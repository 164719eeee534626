package kanava_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

// paper is an event with a part that not everybody is to see.
type paper struct {
	Text   string `json:"text"`
	Secret string `json:"secret,omitempty"`
}

// viewLab has a topic whose events admins see as they are and others without
// the secret; events that begin with "!" are for admins alone.
type viewLab struct {
	t    *testing.T
	srv  *server
	docs *kanava.Topic[paper]
	log  logBuffer

	mu   sync.Mutex
	seen []string // guarded by mu: view and text of each run of f
}

func newViewLab(t *testing.T, opts kanava.Options[account], class kanava.TopicOption) *viewLab {
	t.Helper()
	l := &viewLab{t: t}
	opts.Logger = l.log.logger()
	hub := kanava.NewEventHub(kanava.HubOptions{Logger: opts.Logger})
	opts.EventHub = hub
	t.Cleanup(hub.Close)
	role := func(a account) string {
		if slices.Contains(a.Roles, "broken") {
			panic("of by")
		}
		if slices.Contains(a.Roles, "admin") {
			return "admin"
		}
		return ""
	}
	l.docs = kanava.NewTopic[paper](hub, "doc", class, kanava.View(role, l.show))
	l.srv = serve(t, opts, wiring{Public: true, Messages: by(login(), logout()), Declares: []kanava.Declared{l.docs}})
	return l
}

func (l *viewLab) show(d paper, role string) (paper, bool) {
	l.mu.Lock()
	l.seen = append(l.seen, role+"/"+d.Text)
	l.mu.Unlock()
	switch {
	case d.Text == "panic" && role == "":
		panic("of a view")
	case role == "admin":
		return d, true
	}
	d.Secret = ""
	return d, !strings.HasPrefix(d.Text, "!")
}

// runs returns the runs of f since the last call, in order.
func (l *viewLab) runs() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.Sort(l.seen)
	all := strings.Join(l.seen, " ")
	l.seen = nil
	return all
}

func (l *viewLab) dial(form string, roles ...string) *kanavatest.Client {
	l.t.Helper()
	req := request("/test")
	if form == envelope {
		req.Subprotocols = []string{form}
	}
	c, err := kanavatest.DialRequest(l.t, l.srv, req)
	if err != nil {
		l.t.Fatal(err)
	}
	if form == envelope {
		c.SendText(`{"hello":{}}`)
		c.Next()
		c.Next()
	}
	if len(roles) > 0 {
		l.login(c, form, roles...)
	}
	return c
}

func (l *viewLab) login(c *kanavatest.Client, form string, roles ...string) {
	l.t.Helper()
	in := fmt.Sprintf(`"id":"ann","roles":[%q]`, strings.Join(roles, `","`))
	if form == envelope {
		c.SendText(`{"id":1,"do":"login","in":{` + in + `}}`)
	} else {
		c.SendText(`{"action":"login",` + in + `}`)
	}
	c.Next()
}

func (l *viewLab) subscribe(clients ...*kanavatest.Client) {
	l.t.Helper()
	for _, c := range clients {
		if err := l.srv.EventHub().Subscribe(l.t.Context(), "doc:x", c.ID()); err != nil {
			l.t.Fatal(err)
		}
	}
}

func (l *viewLab) publish(texts ...string) {
	l.t.Helper()
	for _, text := range texts {
		if err := l.docs.Publish(l.t.Context(), "x", paper{text, "s"}); err != nil {
			l.t.Fatal(err)
		}
	}
}

func TestD8_View(t *testing.T) {
	l := newViewLab(t, kanava.Options[account]{}, kanava.Ordered())
	admin, admin2, guest, nobody := l.dial(plainForm, "admin"), l.dial(plainForm, "admin"), l.dial(plainForm, "guest"), l.dial(plainForm)
	v1 := l.dial(envelope, "guest")
	all := []*kanavatest.Client{admin, admin2, guest, nobody}
	l.subscribe(all...)
	l.subscribe(v1)
	sub := v1.Next()
	epoch := sub[strings.Index(sub, `"e":`) : strings.Index(sub, `"o":`)-1]
	heard := make(chan string, 10)
	listener := l.srv.EventHub().Listen(func(_ context.Context, ev kanava.Event) { heard <- string(ev.Data) })
	if err := l.docs.Subscribe(t.Context(), listener, "x"); err != nil {
		t.Fatal(err)
	}
	l.publish("a", "!b", "c")
	for _, c := range all {
		secret := c == admin || c == admin2
		for _, text := range []string{"a", "!b", "c"} {
			switch {
			case secret:
				c.Expect(fmt.Sprintf(`{"topic":"doc:x","data":{"text":%q,"secret":"s"}}`, text))
			case text != "!b":
				c.Expect(fmt.Sprintf(`{"topic":"doc:x","data":{"text":%q}}`, text))
			}
		}
	}
	v1.Expect(`{"on":"doc:x",` + epoch + `,"o":1,"data":{"text":"a"}}`)
	v1.Expect(`{"on":"doc:x",` + epoch + `,"o":2}`) // position only
	v1.Expect(`{"on":"doc:x",` + epoch + `,"o":3,"data":{"text":"c"}}`)
	for _, text := range []string{"a", "!b", "c"} {
		if got, want := receive(t, heard), fmt.Sprintf(`{"text":%q,"secret":"s"}`, text); got != want {
			t.Errorf("the listener heard %s, not %s", got, want)
		}
	}
	if got, want := l.runs(), "/!b /a /c admin/!b admin/a admin/c"; got != want {
		t.Errorf("f ran for %s, not once for each view: %s", got, want)
	}
	if l.log.String() != "" {
		t.Errorf("logged: %s", l.log.String())
	}
}

// It is the session at the moment the event is sent that counts.
func TestD8_ViewOfTheSessionOfThatMoment(t *testing.T) {
	l := newViewLab(t, kanava.Options[account]{}, kanava.Ordered())
	link := openIn(t, l.srv, plainForm, "/test", newPeer())
	ch, err := l.srv.Conns().Get(t.Context(), link.ID())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.docs.Subscribe(t.Context(), ch, "x"); err != nil {
		t.Fatal(err)
	}
	session := func(roles ...string) {
		t.Helper()
		if err := ch.(*line).SetSession(t.Context(), account{ID: "ann", Roles: roles}); err != nil {
			t.Fatal(err)
		}
	}
	for _, roles := range []string{"admin", "guest"} {
		session("guest")
		if roles == "guest" {
			session("admin")
		}
		l.publish("a")
		session(roles)
		frames, _ := link.Take(nil, 1<<20)
		link.Take(nil, 1)
		if got := string(frames[0].Data); strings.Contains(got, "secret") != (roles == "admin") {
			t.Errorf("as %s: %s", roles, got)
		}
	}
}

func TestD8_ViewInRecovery(t *testing.T) {
	l := newViewLab(t, kanava.Options[account]{}, kanava.Recoverable(10, time.Hour))
	clients := []*kanavatest.Client{l.dial(envelope, "guest"), l.dial(envelope, "guest"), l.dial(envelope, "admin"), l.dial(envelope, "broken")}
	anchor := l.dial(envelope, "guest")
	l.subscribe(anchor)
	sub := anchor.Next()
	epoch := sub[strings.Index(sub, `"e":`) : strings.Index(sub, `"o":`)-1]
	l.publish("a", "!b", "c")
	for range 3 {
		anchor.Next()
	}
	l.subscribe(clients...)
	l.runs()
	for i, want := range []string{
		`"events":[{"o":1,"data":{"text":"a"}},{"o":3,"data":{"text":"c"}}]`,
		`"events":[{"o":1,"data":{"text":"a"}},{"o":3,"data":{"text":"c"}}]`,
		`"events":[{"o":1,"data":{"text":"a","secret":"s"}},{"o":2,"data":{"text":"!b","secret":"s"}},{"o":3,"data":{"text":"c","secret":"s"}}]`,
		`"events":[]`,
	} {
		c := clients[i]
		c.Next() // sub
		c.SendText(`{"id":2,"recover":"doc:x",` + epoch + `,"o":0}`)
		if got := c.Next(); !strings.Contains(got, want) || !strings.Contains(got, `"o":3`) {
			t.Errorf("client %d got %s, want %s", i, got, want)
		}
	}
	if got, want := l.runs(), "/!b /a /c admin/!b admin/a admin/c"; got != want {
		t.Errorf("f ran for %s, not once for each view: %s", got, want)
	}
	page, err := l.docs.History(t.Context(), "x", kanava.Position{Epoch: strings.Trim(epoch[4:], `"`)}, 10)
	if err != nil || len(page.Events) != 3 || page.Events[1] != (paper{"!b", "s"}) {
		t.Errorf("History has %+v, %v", page, err)
	}
}

func TestD8_ViewOfWhatALatestTopicKeeps(t *testing.T) {
	l := newViewLab(t, kanava.Options[account]{}, kanava.LatestBy(func(d paper) string { return d.Text }))
	l.publish("a", "!b")
	guest, admin := l.dial(plainForm), l.dial(plainForm, "admin")
	l.subscribe(guest, admin)
	guest.Expect(`{"topic":"doc:x","data":{"text":"a"}}`)
	admin.Expect(`{"topic":"doc:x","data":{"text":"a","secret":"s"}}`)
	admin.Expect(`{"topic":"doc:x","data":{"text":"!b","secret":"s"}}`)
	guest.ExpectNone()
	if got, want := l.runs(), "/!b /a admin/!b admin/a"; got != want {
		t.Errorf("f ran for %s", got)
	}
}

// A panic costs those who have the view the event, and nobody anything else.
func TestViewThatPanics(t *testing.T) {
	l := newViewLab(t, kanava.Options[account]{}, kanava.Ordered())
	admin, guest, broken := l.dial(plainForm, "admin"), l.dial(plainForm), l.dial(plainForm, "broken")
	l.subscribe(admin, guest, broken)
	l.publish("panic", "a")
	admin.Expect(`{"topic":"doc:x","data":{"text":"panic","secret":"s"}}`)
	admin.Expect(`{"topic":"doc:x","data":{"text":"a","secret":"s"}}`)
	guest.Expect(`{"topic":"doc:x","data":{"text":"a"}}`)
	broken.ExpectNone()
	for _, want := range []string{"View panicked", "of a view", "of by", "doc:x"} {
		if !strings.Contains(l.log.String(), want) {
			t.Errorf("not logged: %s", want)
		}
	}
	l.login(broken, plainForm, "admin")
	l.publish("b")
	broken.Expect(`{"topic":"doc:x","data":{"text":"b","secret":"s"}}`)
}

// Outgoing middleware sees the view.
func TestViewComesBeforeOutgoingMiddleware(t *testing.T) {
	l := newViewLab(t, kanava.Options[account]{Outgoing: []kanava.Outgoing{func(next kanava.Sender) kanava.Sender {
		return func(ctx context.Context, p *kanava.Payload) error {
			if d, ok := p.Value.(paper); ok {
				p.Value = paper{d.Text + d.Text, d.Secret}
			}
			return next(ctx, p)
		}
	}}}, kanava.Ordered())
	guest, admin := l.dial(plainForm), l.dial(plainForm, "admin")
	l.subscribe(guest, admin)
	l.publish("!a", "b")
	admin.Expect(`{"topic":"doc:x","data":{"text":"!a!a","secret":"s"}}`)
	guest.Expect(`{"topic":"doc:x","data":{"text":"bb"}}`)
}

// Whoever publishes without the type is held to it.
func TestViewOfEventsWithoutTheirType(t *testing.T) {
	l := newViewLab(t, kanava.Options[account]{}, kanava.Ordered())
	guest := l.dial(plainForm)
	l.subscribe(guest)
	if err := l.srv.EventHub().Publish(t.Context(), "doc:x", map[string]string{"secret": "s"}); err == nil || !strings.Contains(err.Error(), "takes a kanava_test.paper") {
		t.Errorf("another type: %v", err)
	}
	for _, payload := range []any{paper{"a", "s"}, nil} {
		if err := l.srv.EventHub().Publish(t.Context(), "doc:x", payload); err != nil {
			t.Error(err)
		}
	}
	guest.Expect(`{"topic":"doc:x","data":{"text":"a"}}`)
	guest.Expect(`{"topic":"doc:x","data":{"text":""}}`)
}

// There may be more views of an event than are kept.
func TestManyViewsOfAnEvent(t *testing.T) {
	srv := serve(t, kanava.Options[account]{}, wiring{Public: true})
	topic := kanava.NewTopic[string](srv.EventHub(), "t", kanava.View(
		func(a account) string { return a.ID }, func(e, id string) (string, bool) { return e + id, true }))
	var clients []*kanavatest.Client
	for i := range 200 {
		c := kanavatest.Dial(t, srv, "/test")
		ch, err := srv.Conns().Get(t.Context(), c.ID())
		if err == nil {
			err = ch.(*line).SetSession(t.Context(), account{ID: fmt.Sprint("user", i)})
		}
		if err == nil {
			err = topic.Subscribe(t.Context(), ch, "x")
		}
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	if err := topic.Publish(t.Context(), "x", "of "); err != nil {
		t.Fatal(err)
	}
	for i, c := range clients {
		c.Expect(fmt.Sprintf(`{"topic":"t:x","data":"of user%d"}`, i))
	}
}

func TestViewMisuse(t *testing.T) {
	hub := kanava.NewEventHub(kanava.HubOptions{})
	defer hub.Close()
	role := func(account) string { return "" }
	show := func(e string, _ string) (string, bool) { return e, true }
	view := kanava.View(role, show)
	other := kanava.MaySubscribe(func(context.Context, text, string) error { return nil })
	for name, tc := range map[string]struct {
		wrong func()
		want  string
	}{
		"no by":             {func() { kanava.View[account, string, string](nil, show) }, "View"},
		"no f":              {func() { kanava.View[account, string, string](role, nil) }, "View"},
		"twice":             {func() { kanava.NewTopic[string](hub, "a", view, view) }, "View stands twice"},
		"another event":     {func() { kanava.NewTopic[int](hub, "b", view) }, "its View is for events of type string, not int"},
		"another session":   {func() { kanava.NewTopic[string](hub, "c", view, other) }, "MaySubscribe is for the session kanava_test.text"},
		"another session 2": {func() { kanava.NewTopic[string](hub, "d", other, view) }, "View is for the session kanava_test.account"},
		"session of a server": {func() {
			srv := kanava.NewServer(kanava.Options[text]{EventHub: hub})
			srv.Wire(kanava.Wiring[noOpen, text]{Name: "x", Route: "/x", Declares: []kanava.Declared{kanava.NewTopic[string](hub, "e", view)}})
		}, "takes a kanava_test.account, but the session is a kanava_test.text"},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, tc.want) {
					t.Errorf("got %q, want %q in it", got, tc.want)
				}
			}()
			tc.wrong()
		})
	}
}

// A topic that the channel does not declare may be for another session: then
// nobody gets its events.
func TestViewForAnotherSession(t *testing.T) {
	l := newViewLab(t, kanava.Options[account]{}, kanava.Ordered())
	topic := kanava.NewTopic[string](l.srv.EventHub(), "other", kanava.View(func(text) int { return 0 }, func(e string, _ int) (string, bool) { return e, true }))
	c := l.dial(plainForm, "admin")
	for _, name := range []string{"other:x", "doc:x"} {
		if err := l.srv.EventHub().Subscribe(t.Context(), name, c.ID()); err != nil {
			t.Fatal(err)
		}
	}
	if err := topic.Publish(t.Context(), "x", "hidden"); err != nil {
		t.Fatal(err)
	}
	l.publish("a")
	c.Expect(`{"topic":"doc:x","data":{"text":"a","secret":"s"}}`)
	if !strings.Contains(l.log.String(), "View is for another session") {
		t.Errorf("logged: %s", l.log.String())
	}
}
