package main

import (
	"reflect"
	"strings"
	"testing"
)

// Whoever is compared has to do the work: each contender decodes the message to
// the same value and refuses what is wrong with it, but for what it is known to
// let through.
func TestContendersCheck(t *testing.T) {
	list, err := contenders[Order]()
	if err != nil {
		t.Fatal(err)
	}
	good := order(3)
	var want Order
	for i, c := range list {
		var got Order
		if err := c.decode([]byte(good), &got); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if i == 0 {
			want = got
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	for _, tc := range []struct{ why, old, with string }{
		{"too little", `"id":123456789`, `"id":0`},
		{"another type", `"id":123456789`, `"id":"x"`},
		{"too long", `Väinö`, strings.Repeat("ä", 101)},
		{"an email address", `vaino@example.org`, `vaino`},
		{"one of several", `"paid"`, `"lost"`},
		{"too short", `"sku":"AB-1000"`, `"sku":"A"`},
		{"too many", `["new","sale"]`, `["1","2","3","4","5","6"]`},
		{"too much", `"count":1,`, `"count":100,`},
		{"negative", `"price":0.95`, `"price":-0.95`},
		{"members that are missing", `"inStock":true`, `"tags2":[]`},
		{"members that are unknown", `"status"`, `"x":1,"status"`},
		{"members that stand twice", `"status"`, `"id":1,"status"`},
		{"malformed", `"status":`, `"status"`},
	} {
		if !strings.Contains(good, tc.old) {
			t.Fatalf("%s: the message has no %s", tc.why, tc.old)
		}
		bad := strings.Replace(good, tc.old, tc.with, 1)
		for _, c := range list[1:] {
			last := tc.why[strings.LastIndexByte(tc.why, ' ')+1:]
			lenient := strings.Contains(c.lenient, last)
			if lenient && last == "malformed" {
				continue // it has to be scanned before
			}
			var v Order
			if err := c.decode([]byte(bad), &v); (err == nil) != lenient {
				t.Errorf("%s, %s: error %v", c.name, tc.why, err)
			}
		}
	}
}
