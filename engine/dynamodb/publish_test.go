package dynamodb_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

// headWrite tells whether a call writes the head of a topic, which publishes.
func headWrite(operation string, body []byte) bool {
	return operation == "PutItem" && strings.Contains(string(body), `"ep"`) && !strings.Contains(string(body), `"u"`)
}

// TestPublishLostAnswer is that an event whose publication was not confirmed, so that
// the client has sent it again, is published once, and that its position is known:
// also where others have published since.
func TestPublishLostAnswer(t *testing.T) {
	s := newServer(t)
	mine, other := join(t, s, 10*time.Millisecond), join(t, s, 10*time.Millisecond)
	for others := range 3 {
		tp := topic(engine.Recoverable)
		start := mine.position(tp)
		mine.publish(tp, "first")
		lost := false
		mine.network.answers(func(op string, body []byte, call func() (*http.Response, error)) (*http.Response, error) {
			res, err := call()
			if lost || !headWrite(op, body) {
				return res, err
			}
			lost = true
			for i := range others {
				other.publish(tp, fmt.Sprint("other ", i))
			}
			return nil, errLost
		})
		ev, published, err := mine.PublishStamped(within(t), tp, engine.Event{Data: []byte("mine")})
		mine.network.answers(nil)
		if err != nil || !published || !lost {
			t.Fatalf("%d others: published %v, %v, lost %v", others, published, err, lost)
		}
		page := mine.read(tp, start)
		want := []string{"first", "mine", "other 0", "other 1"}[:2+others]
		if got := texts(page.Events); !slices.Equal(got, want) || page.Lost {
			t.Errorf("%d others: %q are kept, want %q", others, got, want)
		} else if page.Events[1].At != ev.At || !page.Events[1].Time.Equal(ev.Time) {
			t.Errorf("%d others: the event is at %v, and was stamped %v", others, page.Events[1].At, ev.At)
		}
		mine.publish(tp, "next")
		if got := texts(mine.read(tp, start).Events); !slices.Equal(got, append(want, "next")) {
			t.Errorf("%d others: then %q are kept", others, got)
		}
	}
}

// TestPublishKilled is that a process which ends at any call of a publication leaves
// what another one can go on with: the event is there once or not at all, and once when
// it is published again with its ID.
func TestPublishKilled(t *testing.T) {
	s := newServer(t)
	other := join(t, s, 10*time.Millisecond)
	for _, class := range []engine.Class{engine.Latest, engine.Ordered, engine.Recoverable} {
		for _, carried := range []bool{false, true} { // whether the last call was carried out
			for last := 1; ; last++ {
				tp := topic(class)
				other.subscribe(tp)
				for i := range 3 {
					other.publish(tp, fmt.Sprint("before ", i))
				}
				n := newNode(t, s, time.Minute)
				n.Start(deaf{})
				calls := 0
				n.network.answers(func(_ string, _ []byte, call func() (*http.Response, error)) (*http.Response, error) {
					if calls++; calls < last {
						return call()
					}
					if calls == last && carried {
						if res, err := call(); err == nil {
							res.Body.Close()
						}
					}
					return nil, errLost
				})
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				_, _, err := n.PublishStamped(ctx, tp, engine.Event{ID: "id", Data: []byte("killed")})
				cancel()
				ctx, cancel = context.WithTimeout(t.Context(), time.Second)
				n.Close(ctx)
				cancel()
				if err == nil && calls < last {
					if last < 4 {
						t.Fatalf("a publication takes %d calls only", last)
					}
					break // it was not killed any more
				}
				id := engine.Event{ID: "id", Data: []byte("killed")}
				again := newNode(t, s, time.Minute) // does not remember where the topic stood
				again.Start(deaf{})
				if err := again.Publish(within(t), tp, id); err != nil {
					t.Fatalf("%v, killed at call %d: %v", class, last, err)
				}
				again.Close(within(t))
				other.publish(tp, "after")
				want := []string{"before 0", "before 1", "before 2", "killed", "after"}
				got := texts(other.next(tp, len(want)))
				if !slices.Equal(got, want) {
					t.Errorf("%v, killed at call %d, carried out %v: %q came", class, last, carried, got)
				}
				if class == engine.Recoverable {
					if got := texts(other.read(tp, engine.Position{}).Events); !slices.Equal(got, want) {
						t.Errorf("%v, killed at call %d, carried out %v: %q are kept", class, last, carried, got)
					}
				}
			}
		}
	}
}

