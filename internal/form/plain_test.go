package form_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/kanava-go/kanava/internal/form"
)

func reply(r form.Route, out string) string {
	dst := form.Plain.BeginReply([]byte("before"), r)
	from := len(dst)
	return strings.TrimPrefix(string(form.Plain.EndReply(append(dst, out...), from, r)), "before")
}

func TestReply(t *testing.T) {
	x := form.Route{Key: "action", Action: "x"}
	dynamic := form.Route{Key: "action", Action: "x", Dynamic: true}
	for _, tc := range []struct {
		name  string
		route form.Route
		out   string
		want  string
	}{
		{"object", x, `{"a":1}`, `{"a":1,"action":"x"}`},
		{"empty object", x, `{}`, `{"action":"x"}`},
		{"none", x, ``, `{"action":"x"}`},
		{"number", x, `0`, `{"action":"x","result":0}`},
		{"null", x, `null`, `{"action":"x","result":null}`},
		{"array", x, `[1]`, `{"action":"x","result":[1]}`},
		{"string with a brace", x, `"{"`, `{"action":"x","result":"{"}`},
		{"OnMessage", form.Route{}, `{"a":1}`, `{"a":1}`},
		{"routing member first", dynamic, `{"action":"mine","a":1}`, `{"a":1,"action":"x"}`},
		{"routing member last", dynamic, `{"a":1,"action":"mine"}`, `{"a":1,"action":"x"}`},
		{"routing member between", dynamic, `{"a":1,"action":{"b":[1,2]},"c":2}`, `{"a":1,"c":2,"action":"x"}`},
		{"routing member alone", dynamic, `{"action":1}`, `{"action":"x"}`},
		{"names that need escapes", form.Route{Key: "a\"b", Action: "x\ny"}, `{}`, `{"a\"b":"x\ny"}`},
		{"a name that is no UTF-8", form.Route{Key: "k", Action: "\xff"}, `{}`, "{\"k\":\"\ufffd\"}"},
	} {
		if got := reply(tc.route, tc.out); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
		}
	}
}

func TestErrorAndEvent(t *testing.T) {
	e := form.Error{Code: "x_y", Message: "a \"b\"", Details: []form.Detail{{Pointer: "/a", Message: "m"}, {Pointer: "", Message: "n"}}, RetryAfter: 5}
	want := `{"action":"x","error":{"code":"x_y","message":"a \"b\"","details":[{"pointer":"/a","message":"m"},{"pointer":"","message":"n"}],"retryAfter":5}}`
	if got := string(form.Plain.Error(nil, form.Route{Key: "action", Action: "x"}, e)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := string(form.Plain.Error(nil, form.Route{}, form.Error{Code: "c", Message: "m"})); got != `{"error":{"code":"c","message":"m"}}` {
		t.Errorf("got %s", got)
	}
	if got := string(form.Plain.Event(nil, form.Event{Topic: "room:a\"b", Data: []byte(`[1]`)})); got != `{"topic":"room:a\"b","data":[1]}` {
		t.Errorf("got %s", got)
	}
}

// A reply to any result is one JSON text with the routing member, which wins,
// as the last; the rest of the result is as it was.
func FuzzReply(f *testing.F) {
	f.Add("action", "x", `{"a":1,"action":{"b":[]},"c":" ,\" "}`)
	f.Add("a", "\u2028", `{"\u0061":1}`)
	f.Add("k", "v", `[{}]`)
	f.Fuzz(func(t *testing.T, key, action, out string) {
		v := jsontext.Value(out)
		if key == "" || action == "" || !utf8.ValidString(key) || !utf8.ValidString(action) || v.Compact() != nil || !v.IsValid() {
			return // results come from the encoder: valid and compact
		}
		got := reply(form.Route{Key: key, Action: action, Dynamic: true}, string(v))
		var have, want map[string]jsontext.Value // values are as they were, byte for byte
		if err := json.Unmarshal([]byte(got), &have); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		if v.Kind() == '{' {
			if err := json.Unmarshal(v, &want); err != nil {
				t.Fatal(err)
			}
		} else {
			want = map[string]jsontext.Value{"result": v}
			if key == "result" {
				return // By("result") with a result that is no object: refused by the next line of defence, Wire
			}
		}
		name, err := jsontext.AppendQuote(nil, action)
		if err != nil {
			t.Fatal(err)
		}
		want[key] = name
		if diff := cmp.Diff(want, have); diff != "" {
			t.Fatalf("%s: %s", got, diff)
		}
	})
}
