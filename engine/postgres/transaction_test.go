package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/postgres"
)

// positioned are the classes that have positions.
var positioned = []engine.Class{engine.Latest, engine.Ordered, engine.Recoverable}

// begin begins a transaction on a connection of its own.
func begin(tb testing.TB, s *server, opts pgx.TxOptions) pgx.Tx {
	tb.Helper()
	conn, err := pgx.Connect(within(tb), s.url())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close(context.Background()) })
	tx, err := conn.BeginTx(within(tb), opts)
	if err != nil {
		tb.Fatal(err)
	}
	return tx
}

func (n *node) publishTx(tx postgres.Tx, t engine.Topic, text string) {
	n.tb.Helper()
	if err := n.PublishTx(within(n.tb), tx, t, engine.Event{Data: []byte(text)}); err != nil {
		n.tb.Fatal(err)
	}
}

// come returns what has come of a topic by now: what was on its way has, when a
// probe comes back.
func (n *node) come(t engine.Topic) []string {
	n.tb.Helper()
	if err := n.Probe(within(n.tb)); err != nil {
		n.tb.Fatal(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return texts(n.events[t.Name])
}

func commit(tb testing.TB, tx pgx.Tx) {
	tb.Helper()
	if err := tx.Commit(within(tb)); err != nil {
		tb.Fatal(err)
	}
}

// TestTransaction is that an event is seen if and only if its transaction commits.
func TestTransaction(t *testing.T) {
	s := newServer(t, "-c", "fsync=off")
	n := join(t, postgres.Options{URL: s.url()})
	large := strings.Repeat("x", 100_000)
	for _, class := range []engine.Class{engine.Volatile, engine.Latest, engine.Ordered, engine.Recoverable} {
		top := topic(class)
		n.subscribe(top)
		tx := begin(t, s, pgx.TxOptions{})
		n.publishTx(tx, top, "rolled back")
		if err := tx.Rollback(within(t)); err != nil {
			t.Fatal(err)
		}
		var before engine.Position
		if class != engine.Volatile {
			before = n.position(top)
		}
		tx = begin(t, s, pgx.TxOptions{})
		n.publishTx(tx, top, "1")
		n.publishTx(tx, top, large)
		n.publishTx(tx, top, "1")
		if got := n.come(top); len(got) > 0 {
			t.Errorf("%v: %.50q came before the transaction has committed", class, got)
		}
		if class != engine.Volatile && n.position(top) != before {
			t.Errorf("%v: the topic moved from %v to %v before the transaction has committed", class, before, n.position(top))
		}
		commit(t, tx)
		n.next(top, 3)
		if got := n.come(top); !slices.Equal(got, []string{"1", large, "1"}) {
			t.Errorf("%v: %d events came: %.100q", class, len(got), got)
		}
		if class == engine.Recoverable {
			if page := n.read(top, before); page.Lost || !slices.Equal(texts(page.Events), []string{"1", large, "1"}) {
				t.Errorf("lost %v, %d events are kept", page.Lost, len(page.Events))
			}
		}
	}
}

// TestTransactionOrder is that events of a topic are in the order of commits,
// whoever publishes, and that who has a topic holds up no others.
func TestTransactionOrder(t *testing.T) {
	s := newServer(t, "-c", "fsync=off")
	n := join(t, postgres.Options{URL: s.url()})
	for _, class := range positioned {
		held, other := topic(class), topic(class)
		n.subscribe(held, other)
		first, second := begin(t, s, pgx.TxOptions{}), begin(t, s, pgx.TxOptions{})
		n.publishTx(first, held, "first")
		var waiting sync.WaitGroup
		order := make(chan string, 2)
		for _, who := range []string{"second", "plain"} {
			waiting.Go(func() {
				if who == "second" {
					n.publishTx(second, held, who)
					order <- who
					commit(t, second)
					return
				}
				n.publish(held, who)
				order <- who
			})
		}
		n.publish(other, "1", "2")
		n.publishTx(first, other, "3")
		if got := n.next(other, 2); len(got) != 2 {
			t.Errorf("%v: %q came", class, texts(got))
		}
		select {
		case who := <-order:
			t.Errorf("%v: %s did not wait for the first transaction", class, who)
		default:
		}
		commit(t, first)
		waiting.Wait()
		n.next(held, 3)
		got := n.come(held)
		if len(got) != 3 || got[0] != "first" {
			t.Errorf("%v: %q came", class, got)
		}
		if got := n.come(other); !slices.Equal(got, []string{"1", "2", "3"}) {
			t.Errorf("%v: by the other topic came %q", class, got)
		}
		n.mu.Lock()
		for i, ev := range n.events[held.Name] {
			if i > 0 && ev.Prev != n.events[held.Name][i-1].At.Offset {
				t.Errorf("%v: %v names %d as the one before", class, ev.At, ev.Prev)
			}
		}
		n.mu.Unlock()
	}
}

// TestTransactionsThatStayOpen is that more topics than an engine has connections
// can be held by others, and all other topics go on; and that who publishes to one
// of them has an error in time.
func TestTransactionsThatStayOpen(t *testing.T) {
	s := newServer(t, "-c", "fsync=off")
	n := join(t, postgres.Options{URL: s.url(), Conns: 4})
	const held = 20
	var topics []engine.Topic
	tx := begin(t, s, pgx.TxOptions{})
	for range held {
		topics = append(topics, topic(engine.Recoverable))
		n.subscribe(topics[len(topics)-1])
		n.publishTx(tx, topics[len(topics)-1], "1")
	}
	var waiting sync.WaitGroup
	for i, top := range topics {
		waiting.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			if i%2 == 0 {
				n.publish(top, "2") // after the transaction
				return
			}
			begun := time.Now()
			err := n.Publish(ctx, top, engine.Event{Data: []byte("not to come")})
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > 5*time.Second {
				t.Errorf("Publish to a topic that somebody else has: %v after %v", err, time.Since(begun))
			}
		})
	}
	free := topic(engine.Recoverable)
	n.subscribe(free)
	begun := time.Now()
	for i := range 100 {
		n.publish(free, fmt.Sprint(i))
		n.position(topics[i%held])
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("100 events of a topic that nobody has took %v", took)
	}
	// All who are to fail have failed.
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	<-ctx.Done()
	commit(t, tx)
	waiting.Wait()
	for i, top := range topics {
		want := []string{"1", "2"}
		if i%2 == 1 {
			want = want[:1]
		}
		n.next(top, len(want))
		if got := n.come(top); !slices.Equal(got, want) {
			t.Errorf("%q came, want %q", got, want)
		}
	}
}

