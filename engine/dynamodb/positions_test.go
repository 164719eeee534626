package dynamodb_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/kanava-go/kanava/engine"
)

// TestUsed is that a topic which is asked for keeps its position, though nobody
// publishes to it, for a write a day.
func TestUsed(t *testing.T) {
	s := newServer(t)
	h, client := join(t, s, time.Minute), s.client()
	tp := topic(engine.Recoverable)
	tp.TTL = 72 * time.Hour
	h.publish(tp, "1")
	head := func() (map[string]types.AttributeValue, time.Duration) {
		t.Helper()
		for _, it := range items(t, client, tableName) {
			if part(it) == "t#"+tp.Name {
				ends, _ := strconv.ParseInt(it["ends"].(*types.AttributeValueMemberN).Value, 10, 64)
				return it, time.Until(time.Unix(ends, 0))
			}
		}
		t.Fatal("there is no head")
		return nil, 0
	}
	const whole = 48*time.Hour + 72*time.Hour
	it, left := head()
	if left < whole-time.Hour || left > whole+time.Hour {
		t.Errorf("a topic that was published to ends in %v, want %v", left, whole)
	}
	before := h.network.count("UpdateItem")
	at := h.position(tp)
	if n := h.network.count("UpdateItem") - before; n != 0 {
		t.Errorf("%d writes for a topic that was used a moment ago", n)
	}
	it["ends"] = &types.AttributeValueMemberN{Value: strconv.FormatInt(time.Now().Add(whole-25*time.Hour).Unix(), 10)}
	if _, err := client.PutItem(within(t), &awsdynamodb.PutItemInput{TableName: aws.String(tableName), Item: it}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if now := h.position(tp); now != at {
			t.Errorf("it went from %v to %v", at, now)
		}
	}
	if n := h.network.count("UpdateItem") - before; n != 1 {
		t.Errorf("%d writes for a topic that was used a day ago, want 1", n)
	}
	if _, left = head(); left < whole-time.Hour {
		t.Errorf("a topic that is used ends in %v", left)
	}
	if got := texts(h.read(tp, engine.Position{}).Events); len(got) != 1 {
		t.Errorf("%q are kept", got)
	}
}

// TestPositionsTwice is that a topic may be named twice.
func TestPositionsTwice(t *testing.T) {
	h := join(t, newServer(t), time.Minute)
	one, other := topic(engine.Ordered), topic(engine.Ordered)
	h.publish(other, "1")
	at, err := h.Positions(within(t), []engine.Topic{one, other, one})
	if err != nil || at[0] != at[2] || at[0].Epoch == at[1].Epoch || at[0].Offset != 0 || at[1].Offset != 1 {
		t.Errorf("%v, %v", at, err)
	}
	if at, err := h.Positions(within(t), nil); err != nil || len(at) != 0 {
		t.Errorf("of none: %v, %v", at, err)
	}
}
