package enginetest

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/kanava-go/kanava/engine"
)

var payloadBehaviours = []behaviour{
	{name: "D9 events arrive as they were published", run: testPayloads},
	{name: "§4 an event and its data belong to the hub", run: testOwnership},
}

// payloads are events whose form may be hard to carry.
func payloads(class engine.Class) []engine.Event {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	large := bytes.Repeat(every, 4096) // 1 MiB
	out := []engine.Event{
		{Data: []byte(`{"text":"h\u00e9llo","n":[1,2.5,null,true]}`)},
		{Data: []byte(`"ünïcode ☃ 𝄞"`)},
		{Data: []byte(" {\n\t\"spaces\": 1e2 } ")},
		{Data: []byte("null")},
		{Data: every, Binary: true},
		{Data: nil, Binary: true},
		{Data: []byte("\r\n"), Binary: true},
		{Data: []byte{0}, Binary: true},
		{Data: []byte(`"json"`), Binary: true},
		{Data: []byte(`"except"`), Except: "somebody"},
		{Data: []byte(`"except"`), Except: "line\r\nbreak: x\ttab \"quoted\" ünïcode, " + strings.Repeat("long ", 200)},
		{Data: large, Binary: true, Except: "somebody"},
		{Data: []byte(`"` + strings.Repeat("x", 1<<20-2) + `"`)},
		{Data: []byte(`"with id"`), ID: "id: \r\n\x00" + strings.Repeat("long", 30)},
	}
	if class == engine.Latest {
		for i := range out {
			out[i].Key = fmt.Sprint("key ", i)
		}
	}
	return out
}

func testPayloads(l *lab) {
	nodes := l.joinAll(2)
	for _, class := range all {
		t := l.topic(class)
		for _, n := range nodes {
			n.subscribe(t)
		}
		want := payloads(class)
		for i, ev := range want {
			if err := nodes[0].tryPublish(t, ev); err != nil {
				l.Fatalf("%v: Publish of payload %d: %v", class, i, err)
			}
		}
		for _, n := range nodes {
			got := n.await(t, len(want))
			for i := range want {
				if d := differ(want[i], got[i]); d != "" {
					l.Errorf("%v: payload %d was delivered with %s", class, i, d)
				}
			}
			if !(class == engine.Latest || class == engine.Recoverable) {
				continue
			}
			read, _, _ := n.readAll(t, engine.Position{}, 1000)
			if len(read) != len(want) {
				l.Fatalf("%v: %d of %d payloads can be read", class, len(read), len(want))
			}
			for i := range want {
				if d := differ(want[i], read[i]); d != "" {
					l.Errorf("%v: payload %d is read with %s", class, i, d)
				}
				if read[i].At != got[i].At || class != engine.Latest && read[i].Prev != got[i].Prev || read[i].Time.Sub(got[i].Time).Abs() > time.Millisecond {
					l.Errorf("%v: payload %d was delivered at %v, %v and is read at %v, %v", class, i, got[i].At, got[i].Time, read[i].At, read[i].Time)
				}
			}
		}
	}
}

// differ says in what an event is not the one that was published.
func differ(want, got engine.Event) string {
	switch {
	case !bytes.Equal(want.Data, got.Data):
		return fmt.Sprintf("other data: %d bytes %.50q, want %d bytes %.50q", len(got.Data), got.Data, len(want.Data), want.Data)
	case want.Binary != got.Binary:
		return fmt.Sprintf("Binary %v", got.Binary)
	case want.Except != got.Except:
		return fmt.Sprintf("Except %.50q, want %.50q", got.Except, want.Except)
	case want.Key != got.Key:
		return fmt.Sprintf("Key %q, want %q", got.Key, want.Key)
	}
	return ""
}

// The nodes of the suite overwrite what is delivered to them; here what is
// published and what is read is overwritten too.
func testOwnership(l *lab) {
	nodes := l.joinAll(2)
	for _, class := range all {
		t := l.topic(class)
		for _, n := range nodes {
			n.subscribe(t)
		}
		data := []byte(`"mine"`)
		if err := nodes[0].tryPublish(t, engine.Event{Data: data}); err != nil {
			l.Fatal(err)
		}
		if string(data) != `"mine"` {
			l.Errorf("%v: Publish has made %s of its data", class, data)
		}
		scribble(data)
		for _, n := range nodes {
			if got := n.await(t, 1)[0]; string(got.Data) != `"mine"` {
				l.Errorf("%v: %s was delivered", class, got.Data)
			}
		}
		if class != engine.Latest && class != engine.Recoverable {
			continue
		}
		for range 2 {
			p := nodes[0].read(t, engine.Position{}, 1)
			if len(p.Events) != 1 || string(p.Events[0].Data) != `"mine"` {
				l.Fatalf("%v: Read returns %+v", class, p)
			}
			scribble(p.Events[0].Data)
		}
	}
}
