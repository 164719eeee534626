package dynamodb_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/dynamodb"
)

func storeBy(tb testing.TB, client *awsdynamodb.Client) *dynamodb.Store {
	tb.Helper()
	s, err := dynamodb.NewStore(client, tableName)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func save(tb testing.TB, s *dynamodb.Store, id, data string, version uint64) uint64 {
	tb.Helper()
	saved, err := s.Save(within(tb), id, []byte(data), version, time.Hour)
	if err != nil || saved == 0 {
		tb.Fatalf("Save: version %d, %v", saved, err)
	}
	return saved
}

func load(tb testing.TB, s *dynamodb.Store, id string) engine.Record {
	tb.Helper()
	records, err := s.Load(within(tb), []string{id})
	if err != nil || len(records) != 1 {
		tb.Fatalf("Load: %d records, %v", len(records), err)
	}
	return records[0]
}

func members(tb testing.TB, s *dynamodb.Store, group string) (all []string) {
	tb.Helper()
	for m, err := range s.Members(within(tb), group) {
		if err != nil {
			tb.Fatalf("Members: %v", err)
		}
		all = append(all, m)
	}
	return all
}

// TestStoreLate is that what has ended is not there any more, though DynamoDB is
// late to remove it: the emulator never does.
func TestStoreLate(t *testing.T) {
	srv := newServer(t)
	s := storeBy(t, srv.client())
	ctx := within(t)
	version, err := s.Save(ctx, "brief", []byte("x"), 0, -time.Hour)
	if err == nil {
		err = s.Join(ctx, "group", "brief", 0)
	}
	if err == nil {
		err = s.Join(ctx, "group", "long", time.Hour)
	}
	if err == nil {
		err = s.Join(ctx, "group", "long", 0) // does not make it shorter
	}
	if err != nil {
		t.Fatal(err)
	}
	for late := time.Now().Add(30 * time.Second); load(t, s, "brief").Version != 0; {
		if time.Now().After(late) {
			t.Fatal("a record does not end")
		}
	}
	if got := members(t, s, "group"); !slices.Equal(got, []string{"long"}) {
		t.Errorf("the members are %q", got)
	}
	if _, err := s.Save(ctx, "brief", []byte("y"), version, time.Hour); !errors.Is(err, engine.ErrConflict) {
		t.Errorf("Save in the place of what has ended: %v", err)
	}
	if rec, err := s.Delete(ctx, "brief"); err != nil || rec.Version != 0 {
		t.Errorf("Delete of what has ended: %v, %v", rec, err)
	}
	out, err := srv.client().Scan(ctx, &awsdynamodb.ScanInput{TableName: aws.String(tableName)})
	if err != nil || out.Count == 0 {
		t.Fatalf("%d items, %v", out.Count, err)
	}
	for _, it := range out.Items {
		if _, ok := it["ends"].(*types.AttributeValueMemberN); !ok {
			t.Errorf("an item would never end: %v", it)
		}
	}
}

// TestStoreLarge is that a record of the size that is promised is kept, and one that
// does not fit is refused before anything is sent.
func TestStoreLarge(t *testing.T) {
	srv := newServer(t)
	way := newNetwork(t)
	s := storeBy(t, clientBy(way, srv.addr))
	id := strings.Repeat("\xff", 512)
	fits := strings.Repeat("x", 398<<10)
	version := save(t, s, id, fits, 0)
	if got := load(t, s, id); string(got.Data) != fits {
		t.Errorf("%d bytes are kept, want %d", len(got.Data), len(fits))
	}
	before := way.count("PutItem")
	if _, err := s.Save(within(t), id, []byte(fits+"x"), version, time.Hour); !errors.Is(err, dynamodb.ErrTooLarge) {
		t.Errorf("Save of too much: %v", err)
	}
	if way.count("PutItem") != before {
		t.Error("what is too large was sent")
	}
	// What does not fit into one answer is asked for again.
	var ids []string
	for i := range 44 {
		ids = append(ids, fmt.Sprint("large ", i))
		save(t, s, ids[i], fits, 0)
	}
	ids = append(ids, ids[0], "none")
	records, err := s.Load(within(t), ids)
	if err != nil {
		t.Fatal(err)
	}
	for i, rec := range records {
		if want := i != len(ids)-1; (len(rec.Data) == len(fits)) != want {
			t.Errorf("record %d has %d bytes", i, len(rec.Data))
		}
	}
	if n := way.count("BatchGetItem"); n < 3 {
		t.Errorf("%d calls: nothing was left out of the first answer", n)
	}
}

// TestStoreManyMembers is that all pages of a large group are read, and that who
// has seen enough may stop.
func TestStoreManyMembers(t *testing.T) {
	srv := newServer(t)
	way := newNetwork(t)
	s := storeBy(t, clientBy(way, srv.addr))
	const number, workers = 1300, 16
	group := strings.Repeat("g", 512)
	member := func(i int) string { return fmt.Sprintf("%0500d", i) }
	failed := make(chan error, workers)
	for w := range workers {
		go func() {
			var err error
			for i := w; i < number && err == nil; i += workers {
				err = s.Join(within(t), group, member(i), time.Hour)
			}
			failed <- err
		}()
	}
	for range workers {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
	got := members(t, s, group)
	slices.Sort(got)
	if len(got) != number {
		t.Fatalf("%d members, want %d", len(got), number)
	}
	for i := range got {
		if got[i] != member(i) {
			t.Fatalf("member %d is %.10q", i, got[i])
		}
	}
	if n := way.count("Query"); n < 2 {
		t.Errorf("the group is read by %d pages: more are needed for this test", n)
	}
	for range s.Members(within(t), group) {
		break
	}
}

// TestStoreTrouble is that every method returns an error when its context ends,
// whatever the server does, and works again afterwards.
func TestStoreTrouble(t *testing.T) {
	srv := newServer(t)
	way := newNetwork(t)
	s := storeBy(t, clientBy(way, srv.addr))
	save(t, s, "id", "x", 0)
	methods := map[string]func(ctx context.Context) error{
		"Load": func(ctx context.Context) error {
			_, err := s.Load(ctx, []string{"id"})
			return err
		},
		"Save": func(ctx context.Context) error {
			_, err := s.Save(ctx, rand.Text(), []byte("y"), 0, time.Hour)
			return err
		},
		"Delete": func(ctx context.Context) error {
			_, err := s.Delete(ctx, "another")
			return err
		},
		"Join":  func(ctx context.Context) error { return s.Join(ctx, "group", rand.Text(), time.Hour) },
		"Leave": func(ctx context.Context) error { return s.Leave(ctx, "group", "member") },
		"Members": func(ctx context.Context) error {
			for _, err := range s.Members(ctx, "group") {
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	throttled := func(_ string, _ []byte, _ func() (*http.Response, error)) (*http.Response, error) {
		return refusal(http.StatusBadRequest, "ProvisionedThroughputExceededException"), nil
	}
	for trouble, set := range map[string]func() (heal func()){
		"throttled": func() func() {
			way.answers(throttled)
			return func() { way.answers(nil) }
		},
		"stopped": func() func() {
			srv.stop()
			return srv.goOn
		},
		"away": func() func() {
			srv.kill()
			return srv.start
		},
	} {
		heal := set()
		for name, method := range methods {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			began := time.Now()
			err := method(ctx)
			cancel()
			if took := time.Since(began); err == nil || took > 3*time.Second {
				t.Errorf("%s, %s: %v after %v", trouble, name, err, took)
			}
		}
		heal()
		for name, method := range methods {
			if err := method(within(t)); err != nil {
				t.Errorf("after %s, %s: %v", trouble, name, err)
			}
		}
	}
	// A short time without capacity is not noticed.
	left := 2
	way.answers(func(op string, body []byte, call func() (*http.Response, error)) (*http.Response, error) {
		if left--; left >= 0 {
			return throttled(op, body, call)
		}
		return call()
	})
	if _, err := s.Save(within(t), rand.Text(), nil, 0, time.Hour); err != nil {
		t.Errorf("Save after two refusals: %v", err)
	}
}

// TestStoreArguments is that what cannot be a name is refused.
func TestStoreArguments(t *testing.T) {
	s := storeBy(t, clientOf(t, "127.0.0.1:1"))
	long := strings.Repeat("x", 513)
	for _, name := range []string{"", long} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, loaded := s.Load(ctx, []string{"id", name})
		_, saved := s.Save(ctx, name, nil, 0, time.Hour)
		_, deleted := s.Delete(ctx, name)
		errs := []error{loaded, saved, deleted, s.Join(ctx, name, "m", 0), s.Join(ctx, "g", name, 0), s.Leave(ctx, name, "m"), s.Leave(ctx, "g", name)}
		for m, err := range s.Members(ctx, name) {
			errs = append(errs, err)
			if m != "" {
				t.Errorf("the member %q", m)
			}
		}
		cancel()
		for i, err := range errs {
			if err == nil || !strings.Contains(err.Error(), "1 to 512 bytes") {
				t.Errorf("name of %d bytes, case %d: %v", len(name), i, err)
			}
		}
	}
	if _, err := dynamodb.NewStore(nil, ""); err == nil {
		t.Error("a store without a client")
	}
}