// TestTransactionsAtOnce is that each topic has the events of all transactions that
// have committed, in the order in which they had it, whoever publishes besides.
func TestTransactionsAtOnce(t *testing.T) {
	s := newServer(t, "-c", "fsync=off")
	n, other := join(t, postgres.Options{URL: s.url()}), join(t, postgres.Options{URL: s.url()})
	var topics []engine.Topic
	starts := make([]engine.Position, 3)
	for i := range starts {
		topics = append(topics, topic(engine.Recoverable))
		n.subscribe(topics[i])
		starts[i] = n.position(topics[i])
	}
	s.do("CREATE TABLE said (topic int, number serial, text text)") // in the order of those who have the topic
	var publishing sync.WaitGroup
	committed := make([]atomic.Int64, len(topics))
	for w := range 6 {
		publishing.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(w)))
			for i := range 40 {
				text := fmt.Sprint(w, " ", i)
				if w >= 4 { // without a transaction
					k := random.IntN(len(topics))
					other.publish(topics[k], text)
					committed[k].Add(1)
					continue
				}
				tx := begin(t, s, pgx.TxOptions{})
				in := make([]bool, len(topics))
				for k := range topics { // all in one order
					if in[k] = random.IntN(2) == 0; in[k] {
						n.publishTx(tx, topics[k], text)
						if _, err := tx.Exec(within(t), "INSERT INTO said (topic, text) VALUES ($1, $2)", k, text); err != nil {
							t.Error(err)
						}
					}
				}
				if random.IntN(3) == 0 {
					tx.Rollback(within(t))
				} else {
					commit(t, tx)
					for k := range topics {
						if in[k] {
							committed[k].Add(1)
						}
					}
				}
				tx.Conn().Close(within(t))
			}
		})
	}
	publishing.Wait()
	for k, top := range topics {
		n.next(top, int(committed[k].Load()))
		got := n.come(top)
		page := n.read(top, starts[k])
		if kept := texts(page.Events); !slices.Equal(got, kept) || page.Lost || int64(len(got)) != committed[k].Load() {
			t.Errorf("topic %d: %d events came, %d are kept, %d were committed", k, len(got), len(kept), committed[k].Load())
		}
		for i, ev := range page.Events {
			if want := starts[k].Offset + uint64(i); ev.Prev != want || ev.At.Offset != want+1 {
				t.Fatalf("topic %d: event %d is at %v after %d", k, i, ev.At, ev.Prev)
			}
		}
		var inTransactions []string
		for _, text := range got {
			if text[0] < '4' {
				inTransactions = append(inTransactions, text)
			}
		}
		if want := s.do(fmt.Sprintf("SELECT string_agg(text, ',' ORDER BY number) FROM said WHERE topic = %d", k)); strings.Join(inTransactions, ",") != want {
			t.Errorf("topic %d: the order is %q, want %q", k, inTransactions, want)
		}
	}
}

