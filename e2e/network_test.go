package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/kanava-go/kanava/internal/testport"
)

// network stands between the clients and the server, and can fail.
type network struct {
	t     *testing.T
	proxy *toxiproxy.Proxy
}

func newNetwork(t *testing.T, upstream string) *network {
	t.Helper()
	zerolog.SetGlobalLevel(zerolog.Disabled) // its toxics log to a logger of their own
	api := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	n := &network{t, toxiproxy.NewProxy(api, "chat", testport.Address(t), upstream)}
	n.mend()
	t.Cleanup(n.cut)
	return n
}

func (n *network) url(path string) string { return "http://" + n.proxy.Listen + path }

// cut ends all connections and refuses new ones.
func (n *network) cut() { n.proxy.Stop() }

// mend undoes cut.
func (n *network) mend() {
	n.t.Helper()
	if err := n.proxy.Start(); err != nil {
		n.t.Fatal(err)
	}
}

// blackhole lets connections stand and new ones be made, and nothing through.
func (n *network) blackhole() {
	n.add(`{"name":"up","type":"timeout","stream":"upstream","attributes":{"timeout":0}}`)
	n.add(`{"name":"down","type":"timeout","stream":"downstream","attributes":{"timeout":0}}`)
}

// slow delays everything and lets little through at a time.
func (n *network) slow() {
	n.add(`{"name":"late","type":"latency","stream":"downstream","attributes":{"latency":400,"jitter":200}}`)
	n.add(`{"name":"narrow","type":"bandwidth","stream":"downstream","attributes":{"rate":4}}`)
	n.add(`{"name":"parts","type":"slicer","stream":"downstream","attributes":{"average_size":7,"size_variation":5,"delay":0}}`)
}

// heal undoes blackhole and slow.
func (n *network) heal() { n.proxy.Toxics.ResetToxics(n.t.Context()) }

func (n *network) add(toxic string) {
	n.t.Helper()
	if _, err := n.proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
		n.t.Fatal(fmt.Errorf("toxic %s: %w", toxic, err))
	}
}
