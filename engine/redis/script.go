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
	//go:embed scripts/save.lua
	saveLua string
	//go:embed scripts/join.lua
	joinLua string
	//go:embed scripts/members.lua
	membersLua string

	publishScript   = newScript(topicLua, publishLua)
	positionsScript = newScript(topicLua, positionsLua)
	readScript      = newScript(topicLua, readLua)
	renewScript     = newScript(renewLua)
	ownersScript    = newScript(ownersLua)
	putScript       = newScript(putLua)
	entriesScript   = newScript(entriesLua)
	pruneScript     = newScript(pruneLua)
	keepScript      = newScript(keepLua)
	saveScript      = newScript(saveLua)
	joinScript      = newScript(joinLua)
	membersScript   = newScript(membersLua)
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

// ask sends commands and has take look at the answers, and goes on trying while the
// error of that passes, until ctx ends. twice says that commands may be carried out
// twice; else it gives up where it is not known whether they were.
func (e *Engine) ask(ctx context.Context, twice bool, send func(rueidis.Client) []rueidis.RedisResult, take func([]rueidis.RedisResult) error) error {
	client, err := e.connected(ctx)
	if err != nil {
		return err
	}
	for attempt := 0; ; attempt++ {
		results, err := e.answer(ctx, func() []rueidis.RedisResult { return send(client) })
		if err != nil {
			return err
		}
		if err = take(results); err == nil || !passes(err, twice) {
			return err
		}
		if !e.pause(ctx, attempt) {
			return e.failed(ctx, err)
		}
	}
}

// sender returns what sends some runs of a script.
func (s *script) sender(runs ...run) func(rueidis.Client) []rueidis.RedisResult {
	return func(client rueidis.Client) []rueidis.RedisResult { return s.exec(client, runs) }
}

// eval runs a script that may run twice, several times.
func (e *Engine) eval(ctx context.Context, s *script, runs ...run) ([]rueidis.RedisMessage, error) {
	messages := make([]rueidis.RedisMessage, len(runs))
	return messages, e.ask(ctx, true, s.sender(runs...), func(results []rueidis.RedisResult) (err error) {
		for i := range results {
			if messages[i], err = results[i].ToMessage(); err != nil {
				break
			}
		}
		return err
	})
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
