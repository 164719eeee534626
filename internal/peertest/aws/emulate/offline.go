package emulate

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/kanava-go/kanava/internal/testport"
)

// Offline starts serverless-offline with this function, and returns when it
// serves.
func Offline(tb testing.TB, fn Function) *Gateway {
	tb.Helper()
	http, websocket := strconv.Itoa(testport.Port(tb)), strconv.Itoa(testport.Port(tb))
	gw := &Gateway{
		URL:        "ws://127.0.0.1:" + websocket,
		HTTP:       "http://127.0.0.1:" + http,
		Management: "http://127.0.0.1:" + websocket,
	}
	fn.Env = append([]string{management + "=" + gw.Management}, fn.Env...)
	gw.Lambda = NewLambda(tb, fn)
	lambdas := map[string]string{service + "-dev-function": gw.Lambda.server.URL + "/invoke"}
	if fn.Authorizer != "" {
		authorizer := NewLambda(tb, Function{Bootstrap: fn.Authorizer, Env: fn.Env, Fresh: fn.Fresh})
		lambdas[service+"-dev-authorizer"] = authorizer.server.URL + "/invoke"
	}

	dir := tb.TempDir()
	link(tb, scripts(tb, "node_modules"), filepath.Join(dir, "node_modules"))
	link(tb, scripts(tb, "offline.cjs"), filepath.Join(dir, "offline.cjs"))
	writeJSON(tb, filepath.Join(dir, "serverless.json"), offlineService(fn))
	program{
		name: "serverless-offline",
		dir:  dir,
		env: []string{
			"SLS_TELEMETRY_DISABLED=1", "SLS_NOTIFICATIONS_MODE=off",
			"KANAVA_LAMBDAS=" + string(mustJSON(tb, lambdas)),
		},
		args: []string{
			"node_modules/osls/bin/serverless.js", "offline", "start", "--useInProcess", "--noSponsor", "--host", "127.0.0.1",
			"--httpPort", http, "--websocketPort", websocket, "--lambdaPort", strconv.Itoa(testport.Port(tb)),
		},
		ready: []string{"Offline [http for websocket] listening", "Server ready: "},
	}.start(tb)
	return gw
}

const service = "kanava"

// offlineService is what serverless.yml says in other projects.
func offlineService(fn Function) any {
	type object map[string]any
	events := []object{{"httpApi": "*"}}
	for _, route := range append([]string{"$connect", "$disconnect", "$default"}, fn.Routes...) {
		websocket := object{"route": route}
		if fn.RouteResponse {
			websocket["routeResponseSelectionExpression"] = "$default"
		}
		if route == "$connect" && fn.Authorizer != "" {
			websocket["authorizer"] = object{"name": "authorizer", "identitySource": []string{"route.request.querystring.token"}}
		}
		events = append(events, object{"websocket": websocket})
	}
	functions := object{"function": object{"handler": "offline.handler", "events": events}}
	if fn.Authorizer != "" {
		functions["authorizer"] = object{"handler": "offline.handler"}
	}
	return object{
		"service": service,
		"plugins": []string{"serverless-offline"},
		"provider": object{
			"name": "aws", "region": region, "timeout": int(Timeout.Seconds()),
			"runtime":                               "nodejs20.x", // of offline.cjs
			"websocketsApiRouteSelectionExpression": "$request.body.action",
		},
		"functions": functions,
	}
}

func link(tb testing.TB, from, to string) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		tb.Fatal(err)
	}
	if err := os.Symlink(from, to); err != nil {
		tb.Fatal(err)
	}
}

func writeJSON(tb testing.TB, path string, v any) {
	tb.Helper()
	if err := os.WriteFile(path, mustJSON(tb, v), 0o600); err != nil {
		tb.Fatal(err)
	}
}

func mustJSON(tb testing.TB, v any) []byte {
	tb.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}
