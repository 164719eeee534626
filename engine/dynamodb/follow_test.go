package dynamodb_test

import (
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
)

// TestOwnEvents is that what was published here comes without a look at the table, and
// in order where others publish, too.
func TestOwnEvents(t *testing.T) {
	s := newServer(t)
	mine, other := join(t, s, time.Minute), join(t, s, time.Minute)
	for _, class := range []engine.Class{engine.Volatile, engine.Latest, engine.Ordered, engine.Recoverable} {
		tp := topic(class)
		mine.subscribe(tp)
		before := mine.network.count("BatchGetItem")
		mine.publish(tp, "1", "2")
		if got := texts(mine.next(tp, 2)); !slices.Equal(got, []string{"1", "2"}) {
			t.Errorf("%v: %q came", class, got)
		}
		if n := mine.network.count("BatchGetItem") - before; n > 0 {
			t.Errorf("%v: %d looks for events that were published here", class, n)
		}
		// One of another node comes before the next one of this node, which asks for it.
		other.publish(tp, "3")
		mine.publish(tp, "4", "5")
		if got := texts(mine.next(tp, 5)); !slices.Equal(got, []string{"1", "2", "3", "4", "5"}) {
			t.Errorf("%v: %q came", class, got)
		}
	}
}

// TestLogHasEnded is that a hub is told when the log has no more what it has missed.
func TestLogHasEnded(t *testing.T) {
	s := newServer(t)
	h, other := join(t, s, 10*time.Millisecond), join(t, s, time.Minute)
	for _, class := range []engine.Class{engine.Volatile, engine.Latest, engine.Ordered} {
		tp := topic(class)
		h.subscribe(tp)
		other.publish(tp, "before")
		h.next(tp, 1)
		heal := h.network.cut()
		other.publish(tp, "1", "2", "3", "4", "5")
		removed := 0
		for _, it := range items(t, s.client(), tableName) {
			if p := part(it); strings.HasPrefix(p, "e#") && strings.HasSuffix(p, tp.Name) {
				if removed++; removed == 4 || removed == 5 {
					continue // events 3 and 4; 5 is in the head
				}
				if _, err := s.client().DeleteItem(within(t), &awsdynamodb.DeleteItemInput{
					TableName: aws.String(tableName), Key: map[string]types.AttributeValue{"pk": it["pk"], "sk": it["sk"]},
				}); err != nil {
					t.Fatal(err)
				}
			}
		}
		heal()
		if got := texts(h.next(tp, 4)); !slices.Equal(got, []string{"before", "3", "4", "5"}) {
			t.Errorf("%v: %q came", class, got)
		}
		h.until("that the hub is told", func() bool { return h.resumed[tp.Name] == 1 && h.resumed[""] > 0 })
		if class == engine.Ordered {
			if ev := h.next(tp, 4)[1]; ev.Prev != ev.At.Offset-1 || ev.At.Offset != 4 {
				t.Errorf("after a gap comes %+v", ev)
			}
		}
	}
}

// TestBodyHasEnded is that an event whose data is gone is left out, and the hub is told.
func TestBodyHasEnded(t *testing.T) {
	s := newServer(t)
	h, other := join(t, s, 10*time.Millisecond), join(t, s, time.Minute)
	tp := topic(engine.Latest)
	h.subscribe(tp)
	heal := h.network.cut()
	other.publish(tp, "small", strings.Repeat("x", 1<<20), "last")
	for i, it := range items(t, s.client(), tableName) {
		if strings.HasPrefix(part(it), "b#") {
			if _, err := s.client().DeleteItem(within(t), &awsdynamodb.DeleteItemInput{
				TableName: aws.String(tableName), Key: map[string]types.AttributeValue{"pk": it["pk"], "sk": it["sk"]},
			}); err != nil {
				t.Fatal(i, err)
			}
			break // one part of three
		}
	}
	heal()
	if got := texts(h.next(tp, 2)); !slices.Equal(got, []string{"small", "last"}) {
		t.Errorf("%.30q came", got)
	}
	h.until("that the hub is told", func() bool { return h.resumed[tp.Name] == 1 })
}

// TestBacklog is that a node which could not look for a while gets all that has come,
// in order, also where it is more than it takes at once.
func TestBacklog(t *testing.T) {
	s := newServer(t)
	h, other := join(t, s, 10*time.Millisecond), join(t, s, time.Minute)
	tp := topic(engine.Ordered)
	h.subscribe(tp)
	heal := h.network.cut()
	const number = 700
	var want []string
	for i := range number {
		want = append(want, fmt.Sprint(i))
		if i%100 == 50 {
			want[i] += strings.Repeat("x", 300<<10)
		}
	}
	other.publish(tp, want...)
	heal()
	if got := texts(h.next(tp, number)); !slices.Equal(got, want) {
		t.Errorf("%d events came, want the %d that were published", len(got), number)
	}
}

