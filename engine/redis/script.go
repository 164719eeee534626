package redis

import (
	"context"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // the name that Redis gives to scripts, not a secret
	_ "embed"
	"encoding/hex"
	"errors"
	"net"
	"strings"

	"github.com/kanava-go/kanava/engine"
	"github.com/redis/rueidis"
)

// A script runs on the server, all of it or nothing, with nothing in between.
type script struct{ text, sha string }

func newScript(texts ...string) *script {
	text := strings.Join(texts, "\n")
	sum := sha1.Sum([]byte(text)) //nolint:gosec // see the import
	return &script{text: text, sha: hex.EncodeToString(sum[:])}
}

var (
	//go:embed scripts/topic.lua
	topicLua string
	//go:embed scripts/publish.lua
	publishLua string
	//go:embed scripts/positions.lua
	positionsLua string
	//go:embed scripts/read.lua
	readLua string
	//go:embed scripts/renew.lua
	renewLua string
	//go:embed scripts/owners.lua
	ownersLua string
	//go:embed scripts/put.lua
	putLua string
	//go:embed scripts/entries.lua
	entriesLua string
	//go:embed scripts/prune.lua
	pruneLua string
	//go:embed scripts/keep.lua
	keepLua string

	publishScript   = newScript(topicLua, publishLua)
	positionsScript = newScript(topicLua, positionsLua)
	readScript      = newScript(topicLua, readLua)
	renewScript     = newScript(renewLua)
	ownersScript    = newScript(ownersLua)
	putScript       = newScript(putLua)
	entriesScript   = newScript(entriesLua)
	pruneScript     = newScript(pruneLua)
	keepScript      = newScript(keepLua)
)

// run is a run of a script. Its keys are in one slot, if it runs on a cluster.
type run struct{ keys, args []string }

// topicRun begins the run of a script of topics.
func (e *Engine) topicRun() run {
	durable := "0"
	if e.opts.Durable {
		durable = "1"
	}
	return run{args: []string{rand.Text(), durable}}
}

// command runs a script that the server knows.
func (s *script) command(client rueidis.Client, r run) rueidis.Completed {
	return client.B().Evalsha().Sha1(s.sha).Numkeys(int64(len(r.keys))).Key(r.keys...).Arg(r.args...).Build()
}

// fullCommand runs a script, and the server knows it then.
func (s *script) fullCommand(client rueidis.Client, r run) rueidis.Completed {
	return client.B().Eval().Script(s.text).Numkeys(int64(len(r.keys))).Key(r.keys...).Arg(r.args...).Build()
}

func noScript(result rueidis.RedisResult) bool {
	err, ok := rueidis.IsRedisErr(result.Error())
	return ok && err.IsNoScript()
}

// exec runs a script, several times. A server that does not know it yet is told.
func (s *script) exec(client rueidis.Client, runs []run) []rueidis.RedisResult {
	commands := make(rueidis.Commands, 0, len(runs))
	for _, r := range runs {
		commands = append(commands, s.command(client, r))
	}
	results := client.DoMulti(context.Background(), commands...)
	var unknown []int
	commands = commands[:0]
	for i := range results {
		if noScript(results[i]) {
			unknown = append(unknown, i)
			commands = append(commands, s.fullCommand(client, runs[i]))
		}
	}
	if len(unknown) > 0 {
		for i, result := range client.DoMulti(context.Background(), commands...) {
			results[unknown[i]] = result
		}
	}
	return results
}

// eval runs a script that may run twice, several times, and goes on trying
// until ctx ends.
func (e *Engine) eval(ctx context.Context, s *script, runs ...run) ([]rueidis.RedisMessage, error) {
	client, err := e.connected(ctx)
	if err != nil {
		return nil, err
	}
	messages := make([]rueidis.RedisMessage, len(runs))
	for attempt := 0; ; attempt++ {
		results, err := e.answer(ctx, func() []rueidis.RedisResult { return s.exec(client, runs) })
		if err != nil {
			return nil, err
		}
		for i := range results {
			if messages[i], err = results[i].ToMessage(); err != nil {
				break
			}
		}
		if err == nil {
			return messages, nil
		}
		if !passes(err, true) {
			return nil, err
		}
		if !e.pause(ctx, attempt) {
			return nil, e.failed(ctx, err)
		}
	}
}

// evalOne is eval for one run.
func (e *Engine) evalOne(ctx context.Context, s *script, keys []string, args ...string) (rueidis.RedisMessage, error) {
	messages, err := e.eval(ctx, s, run{keys, args})
	if err != nil {
		return rueidis.RedisMessage{}, err
	}
	return messages[0], nil
}

// failed is the error of a method that has given up.
func (e *Engine) failed(ctx context.Context, cause error) error {
	if ctx.Err() == nil {
		return engine.ErrClosed
	}
	return errors.Join(ctx.Err(), cause)
}

// passes tells whether what caused an error is likely to pass, and the command
// can be sent again: because it was not carried out or, if twice is set,
// whether it was or not.
func passes(err error, twice bool) bool {
	var said serverError
	reply, ok := rueidis.IsRedisErr(err)
	if ok {
		said = serverError(reply.Error())
	}
	if ok || errors.As(err, &said) {
		code, _, _ := strings.Cut(string(said), " ")
		switch code {
		case "TRYAGAIN", "CLUSTERDOWN", "LOADING", "READONLY", "MASTERDOWN", "NOREPLICAS", "BUSY", "NOSCRIPT", "MOVED", "ASK":
			return true
		}
		return false
	}
	var op *net.OpError
	return twice || errors.Is(err, rueidis.ErrNoSlot) || errors.As(err, &op) && op.Op == "dial"
}

// serverError is what a server says of one of several things.
type serverError string

func (e serverError) Error() string { return string(e) }