// TestPublishRefused is that a publication ends with its context where the table has
// no capacity, and succeeds where it has some again.
func TestPublishRefused(t *testing.T) {
	s := newServer(t)
	h := join(t, s, 10*time.Millisecond)
	tp := topic(engine.Recoverable)
	h.subscribe(tp)
	h.publish(tp, "1")
	refuse := func(_ string, _ []byte, _ func() (*http.Response, error)) (*http.Response, error) {
		return refusal(http.StatusBadRequest, "ProvisionedThroughputExceededException"), nil
	}
	h.network.answers(refuse)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := h.Publish(ctx, tp, engine.Event{Data: []byte("no")}); err == nil || time.Since(began) > 3*time.Second {
		t.Errorf("Publish without capacity: %v after %v", err, time.Since(began))
	}
	h.network.answers(nil)
	h.publish(tp, "2")
	h.until("the event after it", func() bool { return slices.Contains(texts(h.events[tp.Name]), "2") })
	// Nobody knows what becomes of the other one.
	if got := texts(h.next(tp, 2)); !slices.Equal(got, []string{"1", "2"}) && !slices.Equal(got, []string{"1", "no", "2"}) {
		t.Errorf("%q came", got)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.resumed) > 0 {
		t.Errorf("the hub was told that it may have missed something: %v", h.resumed)
	}
}

// TestPublishTold is that whoever publishes too late goes on with what DynamoDB says that
// there is, and asks for nothing. The emulator does not say it: the test does.
func TestPublishTold(t *testing.T) {
	s := newServer(t)
	h, other := join(t, s, time.Minute), join(t, s, time.Minute)
	client := s.client()
	tells := 0
	h.network.answers(func(op string, body []byte, call func() (*http.Response, error)) (*http.Response, error) {
		res, err := call()
		if err != nil || res.StatusCode != http.StatusBadRequest || !bytes.Contains(body, []byte(`"ReturnValuesOnConditionCheckFailure":"ALL_OLD"`)) {
			return res, err
		}
		var sent struct {
			Item map[string]map[string][]byte
		}
		json.Unmarshal(body, &sent) // keys are binary; numbers and texts are left out
		there, err := client.GetItem(within(t), &awsdynamodb.GetItemInput{
			TableName: aws.String(tableName), ConsistentRead: aws.Bool(true), Key: map[string]types.AttributeValue{
				"pk": &types.AttributeValueMemberB{Value: sent.Item["pk"]["B"]}, "sk": &types.AttributeValueMemberB{Value: sent.Item["sk"]["B"]},
			},
		})
		if err != nil {
			return nil, err
		}
		item := make(map[string]any)
		for name, v := range there.Item {
			switch v := v.(type) {
			case *types.AttributeValueMemberB:
				item[name] = map[string][]byte{"B": v.Value}
			case *types.AttributeValueMemberN:
				item[name] = map[string]string{"N": v.Value}
			case *types.AttributeValueMemberS:
				item[name] = map[string]string{"S": v.Value}
			}
		}
		answer, err := json.Marshal(map[string]any{"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", "Item": item})
		res.Header.Del("X-Amz-Crc32")
		res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(answer)), int64(len(answer))
		tells++
		return res, err
	})
	tp := topic(engine.Recoverable)
	h.publish(tp, "0")
	before := h.network.count("GetItem")
	var want []string
	for i := range 10 {
		other.publish(tp, fmt.Sprint("other ", i))
		h.publish(tp, fmt.Sprint("mine ", i))
		want = append(want, fmt.Sprint("other ", i), fmt.Sprint("mine ", i))
	}
	if n := h.network.count("GetItem") - before; n != 0 || tells != 10 {
		t.Errorf("%d items were asked for, and %d told", n, tells)
	}
	for range 2 { // the ID is known from a publication that is told of
		if err := h.Publish(within(t), tp, engine.Event{ID: "id", Data: []byte("once")}); err != nil {
			t.Fatal(err)
		}
	}
	if n := h.network.count("GetItem") - before; n != 0 {
		t.Errorf("%d items were asked for because of an ID", n)
	}
	if got := texts(other.read(tp, engine.Position{}).Events); !slices.Equal(got, append(append([]string{"0"}, want...), "once")) {
		t.Errorf("%q are kept", got)
	}
}