// TestLooksRefused is that looks which DynamoDB refuses for want of capacity are no loss:
// the hub would ask for everything, and make it worse.
func TestLooksRefused(t *testing.T) {
	s := newServer(t)
	h, other := join(t, s, 10*time.Millisecond), join(t, s, time.Minute)
	tp := topic(engine.Ordered)
	h.subscribe(tp)
	h.network.answers(func(_ string, _ []byte, _ func() (*http.Response, error)) (*http.Response, error) {
		return refusal(http.StatusBadRequest, "ThrottlingException"), nil
	})
	before := h.network.count("BatchGetItem")
	other.publish(tp, "1", "2")
	for h.network.count("BatchGetItem") < before+3 {
		other.publish(tp, "more")
	}
	h.network.answers(nil)
	h.next(tp, 2)
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.resumed) > 0 {
		t.Errorf("the hub was told that it may have missed something: %v", h.resumed)
	}
}

// TestLostLook is that the hub is told of a look that had no answer, at whichever of its
// calls: the client does not hide it.
func TestLostLook(t *testing.T) {
	s := newServer(t)
	other := join(t, s, time.Minute)
	for _, operation := range []string{"BatchGetItem", "GetItem", "Query"} {
		h, tp := join(t, s, 10*time.Millisecond), topic(engine.Ordered)
		h.subscribe(tp) // which has no head yet: a look at it reads that once more
		hold := make(chan struct{})
		lost := false
		h.network.answers(func(op string, _ []byte, call func() (*http.Response, error)) (*http.Response, error) {
			<-hold
			res, err := call()
			if err == nil && op == operation && !lost {
				lost = true
				return nil, errLost
			}
			return res, err
		})
		other.publish(tp, "1", "2", "3")
		close(hold)
		h.next(tp, 3)
		h.until(operation+": that the hub is told", func() bool { return h.resumed[""] > 0 })
	}
}

// TestNewTopic is that a topic nobody has published to is not asked for twice, and that
// the hub is told when its epoch has ended.
func TestNewTopic(t *testing.T) {
	s := newServer(t)
	h := join(t, s, 10*time.Millisecond)
	tp := topic(engine.Ordered)
	h.subscribe(tp)
	was := h.position(tp)
	looks := func(n int) {
		for before := h.network.count("BatchGetItem"); h.network.count("BatchGetItem") < before+n; {
			h.position(topic(engine.Ordered))
		}
	}
	looks(20)
	before := h.network.count("GetItem")
	looks(100)
	if n := h.network.count("GetItem") - before; n > 0 {
		t.Errorf("%d items were read besides the looks", n)
	}
	s.wipe()
	if at := h.position(tp); at.Epoch == was.Epoch {
		t.Fatalf("it still stands at %v", at)
	}
	h.until("that the hub is told", func() bool { return h.resumed[tp.Name] > 0 })
}

// TestUnknownForm is that events of a later version are not read as something else, and
// keep nobody from others.
func TestUnknownForm(t *testing.T) {
	s := newServer(t)
	h, other := join(t, s, 10*time.Millisecond), join(t, s, time.Minute)
	strange, tp := topic(engine.Recoverable), topic(engine.Recoverable)
	h.subscribe(strange, tp)
	other.publish(strange, "1")
	h.next(strange, 1)
	was := h.position(strange)
	for _, it := range items(t, s.client(), tableName) {
		if part(it) == "t#"+strange.Name {
			it["b"] = &types.AttributeValueMemberB{Value: []byte("later")}
			it["o"] = &types.AttributeValueMemberN{Value: "2"}
			if _, err := s.client().PutItem(within(t), &awsdynamodb.PutItemInput{TableName: aws.String(tableName), Item: it}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, err := range []error{
		func() error { _, err := h.Read(within(t), strange, was, 10); return err }(),
		h.Publish(within(t), strange, engine.Event{Data: []byte("2")}),
		other.Publish(within(t), strange, engine.Event{Data: []byte("2")}),
	} {
		if err == nil || !strings.Contains(err.Error(), "form") {
			t.Errorf("what is in another form: %v", err)
		}
	}
	if at := h.position(strange); at.Epoch != was.Epoch || at.Offset != 2 {
		t.Errorf("it stands at %v", at)
	}
	other.publish(tp, "1", "2", "3")
	h.next(tp, 3)
}
