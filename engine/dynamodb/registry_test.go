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

// TestProlong is that an entry which lasts as long as a lease is not removed while that
// lasts, and is when another one has taken its place.
func TestProlong(t *testing.T) {
	s := newServer(t)
	h, other := join(t, s, time.Minute), join(t, s, time.Minute)
	client := s.client()
	for _, owner := range []string{"owner", "gone"} {
		if _, err := h.Renew(within(t), owner, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	put := func(h *hub, member, owner string, lasts time.Duration) {
		t.Helper()
		if err := h.Put(within(t), engine.Entry{Group: "group", Member: member, Owner: owner, Lasts: lasts}); err != nil {
			t.Fatal(err)
		}
	}
	put(h, "stays", "owner", 0)
	put(h, "taken", "owner", 0)
	put(other, "taken", "owner", time.Hour)
	put(h, "ended", "gone", 0)
	if _, err := h.Renew(within(t), "gone", time.Millisecond); err != nil {
		t.Fatal(err)
	}
	for owners, err := h.Owners(within(t)); len(owners) != 1; owners, err = h.Owners(within(t)) {
		if err != nil {
			t.Fatal(err)
		}
	}
	soon := time.Now().Add(time.Hour).Unix()
	ends := func() map[string]int64 {
		all := make(map[string]int64)
		for _, it := range items(t, client, tableName) {
			if part(it) == "n#group" {
				n, _ := strconv.ParseInt(it["ends"].(*types.AttributeValueMemberN).Value, 10, 64)
				all[string(it["m"].(*types.AttributeValueMemberB).Value)] = n
			}
		}
		return all
	}
	for _, it := range items(t, client, tableName) {
		if part(it) == "n#group" {
			it["ends"] = &types.AttributeValueMemberN{Value: strconv.FormatInt(soon, 10)}
			if _, err := client.PutItem(within(t), &awsdynamodb.PutItemInput{TableName: aws.String(tableName), Item: it}); err != nil {
				t.Fatal(err)
			}
		}
	}
	h.Prolong(t.Context())
	got := ends()
	if day := time.Now().Add(24 * time.Hour).Unix(); len(got) != 3 || got["stays"] < day {
		t.Errorf("the entry that lasts ends at %v", got)
	}
	if got["taken"] != soon || got["ended"] != soon {
		t.Errorf("entries that end end at %v", got)
	}
	if n := h.Lasting(); n != 1 {
		t.Errorf("the engine remembers %d entries, want 1", n)
	}
}

// TestRenewLostAnswer is that a lease which a call has begun is not said to have been
// held when the answer to it was lost.
func TestRenewLostAnswer(t *testing.T) {
	s := newServer(t)
	h := join(t, s, time.Minute)
	for _, operation := range []string{"PutItem", "UpdateItem"} {
		h.network.loses(operation)
		held, err := h.Renew(within(t), operation, time.Hour)
		h.network.answers(nil)
		if err != nil || held {
			t.Errorf("%s: held %v, %v", operation, held, err)
		}
		if held, err = h.Renew(within(t), operation, time.Hour); err != nil || !held {
			t.Errorf("%s, again: held %v, %v", operation, held, err)
		}
	}
}

// TestKeepLostAnswer is that what a call keeps is returned where the answer to it was
// lost.
func TestKeepLostAnswer(t *testing.T) {
	s := newServer(t)
	h := join(t, s, time.Minute)
	h.network.loses("PutItem")
	kept, err := h.Keep(within(t), "key", []byte("mine"), time.Hour)
	if err != nil || string(kept) != "mine" {
		t.Errorf("%q is kept, %v", kept, err)
	}
}