// TestTransactionOfAnyDriver is that it does not matter how a program's driver sends
// what PublishTx wants, NULL above all.
func TestTransactionOfAnyDriver(t *testing.T) {
	s := newServer(t, "-c", "fsync=off")
	n := join(t, postgres.Options{URL: s.url()})
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		config, err := pgx.ParseConfig(s.url())
		if err != nil {
			t.Fatal(err)
		}
		config.DefaultQueryExecMode = mode
		conn, err := pgx.ConnectConfig(within(t), config)
		if err != nil {
			t.Fatal(err)
		}
		for _, class := range []engine.Class{engine.Volatile, engine.Latest, engine.Ordered, engine.Recoverable} {
			top := topic(class)
			n.subscribe(top)
			tx, err := conn.Begin(within(t))
			if err != nil {
				t.Fatal(err)
			}
			n.publishTx(tx, top, "1")
			n.publishTx(tx, top, "2") // neither has an ID
			commit(t, tx)
			n.next(top, 2)
			if got := n.come(top); !slices.Equal(got, []string{"1", "2"}) {
				t.Errorf("%v, %v: %q came", mode, class, got)
			}
		}
		conn.Close(within(t))
	}
	// A driver that makes an empty value of NULL.
	top := topic(engine.Ordered)
	before := n.position(top)
	s.do("SELECT kanava.publish_one('" + top.Name + "', 'o', 1, 1, 'kanava_0', 'x o', '', '', '', 'AA') FROM generate_series(1, 2)")
	if after := n.position(top); after.Offset != before.Offset+2 {
		t.Errorf("two events without an ID moved the topic from %v to %v", before, after)
	}
}

// TestTransactionCrash is that an event is not seen whose transaction ends with its
// server, or with its client.
func TestTransactionCrash(t *testing.T) {
	s := newServer(t)
	n := join(t, postgres.Options{URL: s.url()})
	top := topic(engine.Recoverable)
	n.subscribe(top)
	n.publish(top, "before")
	before := n.position(top)
	tx := begin(t, s, pgx.TxOptions{})
	n.publishTx(tx, top, "lost with the client")
	tx.Conn().PgConn().Conn().Close()
	n.publish(top, "between")
	tx = begin(t, s, pgx.TxOptions{})
	n.publishTx(tx, top, "lost with the server")
	s.restart(true)
	n.until("Resumed", func() bool { return n.resumed[top.Name] > 0 })
	n.insist(top, "after")
	n.next(top, 3)
	page := n.read(top, before)
	if got := texts(page.Events); page.Lost || !slices.Equal(got, []string{"between", "after"}) || page.At.Epoch != before.Epoch {
		t.Errorf("%q are kept, lost %v, and the topic went from %v to %v", got, page.Lost, before, page.At)
	}
	if got := n.come(top); !slices.Equal(got, []string{"before", "between", "after"}) {
		t.Errorf("%q came", got)
	}
}

