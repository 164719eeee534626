package postgres

import (
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/kanava-go/kanava/engine"
)

// TestNotificationsThatCannotBeRead is that what another version or another program
// sends is left alone.
func TestNotificationsThatCannotBeRead(t *testing.T) {
	good := "dG9waWM r ABCDEFGHabcdefgh 1700000000000000 7 - " + text64.EncodeToString(newBody(&engine.Event{Data: []byte("1")}))
	if events, ok := parseNotification(good); !ok || len(events) != 1 || events[0].At.Offset != 7 || string(events[0].Data) != "1" {
		t.Fatalf("%q is %v", good, events)
	}
	f := strings.Split(good, " ")
	with := func(i int, text string) string {
		g := append([]string{}, f...)
		g[i] = text
		return strings.Join(g, " ")
	}
	for _, bad := range []string{
		"", " ", "x", strings.Repeat(" ", 100), strings.Join(f[:6], " "),
		with(3, "now"), with(4, "-1"), with(4, "1e3"), with(4, "99999999999999999999"),
		with(6, ""), with(6, "!"), with(6, "@"), with(6, "@1"), with(6, "@x,1"), with(6, "#1,x"), with(6, "#"),
		with(6, text64.EncodeToString([]byte{0xff})),       // flags
		with(6, text64.EncodeToString([]byte{flagKey, 9})), // a key that is not there
		with(6, text64.EncodeToString([]byte{flagExcept, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})),
	} {
		if events, ok := parseNotification(bad); ok {
			t.Errorf("%q is %v", bad, events)
		}
	}
}

// TestEpochIsNoPartOfItsNotification is that who keeps the position of an event
// does not keep the 8 KB that it came in.
func TestEpochIsNoPartOfItsNotification(t *testing.T) {
	text := "dG9waWM r ABCDEFGHabcdefgh 1700000000000000 7 - " + text64.EncodeToString(newBody(&engine.Event{Data: []byte("1")}))
	events, ok := parseNotification(text)
	if !ok || events[0].At.Epoch != "ABCDEFGHabcdefgh" {
		t.Fatalf("%q is %v", text, events)
	}
	epoch := events[0].At.Epoch
	if at := strings.Index(text, epoch); unsafe.StringData(epoch) == unsafe.StringData(text[at:]) {
		t.Error("the epoch is a part of the notification")
	}
}

// TestBatchFits is that no notification of a batch is longer than the server takes,
// and that events which fit together are together.
func TestBatchFits(t *testing.T) {
	opts := Options{Schema: strings.Repeat("s", 40)}
	for _, name := range []string{"a", strings.Repeat("\xff", 512)} {
		for _, size := range []int{0, 1, 100, 1500, 3000, 5000, 5500, 5900, 6000, 7000, 100_000} {
			b := &batch{}
			ld := &load{topic: engine.Topic{Name: name, Class: engine.Recoverable, Size: 10, TTL: time.Hour}}
			for range batchMost {
				p, err := newPublication(ld.topic, &engine.Event{ID: "x", Data: make([]byte, size)})
				if err != nil {
					t.Fatal(err)
				}
				ld.of = append(ld.of, p)
			}
			b.add(&opts, ld)
			all := 0
			for i, text := range b.texts {
				fits := int(b.fits[i])
				all += fits
				known := "0" // all but one are known
				for k := 1; k < fits-1; k++ {
					known += "," + string(rune('0'+k/100)) + string(rune('0'+k/10%10)) + string(rune('0'+k%10))
				}
				longest := strings.Join([]string{b.heads[0], "ABCDEFGHabcdefgh", "17000000000000000", "9007199254740991", known, text}, " ")
				if len(longest) > notificationMost {
					t.Errorf("%d events of %d bytes: a notification of %d bytes", fits, size, len(longest))
				}
				if text == "" && size < 5000 {
					t.Errorf("an event of %d bytes does not fit", size)
				}
			}
			if all != batchMost || size <= 100 && len(b.texts) > batchMost/8 || int(b.packs[0]) != len(b.texts) {
				t.Errorf("%d events of %d bytes are in %d notifications, %v", all, size, len(b.texts), b.packs)
			}
		}
	}
}
