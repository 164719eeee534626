// Package app is what every peer that is written by hand does with a message:
// decode, check, do, encode, with encoding/json, as the documentation of these
// libraries shows.
package app

import (
	"encoding/json"
	"flag"
	"log"
	"net/http"
	"time"
)

// Conn is what the app needs of a connection of a library.
type Conn interface {
	// Reply sends one text message.
	Reply(message []byte)
	// Join and Leave subscribe the connection; Publish sends a text message to
	// all who are subscribed, at best encoded once.
	Join(topic string)
	Leave(topic string)
	Publish(topic string, message []byte)
}

// Addr returns the flag "addr" of the program.
func Addr() string {
	addr := flag.String("addr", "127.0.0.1:9001", "`address` to listen on")
	flag.Parse()
	return *addr
}

// Serve serves h until the program is killed.
func Serve(h http.Handler) {
	s := &http.Server{Addr: Addr(), Handler: h, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(s.ListenAndServe())
}

type call struct {
	Action  string          `json:"action"`
	Message string          `json:"message"`
	Topic   string          `json:"topic"`
	Payload json.RawMessage `json:"payload"`
}

type said struct {
	Message   string `json:"message"`
	Timestamp int64  `json:"timestamp"`
	Action    string `json:"action"`
}

type event struct {
	Topic string          `json:"topic"`
	Data  json.RawMessage `json:"data"`
}

// Handle does what a message of the channel at path says.
func Handle(c Conn, path string, message []byte) {
	if path == "/echo" {
		if !json.Valid(message) {
			fail(c, "not JSON")
			return
		}
		c.Reply(message)
		return
	}
	var in call
	if err := json.Unmarshal(message, &in); err != nil {
		fail(c, "not JSON")
		return
	}
	switch path + " " + in.Action {
	case "/typed echo":
		if len(in.Message) > 1024 {
			fail(c, "the message is too long")
			return
		}
		c.Reply(encode(said{in.Message, time.Now().UnixMilli(), in.Action}))
	case "/topic join":
		c.Join(in.Topic)
		c.Reply([]byte(`{"action":"join"}`))
	case "/topic leave":
		c.Leave(in.Topic)
		c.Reply([]byte(`{"action":"leave"}`))
	case "/topic pub":
		c.Publish(in.Topic, encode(event{in.Topic, in.Payload}))
		c.Reply([]byte(`{"action":"pub"}`))
	default:
		fail(c, "no such action")
	}
}

func fail(c Conn, why string) {
	c.Reply(encode(map[string]string{"error": why}))
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