// TestTransactionSnapshot is that a transaction which does not see what others have
// committed does not put an event in the wrong place.
func TestTransactionSnapshot(t *testing.T) {
	s := newServer(t, "-c", "fsync=off")
	n := join(t, postgres.Options{URL: s.url()})
	known := topic(engine.Recoverable)
	n.publish(known, "0")
	for _, top := range []engine.Topic{known, topic(engine.Recoverable)} {
		tx := begin(t, s, pgx.TxOptions{IsoLevel: pgx.Serializable})
		if _, err := tx.Exec(within(t), "SELECT count(*) FROM kanava.topics"); err != nil {
			t.Fatal(err)
		}
		n.publish(top, "1")
		if err := n.PublishTx(within(t), tx, top, engine.Event{Data: []byte("2")}); err == nil {
			t.Error("a transaction publishes to a topic whose last event it does not see")
		}
		tx.Rollback(within(t))
		tx = begin(t, s, pgx.TxOptions{IsoLevel: pgx.Serializable})
		n.publishTx(tx, top, "2")
		commit(t, tx)
		if page := n.read(top, engine.Position{}); !strings.HasSuffix(strings.Join(texts(page.Events), " "), "1 2") {
			t.Errorf("%q are kept", texts(page.Events))
		}
	}
}

// TestTransactionOfHub publishes as a program does, with pgx and with database/sql.
func TestTransactionOfHub(t *testing.T) {
	s := newServer(t, "-c", "fsync=off")
	e, err := postgres.New(postgres.Options{URL: s.url()})
	if err != nil {
		t.Fatal(err)
	}
	hub := kanava.NewEventHub(kanava.HubOptions{Engine: e})
	defer hub.Close()
	orders := kanava.NewTopic[string](hub, "orders", kanava.Recoverable(100, time.Hour))
	got := make(chan string, 10)
	l := hub.Listen(func(_ context.Context, ev kanava.Event) { got <- string(ev.Data) })
	defer l.Close()
	if err := orders.Subscribe(within(t), l, "7"); err != nil {
		t.Fatal(err)
	}

	tx := begin(t, s, pgx.TxOptions{})
	for range 2 { // the second is the same
		if err := postgres.PublishTx(within(t), tx, orders, "7", "paid", kanava.Once("payment 1")); err != nil {
			t.Fatal(err)
		}
	}
	commit(t, tx)

	db, err := sql.Open("pgx", s.url())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, text := range []string{"rolled back", "shipped"} {
		tx, err := db.BeginTx(within(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := postgres.PublishTx(within(t), postgres.SQL(tx), orders, "7", text); err != nil {
			t.Fatal(err)
		}
		if text == "shipped" {
			err = tx.Commit()
		} else {
			err = tx.Rollback()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{`"paid"`, `"shipped"`} {
		select {
		case text := <-got:
			if text != want {
				t.Errorf("%s came, want %s", text, want)
			}
		case <-within(t).Done():
			t.Fatalf("%s has not come", want)
		}
	}

	// A mistake in a transaction is told, and does not publish.
	tx = begin(t, s, pgx.TxOptions{})
	if _, err := tx.Exec(within(t), "SELECT 1/0"); err == nil {
		t.Fatal("1/0")
	}
	var pe *pgconn.PgError
	if err := postgres.PublishTx(within(t), tx, orders, "7", "x"); !errors.As(err, &pe) || pe.Code != "25P02" {
		t.Errorf("PublishTx in a transaction that has failed: %v", err)
	}
	tx.Rollback(within(t))

	alone := kanava.NewEventHub(kanava.HubOptions{})
	defer alone.Close()
	if err := postgres.PublishTx(within(t), tx, kanava.NewTopic[string](alone, "orders"), "7", "x"); err == nil {
		t.Error("PublishTx succeeds for a hub without an engine")
	}
}
