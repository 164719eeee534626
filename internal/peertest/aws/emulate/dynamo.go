package emulate

import (
	"strconv"
	"testing"

	"github.com/kanava-go/kanava/internal/testport"
)

// Dynamo starts a DynamoDB without tables, and returns its endpoint. It takes any
// credentials, and creates and deletes tables at once. It has neither
// TransactWriteItems nor anything about time to live: nothing in it expires.
func Dynamo(tb testing.TB) (endpoint string) {
	tb.Helper()
	port := strconv.Itoa(testport.Port(tb))
	program{
		name:  "dynalite",
		dir:   tb.TempDir(),
		args:  []string{"node_modules/dynalite/cli.js", "--host", "127.0.0.1", "--port", port, "--createTableMs", "0", "--deleteTableMs", "0"},
		ready: []string{"Dynalite listening at"},
	}.start(tb)
	return "http://127.0.0.1:" + port
}
