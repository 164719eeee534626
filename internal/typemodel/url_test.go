package typemodel_test

import (
	"context"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/kanava-go/kanava/internal/typemodel"
)

type links struct {
	Any   url.URL            `json:"any"`
	Full  *url.URL           `json:"full" format:"uri" maxLength:"40"`
	Opt   url.URL            `json:"opt,omitzero"`
	Empty url.URL            `json:"empty,omitempty"` //nolint:modernize // a URL is a string in JSON, which can be empty
	Https url.URL            `json:"https,omitzero" pattern:"^https:" default:"https://example.org/"`
	List  []*url.URL         `json:"list,omitempty" uniqueItems:"true"`
	Named map[string]url.URL `json:"named,omitempty"`
	Union place              `json:"union,omitzero"`
}

type place interface{ place() }

type page struct {
	URL  url.URL `json:"url"`
	Skip url.URL `json:"skip,omitempty"` //nolint:modernize // as above
}

func (page) place() {}

var _ = registered(typemodel.RegisterUnion("x", "type", map[string]place{"page": page{}}))

func mustURL(text string) url.URL {
	u, err := url.Parse(text)
	if err != nil {
		panic(err)
	}
	return *u
}

func TestURLs(t *testing.T) {
	full, relative := mustURL("https://u:p@example.org:8080/a%2Fb?c=d#e"), mustURL("../x?y")
	want := links{
		Any: relative, Full: &full, Https: mustURL("https://example.org/"), List: []*url.URL{&relative, nil},
		Named: map[string]url.URL{"a": full}, Union: page{URL: full},
	}
	raw, err := model[links](t, typemodel.Output).Append(nil, &want)
	const text = `{"any":"../x?y","full":"https://u:p@example.org:8080/a%2Fb?c=d#e","https":"https://example.org/","list":["../x?y",null],` +
		`"named":{"a":"https://u:p@example.org:8080/a%2Fb?c=d#e"},"union":{"type":"page","url":"https://u:p@example.org:8080/a%2Fb?c=d#e"}}`
	if err != nil || string(raw) != text {
		t.Fatalf("%s, error %v", raw, err)
	}
	got, faults, err := decode[links](t, strings.Replace(text, `"https":"https://example.org/",`, "", 1))
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b url.URL) bool { return a.String() == b.String() })); diff != "" || faults != nil || err != nil {
		t.Errorf("faults %v, error %v\n%s", faults, err, diff)
	}
	for _, use := range []typemodel.Use{typemodel.Stored, typemodel.Input} {
		var again links
		if faults, err := model[links](t, use).Decode(context.Background(), raw, &again); faults != nil || err != nil || !reflect.DeepEqual(got, again) {
			t.Errorf("use %d: faults %v, error %v", use, faults, err)
		}
	}
	golden(t, "links", model[links](t, typemodel.Input).Schema())
	_, faults, err = decode[links](t, `{"any":"a b","full":"/a","https":"http://a","list":["http://[::1","1a:b","x","x"],"named":{"a":5},"union":{"type":"page","url":"http://a:b/"}}`)
	if diff := cmp.Diff([]typemodel.Fault{
		{"/any", "must be a URL"},
		{"/full", "must be an absolute URI"},
		{"/https", "must match the pattern ^https:"},
		{"/list", "must not have equal elements; number 3 was there before"},
		{"/list/0", "must be a URL"},
		{"/list/1", "must be a URL"},
		{"/named/a", "must be a URL as a string, not a number"},
		{"/union/url", "must be a URL"},
	}, faults); diff != "" || err != nil {
		t.Errorf("error %v\n%s", err, diff)
	}
}

func TestURLsInOpeningData(t *testing.T) {
	type opening struct {
		Back url.URL   `query:"back" format:"uri"`
		More []url.URL `query:"more"`
	}
	var v opening
	faults, err := plan[opening](t).Decode(context.Background(), with("back", "https://example.org/?a=b", "more", "", "more", "/x"), &v)
	if want := (opening{mustURL("https://example.org/?a=b"), []url.URL{{}, mustURL("/x")}}); faults != nil || err != nil || !reflect.DeepEqual(v, want) {
		t.Errorf("%+v, faults %v, error %v", v, faults, err)
	}
	faults, _ = plan[opening](t).Decode(context.Background(), with("back", "/x"), &v)
	if diff := cmp.Diff([]typemodel.Fault{{"/back", `query "back" must be an absolute URI`}}, faults); diff != "" {
		t.Error(diff)
	}
}

func TestRefusedURLs(t *testing.T) {
	type embeds struct{ url.URL }
	type keyed struct{ M map[url.URL]int }
	for typ, want := range map[reflect.Type]string{
		reflect.TypeFor[embeds](): "embeds.URL: url.URL encodes itself and so cannot be embedded",
		reflect.TypeFor[keyed]():  "keyed.M: url.URL cannot be the key of a JSON object",
	} {
		if _, err := typemodel.Of(typ, typemodel.Input); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", typ, err)
		}
	}
}
