package postgres_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/postgres"
	"github.com/kanava-go/kanava/internal/badnet"
)

// TestTooMuchWaits is that publications that wait are bounded, that one beyond the
// bound fails at once, and that there is room again afterwards.
func TestTooMuchWaits(t *testing.T) {
	s := newServer(t, "-c", "fsync=off")
	network := badnet.To(t, s.addr)
	n := join(t, postgres.Options{URL: urlAt(network.Addr())})
	top := topic(engine.Recoverable)
	n.publish(top, "1")
	network.Fail(badnet.Fault{Hole: true})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	const all = 100 // MiB
	full, late := 0, 0
	var mu sync.Mutex
	var publishing sync.WaitGroup
	for range all {
		publishing.Go(func() {
			begun := time.Now()
			err := n.Publish(ctx, top, engine.Event{Data: make([]byte, 1<<20)})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, postgres.ErrFull):
				if full++; time.Since(begun) > 2*time.Second {
					t.Errorf("ErrFull came after %v", time.Since(begun))
				}
			case errors.Is(err, context.DeadlineExceeded):
				late++
			default:
				t.Errorf("Publish without an answer: %v", err)
			}
		})
	}
	publishing.Wait()
	if full < all-64 || late < 60 {
		t.Errorf("%d publications did not fit, %d waited", full, late)
	}
	network.Heal()
	n.insist(top, "2")
	for i := range 10 {
		n.publish(top, strconv.Itoa(i))
	}
}

// TestServerThatTakesNoWrites is that publishers hear of a server that has become
// read-only in time, and that all goes on when it, or another, takes writes again.
func TestServerThatTakesNoWrites(t *testing.T) {
	s := newServer(t, "-c", "fsync=off")
	n := join(t, postgres.Options{URL: s.url()})
	top := topic(engine.Recoverable)
	n.subscribe(top)
	n.publish(top, "1")
	// Sessions stay as they began, as those with a server stay that is a standby now.
	set := func(what string) { s.do("BEGIN READ WRITE; ALTER DATABASE postgres " + what + "; COMMIT") }
	set("SET default_transaction_read_only = on")
	s.do("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kanava'")
	short, cancel := shortly(t)
	defer cancel()
	if err := n.Publish(short, top, engine.Event{ID: "1", Data: []byte("not to come")}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Publish to a server that takes no writes: %v", err)
	}
	waiting := make(chan error, 1)
	go func() { waiting <- n.Publish(within(t), top, engine.Event{ID: "2", Data: []byte("2")}) }()
	set("RESET default_transaction_read_only")
	if err := <-waiting; err != nil {
		t.Errorf("Publish when the server takes writes again: %v", err)
	}
	n.next(top, 2)
	if got := n.come(top); len(got) != 2 || got[1] != "2" {
		t.Errorf("%q came", got)
	}
}

// TestD1_PublishedIsOnDisk is that what has been published outlives the server, also
// where that is told to commit before it has written.
func TestD1_PublishedIsOnDisk(t *testing.T) {
	s := newServer(t, "-c", "synchronous_commit=off", "-c", "wal_writer_delay=10s")
	n := join(t, postgres.Options{URL: s.url()})
	top := topic(engine.Recoverable)
	before := n.position(top)
	for i, publish := range []func(text string){
		func(text string) { n.insist(top, text) },
		func(text string) {
			tx := begin(t, s, pgx.TxOptions{})
			n.publishTx(tx, top, text)
			commit(t, tx)
		},
	} {
		publish(strconv.Itoa(i))
		s.restart(true)
		if page := n.read(top, before); page.Lost || len(page.Events) != i+1 {
			t.Errorf("after event %d and a restart %q are kept, lost %v", i, texts(page.Events), page.Lost)
		}
	}
}

// TestLargeEventThatIsGone is that a hub is told when an event cannot be had any
// more that did not fit into a notification.
func TestLargeEventThatIsGone(t *testing.T) {
	s := newServer(t, "-c", "fsync=off")
	n, other := join(t, postgres.Options{URL: s.url()}), join(t, postgres.Options{URL: s.url()})
	for _, class := range []engine.Class{engine.Volatile, engine.Latest, engine.Ordered, engine.Recoverable} {
		top := topic(class)
		n.subscribe(top)
		hold := make(chan struct{})
		n.mu.Lock()
		n.hold = hold
		n.mu.Unlock()
		other.publish(top, "held up")
		n.until("Deliver", func() bool { return n.holding })
		other.publish(top, strings.Repeat("x", 100_000), "after")
		s.do("DELETE FROM kanava.payloads; DELETE FROM kanava.events")
		n.mu.Lock()
		n.hold = nil
		n.mu.Unlock()
		close(hold)
		n.until("Resumed", func() bool { return n.resumed[top.Name] > 0 })
		if got := n.come(top); !slices.Equal(got, []string{"held up", "after"}) {
			t.Errorf("%v: %.100q came", class, got)
		}
	}
}

// TestEventThatCannotBeRead is that who reads what a newer version has written hears
// of it, and does not wait until the time is over.
func TestEventThatCannotBeRead(t *testing.T) {
	s := newServer(t, "-c", "fsync=off")
	n := join(t, postgres.Options{URL: s.url()})
	top := topic(engine.Recoverable)
	n.publish(top, "1")
	s.do(`UPDATE kanava.events SET body = '\x80'`)
	_, err := n.Read(within(t), top, engine.Position{}, 10)
	if err == nil || errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "form") {
		t.Errorf("Read says %v", err)
	}
}

// TestCommitThatWaits is that to wait for the commit of somebody else is not taken
// for a topic that somebody else has: the server makes commits with notifications
// one after the other.
func TestCommitThatWaits(t *testing.T) {
	// What is to be on a standby waits for ever.
	s := newServer(t, "-c", "fsync=off", "-c", "synchronous_commit=local", "-c", "synchronous_standby_names=none")
	n := join(t, postgres.Options{URL: s.url()})
	top := topic(engine.Recoverable)
	n.publish(top, "1")
	tx := begin(t, s, pgx.TxOptions{})
	n.publishTx(tx, top, "2") // has the topic
	waiting := make(chan error, 1)
	go func() { waiting <- n.Publish(within(t), top, engine.Event{Data: []byte("3")}) }()
	waits := func(what string) func() bool {
		return func() bool {
			return s.do("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kanava' AND "+what) == "1"
		}
	}
	s.eventually("publication that waits for the topic", waits("wait_event = 'transactionid'"))

	slow, err := pgx.Connect(within(t), s.url())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close(within(t))
	notified := make(chan error, 1)
	go func() {
		_, err := slow.Exec(within(t), "SET synchronous_commit = on; CREATE TABLE other (); NOTIFY other")
		notified <- err
	}()
	s.eventually("commit that waits", func() bool { return s.do("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == "1" })
	if err := tx.Rollback(within(t)); err != nil {
		t.Fatal(err)
	}
	s.eventually("publication whose commit waits", waits("wait_event = 'object' AND now() - xact_start > interval '500 ms'"))
	s.do("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
	if err := <-notified; err != nil {
		t.Error(err)
	}
	if err := <-waiting; err != nil {
		t.Error(err)
	}
}
