package kanava_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava"
)

// A program reads what a topic keeps, page by page, and is told what it cannot
// have.
func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newClasses(t, kanava.Options[account]{}, wiring{Public: true})
		rooms := kanava.NewTopic[text](x.hub, "texts", kanava.Recoverable(4, time.Minute))
		read := func(since kanava.Position, limit int) (kanava.HistoryPage[text], string) {
			t.Helper()
			page, err := rooms.History(t.Context(), "x", since, limit)
			must(t, err)
			s := ""
			for _, e := range page.Events {
				s += e.Message + " "
			}
			return page, fmt.Sprintf("%sto %d more %v lost %v", s, page.At.Offset, page.More, page.Lost)
		}
		first, got := read(kanava.Position{}, 5)
		if got != "to 0 more false lost false" || first.At.Epoch == "" {
			t.Errorf("of a new topic: %v", got)
		}
		for i := range 6 {
			must(t, rooms.Publish(t.Context(), "x", text{fmt.Sprint(i + 1)}))
			if i == 3 {
				time.Sleep(30 * time.Second)
			}
		}
		e := first.At.Epoch
		for _, tc := range []struct {
			since kanava.Position
			limit int
			want  string
		}{
			{kanava.Position{}, 10, "3 4 5 6 to 6 more false lost false"},
			{kanava.Position{}, 4, "3 4 5 6 to 6 more false lost false"},
			{kanava.Position{}, 3, "3 4 5 to 5 more true lost false"},
			{kanava.Position{Epoch: e, Offset: 5}, 3, "6 to 6 more false lost false"},
			{kanava.Position{Epoch: e, Offset: 6}, 3, "to 6 more false lost false"},
			{kanava.Position{Epoch: e, Offset: 2}, 1, "3 to 3 more true lost false"},
			{kanava.Position{Epoch: e, Offset: 1}, 1, "3 to 3 more true lost true"},
			{kanava.Position{Epoch: e, Offset: 7}, 9, "3 4 5 6 to 6 more false lost true"},
			{kanava.Position{Epoch: "other", Offset: 4}, 9, "3 4 5 6 to 6 more false lost true"},
		} {
			if page, got := read(tc.since, tc.limit); got != tc.want || page.At.Epoch != e {
				t.Errorf("since %v: %s, want %s", tc.since, got, tc.want)
			}
		}
		time.Sleep(30 * time.Second)
		if _, got := read(kanava.Position{}, 9); got != "5 6 to 6 more false lost false" {
			t.Errorf("some have expired: %s", got)
		}
		if _, got := read(kanava.Position{Epoch: e, Offset: 2}, 9); got != "5 6 to 6 more false lost true" {
			t.Errorf("some have expired: %s", got)
		}
	})
}

// Of a Latest topic the newest of each key is read, of others that keep nothing
// the position.
func TestHistoryOfOtherClasses(t *testing.T) {
	x := newClasses(t, kanava.Options[account]{}, wiring{Public: true})
	for _, p := range []price{{"a", "1"}, {"b", "2"}, {"a", "3"}} {
		must(t, x.prices.Publish(t.Context(), "x", p))
	}
	page, err := x.prices.History(t.Context(), "x", kanava.Position{}, 1)
	if must(t, err); len(page.Events) != 1 || page.Events[0] != (price{"b", "2"}) || !page.More || page.At.Offset != 2 {
		t.Errorf("got %+v", page)
	}
	page, err = x.prices.History(t.Context(), "x", page.At, 5)
	if must(t, err); len(page.Events) != 1 || page.Events[0] != (price{"a", "3"}) || page.More || page.Lost {
		t.Errorf("got %+v", page)
	}
	must(t, x.audit.Publish(t.Context(), "x", "a"))
	audit, err := x.audit.History(t.Context(), "x", kanava.Position{}, 5)
	if must(t, err); audit.Events != nil || audit.At.Epoch == "" || audit.More || audit.Lost {
		t.Errorf("of an ordered topic: %+v", audit)
	}
	load, err := x.load.History(t.Context(), "x", kanava.Position{}, 5)
	if must(t, err); load.Events != nil || load.At != (kanava.Position{}) {
		t.Errorf("of a volatile topic: %+v", load)
	}
}

func TestHistoryErrors(t *testing.T) {
	hub := kanava.NewEventHub(kanava.HubOptions{})
	topic := kanava.NewTopic[text](hub, "room", kanava.Recoverable(10, time.Hour))
	must(t, hub.Publish(t.Context(), "room:raw", jsontext.Value(`{"message":"from elsewhere"}`)))
	page, err := topic.History(t.Context(), "raw", kanava.Position{}, 9)
	if must(t, err); page.Events[0].Message != "from elsewhere" {
		t.Errorf("got %+v", page)
	}
	for i, wrong := range []any{7, []byte{1}, jsontext.Value(`{"other":1}`)} {
		key := fmt.Sprint(i)
		must(t, hub.Publish(t.Context(), "room:"+key, wrong))
		if page, err := topic.History(t.Context(), key, kanava.Position{}, 9); err == nil {
			t.Errorf("of %v: %+v", wrong, page)
		}
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tc := range map[string]struct {
		ctx   context.Context
		key   string
		limit int
		want  kanava.Code // "" is another error
	}{
		"canceled": {canceled, "x", 1, ""},
		"bad key":  {t.Context(), "\n", 1, kanava.CodeInvalidArgument},
		"limit 0":  {t.Context(), "x", 0, kanava.CodeInvalidArgument},
	} {
		if _, err := topic.History(tc.ctx, tc.key, kanava.Position{}, tc.limit); err == nil || codeOf(err) != tc.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	hub.Close()
	if _, err := topic.History(t.Context(), "x", kanava.Position{}, 1); !errors.Is(err, kanava.ErrClosed) {
		t.Errorf("of a closed hub: %v", err)
	}
}
