package gogen_test

import (
	"context"
	"errors"
	"flag"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kanava-go/kanava/client"
	"github.com/kanava-go/kanava/gen/gogen"
	"github.com/kanava-go/kanava/gen/internal/gallery"
	"github.com/kanava-go/kanava/gen/internal/galleryclient"
	"github.com/kanava-go/kanava/manifest"
	"github.com/kanava-go/kanava/transport/ws"
)

var update = flag.Bool("update", false, "write the golden file")

// TestGolden holds the client of the gallery to what it is. The file is a
// package of its own, which every build compiles.
func TestGolden(t *testing.T) {
	got, err := gogen.Generate(gallery.Server().Manifest(), gogen.Options{Package: "galleryclient"})
	if err != nil {
		t.Fatal(err)
	}
	const path = "../internal/galleryclient/client.go"
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("go test -update writes it:\n%s", diff)
	}
}

// TestGalleryClient runs the generated client against the server that it was
// generated from: unions and odd names both ways.
func TestGalleryClient(t *testing.T) {
	server := httptest.NewServer(ws.Handler(gallery.Server(), ws.Options{}))
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c, err := galleryclient.ConnectGallery(server.URL, galleryclient.Opening{Room: "east wing/2", Tags: []string{"a", "b"}}, galleryclient.GalleryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if nothing, err := c.Opened(ctx); err != nil || nothing != nil {
		t.Errorf("opened with %v, error %v", nothing, err)
	}
	group := galleryclient.Group{
		Parts: []galleryclient.Shape{galleryclient.Circle{Radius: 2}, galleryclient.Nothing{}},
		Cover: galleryclient.Group{Parts: []galleryclient.Shape{}},
	}
	got, err := c.Send(ctx, group)
	if diff := cmp.Diff(galleryclient.Shape(group), got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	odd := galleryclient.Odd{Class: "a", Kebab: "b", Space: "c", First: "d", Proto: "e", Käyttö: "f"}
	if got, err := c.Odd(ctx, odd); err != nil || got != odd {
		t.Errorf("%+v, error %v", got, err)
	}
	if got, err := c.Extra(ctx, odd); err != nil || got != odd {
		t.Errorf("by the second member: %+v, error %v", got, err)
	}
	var refused *client.Error // the channel is not public, and nobody has signed in
	if _, err := c.SubscribeShape(ctx, "a"); !errors.As(err, &refused) || refused.Code != client.CodeUnauthenticated {
		t.Errorf("subscribing: %v", err)
	}
	hall, err := galleryclient.ConnectHall2(server.URL, galleryclient.Hall2Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hall.Close() })
	if n, err := hall.Send(ctx, []int64{1, 2, 3}); err != nil || n != 3 {
		t.Errorf("%d, error %v", n, err)
	}
}

func TestRefuses(t *testing.T) {
	read := func(text string) *manifest.Manifest {
		m, err := manifest.Read(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	empty := read(`{"kanava":1,"level":1}`)
	for _, name := range []string{"", "_", "func", "a-b", "a\nb"} {
		if _, err := gogen.Generate(empty, gogen.Options{Package: name}); err == nil {
			t.Errorf("the package name %q is taken", name)
		}
	}
	member := read("{\"kanava\":1,\"level\":1,\"$defs\":{\"A\":{\"type\":\"object\",\"properties\":{\"x`y\":true}}}}")
	if _, err := gogen.Generate(member, gogen.Options{Package: "a"}); err == nil || !strings.Contains(err.Error(), "cannot hold the JSON name") {
		t.Error(err)
	}
}

// A presence has methods of its own, whatever else has their names; a channel
// without one has none.
func TestPresence(t *testing.T) {
	m, err := manifest.Read(strings.NewReader(`{"kanava":1,"level":1,"$defs":{"Who":{"type":"object","properties":{"role":{"type":"string"}},"required":["role"]}},"channels":[
		{"name":"one","route":"/one","keys":["action"],"actions":[{"by":"action","name":"roomMembers"}],
		 "topics":[{"name":"roomPresence","event":true}],"presences":[{"name":"room","member":{"$ref":"#/$defs/Who"}},{"name":"by \"hand\"\n","member":true}]},
		{"name":"two","route":"/two","keys":["action"]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := gogen.Generate(m, gogen.Options{Package: "a"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"func (c *One) OnRoomPresence(key string, f func(jsontext.Value)) *client.Listener {", // the topic
		"func (c *One) OnRoomPresence_(key string, f func(client.Presence[Who])) *client.Listener {",
		"func (c *One) OnEveryRoomPresence_(f func(client.Presence[Who])) *client.Listener {",
		"func (c *One) RoomMembers(ctx context.Context, options ...client.CallOption) error {", // the action
		"func (c *One) RoomMembers_(ctx context.Context, key string) iter.Seq2[client.Member[Who], error] {",
		`client.Members[jsontext.Value](ctx, c.Conn, "by \"hand\"\n:"+key)`,
	} {
		if !strings.Contains(string(got), want) {
			t.Errorf("it lacks %s", want)
		}
	}
	if n := strings.Count(string(got), "client.Presence["); n != 4 {
		t.Errorf("%d methods for presences", n)
	}
}
