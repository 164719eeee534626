package kanava_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

// expected is what a frame of a client comes to, by the rules of the protocol
// alone: encoding/json reads it.
type expected struct {
	invalid bool   // re 0, invalid_frame
	id      uint64 // it is answered with this id, if that is not 0
	silent  bool   // nothing comes, but perhaps an error that has no id
}

var kindMembers = []string{"hello", "do", "cancel", "re", "recover", "presence", "ping"}

var frameNames = slices.Concat(kindMembers, []string{"id", "by", "in", "key", "out", "err", "wait", "e", "o", "after"})

func judge(text string) expected {
	invalid := expected{invalid: true}
	members, ok := readObject(text)
	if !ok {
		return invalid
	}
	kind := ""
	for _, name := range kindMembers {
		if _, found := members[name]; !found {
			continue
		}
		if kind != "" {
			return invalid
		}
		kind = name
	}
	id, hasID := members["id"]
	n, isID := readID(id)
	switch kind {
	case "hello": // too late
		return invalid
	case "cancel":
		if _, ok := readID(members["cancel"]); !ok {
			return invalid
		}
		return expected{silent: true}
	case "re":
		return judgeAnswer(members)
	case "do":
		if members["do"][0] != '"' {
			return invalid
		}
	case "recover":
		_, topic := readText(members["recover"], 256)
		_, epoch := readText(members["e"], 16)
		if o, isInteger := readInteger(members["o"]); !isID || !topic || !epoch || !isInteger || o > 1<<53-1 {
			return invalid
		}
	case "presence":
		_, topic := readText(members["presence"], 60<<10)
		after, found := members["after"]
		if _, isText := readText(after, 60<<10); !isID || !topic || found && !isText {
			return invalid
		}
	}
	switch {
	case hasID && !isID:
		return invalid
	case hasID:
		return expected{id: n}
	}
	return expected{silent: true}
}

func judgeAnswer(members map[string]json.RawMessage) expected {
	parts := 0
	for _, name := range []string{"out", "err", "wait"} {
		if _, ok := members[name]; ok {
			parts++
		}
	}
	_, ok := readID(members["re"])
	failed := true
	if raw, found := members["err"]; found {
		// Of an object, only code and message matter.
		var e map[string]json.RawMessage
		failed = json.Unmarshal(raw, &e) == nil
		for _, name := range []string{"code", "message"} {
			var text *string
			if v, found := e[name]; found && json.Unmarshal(v, &text) != nil {
				failed = false
			}
		}
	}
	return expected{invalid: !ok || parts > 1 || !failed, silent: true}
}

// readObject returns the members of an object, and false if it is none, or has
// one of the members of frames twice.
func readObject(text string) (map[string]json.RawMessage, bool) {
	dec := json.NewDecoder(strings.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}
	members := make(map[string]json.RawMessage)
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, false
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, false
		}
		if _, twice := members[name.(string)]; twice && slices.Contains(frameNames, name.(string)) {
			return nil, false
		}
		members[name.(string)] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, false
	}
	_, err := dec.Token()
	return members, err == io.EOF
}

func readID(raw json.RawMessage) (uint64, bool) {
	n, ok := readInteger(raw)
	return n, ok && n >= 1 && n <= 1<<53-1
}

func readInteger(raw json.RawMessage) (n uint64, ok bool) {
	return n, len(raw) > 0 && raw[0] != 'n' && json.Unmarshal(raw, &n) == nil
}

func readText(raw json.RawMessage, most int) (text string, ok bool) {
	return text, len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, &text) == nil && len(text) <= most
}

// beyond reports whether the text is of those that encoding/json takes for
// something else than the protocol: escapes of lone surrogates, twice the same
// member deeper down, and what is over the limits.
func beyond(text string) bool {
	depth, most := 0, 0
	for _, c := range text {
		switch c {
		case '{', '[':
			depth++
			most = max(most, depth)
		case '}', ']':
			depth--
		}
	}
	return most > 60 || strings.Contains(strings.ToLower(text), `\ud`) || strings.Count(text, ",") > 1000
}