// TestTrim is that events of a topic that keeps them long are removed when there are
// too many, with what does not stand in the log, but not while nodes may need them; and
// that those that end within a day are left to DynamoDB.
func TestTrim(t *testing.T) {
	s := newServer(t)
	h := join(t, s, time.Minute)
	for _, c := range []struct {
		what string
		ttl  time.Duration
		late time.Duration
		left int // items of the log and of large events
	}{
		{"at once", 48 * time.Hour, 0, 99 + 2},
		{"later", 48 * time.Hour, time.Hour, 9},
		{"later, but it ends", time.Hour, time.Hour, 99 + 2},
	} {
		tp := topic(engine.Recoverable)
		tp.Size, tp.TTL = 10, c.ttl
		before := len(bodies(t, s))
		h.publish(tp, strings.Repeat("x", 400<<10))
		for i := range 99 {
			h.publish(tp, fmt.Sprint(i))
		}
		if err := h.Trim(within(t), tp, time.Now().Add(c.late)); err != nil {
			t.Fatal(err)
		}
		left := len(bodies(t, s)) - before
		for _, it := range items(t, s.client(), tableName) {
			if p := part(it); strings.HasPrefix(p, "e#") && strings.HasSuffix(p, tp.Name) {
				left++
			}
		}
		if left != c.left {
			t.Errorf("%s: %d items are left, want %d", c.what, left, c.left)
		}
		if got := texts(h.read(tp, engine.Position{}).Events); len(got) != 10 || got[9] != "98" {
			t.Errorf("%s: %q are kept", c.what, got)
		}
	}
}

func bodies(tb testing.TB, s *server) (parts []string) {
	for _, it := range items(tb, s.client(), tableName) {
		if p := part(it); strings.HasPrefix(p, "b#") {
			parts = append(parts, p)
		}
	}
	return parts
}

// TestAllEnds is that no item of an engine stays for ever.
func TestAllEnds(t *testing.T) {
	s := newServer(t)
	h := join(t, s, 10*time.Millisecond)
	for _, class := range []engine.Class{engine.Volatile, engine.Latest, engine.Ordered, engine.Recoverable} {
		tp := topic(class)
		for i := range 3 {
			if err := h.Publish(within(t), tp, engine.Event{ID: fmt.Sprint(i), Key: "k", Data: []byte(strings.Repeat("x", 2000*i))}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := h.Renew(within(t), "owner", time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, lasts := range []time.Duration{0, time.Minute} {
		if err := h.Put(within(t), engine.Entry{Group: "g", Member: fmt.Sprint(lasts), Owner: "owner", Lasts: lasts}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Keep(within(t), "key", nil, time.Minute); err != nil {
		t.Fatal(err)
	}
	kinds := make(map[string]int)
	for _, it := range items(t, s.client(), tableName) {
		kinds[part(it)[:1]]++
		if it["ends"] == nil {
			t.Errorf("an item would never end: %v", it)
		}
	}
	if len(kinds) != 8 {
		t.Errorf("there are items of the kinds %v, want all 8", kinds)
	}
}

// TestFull is that what waits is bounded.
func TestFull(t *testing.T) {
	s := newServer(t)
	h := join(t, s, time.Minute)
	hold := make(chan struct{})
	h.network.answers(func(op string, body []byte, call func() (*http.Response, error)) (*http.Response, error) {
		if op == "GetItem" {
			<-hold
		}
		return call()
	})
	tp, data := topic(engine.Ordered), make([]byte, 8<<20)
	results := make(chan error)
	for range 10 {
		go func() {
			_, _, err := h.PublishStamped(within(t), tp, engine.Event{Data: data, Binary: true})
			results <- err
		}()
	}
	full := 0
	for i := range 10 {
		err := <-results
		switch {
		case errors.Is(err, dynamodb.ErrFull):
			full++
		case err != nil:
			t.Error(err)
		}
		if full == 1 && i == 0 {
			close(hold)
		}
	}
	if full == 0 || full > 4 {
		t.Errorf("%d of 10 were refused", full)
	}
}

// TestRestoredTable is that epochs end where a table was restored under another name.
func TestRestoredTable(t *testing.T) {
	s := newServer(t)
	h := join(t, s, time.Minute)
	tp := topic(engine.Recoverable)
	h.publish(tp, "1", "2")
	was := h.position(tp)
	client := s.client()
	const restored = "restored"
	if err := dynamodb.CreateTable(within(t), client, restored); err != nil {
		t.Fatal(err)
	}
	for _, it := range items(t, client, tableName) {
		if _, err := client.PutItem(within(t), &awsdynamodb.PutItemInput{TableName: aws.String(restored), Item: it}); err != nil {
			t.Fatal(err)
		}
	}
	e, err := dynamodb.New(dynamodb.Options{Client: client, Table: restored})
	if err != nil {
		t.Fatal(err)
	}
	e.Start(deaf{})
	defer e.Close(within(t))
	page, err := e.Read(within(t), tp, was, 10)
	if err != nil || !page.Lost || page.At.Epoch == was.Epoch || len(page.Events) != 0 {
		t.Errorf("Read of a restored table: %+v, %v", page, err)
	}
	if err := e.Publish(within(t), tp, engine.Event{Data: []byte("3")}); err != nil {
		t.Error(err)
	}
}
