package redis_test

import (
	"crypto/tls"
	"fmt"

	"github.com/kanava-go/kanava/engine/redis"
)

// One server. A program gives the engine to its hub, as HubOptions.Engine.
func ExampleNew() {
	_, err := redis.New(redis.Options{Addrs: []string{"redis.example.com:6379"}})
	fmt.Println(err)
	// Output: <nil>
}

// A cluster, of which some nodes are named, with TLS.
func ExampleNew_cluster() {
	_, err := redis.New(redis.Options{
		Addrs:    []string{"redis-1.example.com:6379", "redis-2.example.com:6379"},
		Username: "chat", Password: "read it from where secrets are",
		TLS: &tls.Config{MinVersion: tls.VersionTLS12},
	})
	fmt.Println(err)
	// Output: <nil>
}

// A server that sentinels look after: when it dies they put another in its place.
func ExampleNew_sentinels() {
	_, err := redis.New(redis.Options{
		Addrs:  []string{"sentinel-1.example.com:26379", "sentinel-2.example.com:26379", "sentinel-3.example.com:26379"},
		Master: "chat",
	})
	fmt.Println(err)
	// Output: <nil>
}