// Whatever frame a client sends after its hello, what comes back is what the
// protocol says: one last frame for an id that was asked, never one for another,
// invalid_frame for what is no frame, and the next call is answered as ever.
func FuzzFrame(f *testing.F) {
	for _, seed := range []string{
		`{"do":"echo","id":7,"in":{"message":"x"}}`, `{"do":"count","id":7,"in":{"n":3}}`, `{"do":"","id":7,"in":[1]}`, `{"do":"echo","by":"action","id":7}`,
		`{"cancel":7}`, `{"re":1,"out":1}`, `{"re":1,"err":{"code":"aborted","message":"x"}}`, `{"re":1,"wait":true,"out":1}`, `{"ping":true,"id":7}`,
		`{"recover":"a","id":7}`, `{"recover":"a","e":"x","o":0,"id":7}`, `{"recover":"a","e":"x","o":0}`, `{"recover":"a","e":1,"o":-1,"id":7}`, `{"presence":"a","id":7}`, `{"presence":"room:x","after":"a","id":7}`, `{"presence":"room:x","after":null,"id":7}`, `{"presence":"room:x"}`, `{"dance":1,"id":7}`, `{"id":0}`, `{"\u0064o":"echo","id":7}`, `{"do":"echo","id":7,"key":"k"}`, `{}`, `{`, `[]`, `{"do":"a","cancel":1}`,
		`{"x":1,"x":1,"id":3}`, `{"hello":{}}`, `{"do":"ask","id":7}`, `{"do":"echo","id":1e2}`,
		`{"do":"subscribe","id":7,"in":{"topic":"open:a"}}`, `{"do":"subscribe","in":{"topic":"open:a"}}`, `{"do":"unsubscribe","id":7,"in":{"topic":7}}`,
	} {
		f.Add(seed)
	}
	srv := kanava.NewServer(kanava.Options[account]{Limits: kanava.Limits{Rate: kanava.Unlimited}, Logger: slog.New(slog.DiscardHandler)})
	kanava.NewPresence[int](srv.EventHub(), "room")
	srv.Wire(wiring{
		Name: "fuzz", Route: "/fuzz", Public: true,
		OnConnect: kanava.ConnectFunc(func(ctx context.Context, ch *line) (kanava.None, error) {
			return kanava.None{}, srv.EventHub().Subscribe(ctx, "room:x", ch.ID())
		}),
		Declares: []kanava.Declared{kanava.NewTopic[text](srv.EventHub(), "open", kanava.ClientSubscribable())},
		Messages: by(kanava.On("echo", echo), kanava.OnStream("count", func(ctx context.Context, _ *line, in struct {
			N int `json:"n" maximum:"5"`
		}, out *kanava.Stream[int],
		) error {
			for i := range in.N {
				if err := out.Send(ctx, i); err != nil {
					return err
				}
			}
			return nil
		})),
	})
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) == 0 || len(text) > 60<<10 || !utf8.ValidString(text) || beyond(text) {
			return
		}
		want := judge(text)
		const after = 1<<53 - 1
		if want.id == after {
			return
		}
		c := dialFuzz(t, srv)
		c.SendText(`{"hello":{}}`)
		c.Next()
		c.Expect(`{"push":""}`)
		c.Next() // the subscription
		c.Expect(`{"presence":"room:x","v":1,"all":[],"count":0}`)
		c.SendText(text)
		c.SendText(`{"do":"echo","id":9007199254740991,"in":{"message":"next"}}`)
		last, errors := 0, 0
		for {
			var got fuzzed
			raw := c.Next()
			if strings.HasPrefix(raw, `{"sub":"open:`) {
				continue
			}
			if err := json.Unmarshal([]byte(raw), &got); err != nil || got.Re == nil {
				t.Fatalf("%q is answered by what is no answer: %s", text, raw)
			}
			switch {
			case *got.Re == after && string(got.Out) == `{"message":"next"}`:
				if got.streamEnds(c, want.id, &last); want.id != 0 && last != 1 {
					t.Fatalf("%q has %d last frames", text, last)
				}
				if want.invalid && errors != 1 {
					t.Fatalf("%q is not refused", text)
				}
				return
			case *got.Re == 0 && got.Err.Code != "" && !want.invalid && want.silent:
			case *got.Re == 0 && got.Err.Code == kanava.CodeInvalidFrame && want.invalid:
				errors++
			case *got.Re == want.id && want.id != 0 && last == 0:
				if got.Item == nil {
					last++
				}
			default:
				t.Fatalf("%q is answered %s, want %+v", text, raw, want)
			}
		}
	})
}

type fuzzed struct {
	Re   *uint64         `json:"re"`
	Item json.RawMessage `json:"item"`
	Out  json.RawMessage `json:"out"`
	Err  struct {
		Code kanava.Code `json:"code"`
	} `json:"err"`
}

// streamEnds waits for the last frame of a stream, which may come after the
// reply to a later call.
func (fuzzed) streamEnds(c *kanavatest.Client, id uint64, last *int) {
	for id != 0 && *last == 0 {
		var got fuzzed
		if err := json.Unmarshal([]byte(c.Next()), &got); err == nil && got.Re != nil && *got.Re == id && got.Item == nil {
			*last++
		}
	}
}

func dialFuzz(t *testing.T, srv *server) *kanavatest.Client {
	t.Helper()
	c, err := kanavatest.DialRequest(t, srv, &kanava.OpenRequest{
		URL: &url.URL{Path: "/fuzz"}, Header: http.Header{}, Subprotocols: []string{"kanava.v1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Whatever a client says first, it is opened for a hello, and told why and
// closed for anything else.
func FuzzHello(f *testing.F) {
	for _, seed := range []string{
		`{"hello":{}}`, `{"hello":{"token":"t","was":["a"],"contract":"1.ab"}}`, `{"hello":null}`, `{"hello":{"token":1}}`, `{"hello":{},"do":"x"}`,
		`{"hello":{"contract":"0.ab"}}`, `{"hello":{"contract":"-1.ab"}}`, `{"hello":{"contract":"x"}}`, `{"hello":{"was":["a",1]}}`, `{"hello":[]}`, `{"do":"echo","id":1}`, `{}`, `{"hello":{"token":null,"x":{}}}`, `nonsense`,
	} {
		f.Add(seed)
	}
	srv := kanava.NewServer(kanava.Options[account]{Limits: kanava.Limits{Rate: kanava.Unlimited}, Logger: slog.New(slog.DiscardHandler)})
	srv.Wire(wiring{Name: "fuzz", Route: "/fuzz", Public: true, Messages: by(kanava.On("echo", echo))})
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) == 0 || len(text) > 60<<10 || !utf8.ValidString(text) || beyond(text) {
			return
		}
		c := dialFuzz(t, srv)
		c.SendText(text)
		if want := isHello(text); !want {
			if got := c.Next(); !strings.HasPrefix(got, `{"re":0,"err":{"code":"invalid_frame",`) {
				t.Fatalf("%q is answered %s", text, got)
			}
			c.Expect(`{"away":{"code":4400}}`)
			c.ExpectClose(kanava.CloseBadRequest)
			return
		}
		if ofOldLevel(text) { // V3
			c.Expect(`{"away":{"code":4426}}`)
			c.ExpectClose(kanava.CloseUpgradeRequired)
			return
		}
		if got := c.Next(); !strings.HasPrefix(got, `{"open":{"id":"`+c.ID()+`",`) {
			t.Fatalf("%q is answered %s", text, got)
		}
		c.Expect(`{"push":""}`)
		c.SendText(`{"do":"echo","id":1,"in":{"message":"x"}}`)
		c.Expect(`{"re":1,"out":{"message":"x"}}`)
	})
}

// isHello is what the protocol says of a hello: an object with members of the
// right kinds, or null.
func isHello(text string) bool {
	members, ok := readObject(text)
	raw, found := members["hello"]
	if !ok || !found {
		return false
	}
	for _, name := range kindMembers[1:] {
		if _, two := members[name]; two {
			return false
		}
	}
	if bytes.Equal(raw, []byte("null")) {
		return true
	}
	inner, ok := readObject(string(raw))
	if !ok || repeats(raw) {
		return false
	}
	fits := func(name string, into any) bool {
		v, found := inner[name]
		return !found || json.Unmarshal(v, into) == nil
	}
	return fits("token", new(string)) && fits("contract", new(string)) && fits("was", new([]string))
}

// ofOldLevel reports whether the contract of a hello has a level below 1, the
// lowest that is served.
func ofOldLevel(text string) bool {
	members, _ := readObject(text)
	inner, _ := readObject(string(members["hello"]))
	var contract string
	_ = json.Unmarshal(inner["contract"], &contract) // a string, if it is there: isHello has said so
	level, _, _ := strings.Cut(contract, ".")
	n, err := strconv.Atoi(level)
	return err == nil && n < 1
}

// repeats reports whether an object, or one in it, has a member twice.
func repeats(raw []byte) bool {
	dec := json.NewDecoder(bytes.NewReader(raw))
	var walk func() bool
	walk = func() bool {
		t, err := dec.Token()
		if err != nil {
			return false
		}
		d, ok := t.(json.Delim)
		if !ok {
			return false
		}
		seen := make(map[string]bool)
		twice := false
		for dec.More() {
			if d == '{' {
				name, err := dec.Token()
				if err != nil {
					return twice
				}
				twice = twice || seen[name.(string)]
				seen[name.(string)] = true
			}
			twice = walk() || twice
		}
		_, _ = dec.Token()
		return twice
	}
	return walk()
}
