package emulate

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"time"
)

// region is that of everything here.
const region = "us-east-1"

// Timeout is how long a function may take for an event, then its process is
// killed: what API Gateway waits for at most. The emulators wait as long.
const Timeout = 29 * time.Second

// Function is what a gateway calls with events. Only Bootstrap is required.
type Function struct {
	// Bootstrap is the path of the program. It gets Lambda's Runtime API, as on
	// Lambda, and little else in its environment.
	Bootstrap string
	// Authorizer is the path of the program of a second function, the REQUEST
	// authorizer of $connect. Without one, everybody may connect. Only Offline has
	// authorizers.
	Authorizer string
	// Env are more variables for the programs, as "NAME=value". The address of the
	// management API stands in AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI anyway,
	// where the AWS SDK looks for it.
	Env []string
	// Routes are the custom route keys, beside $connect, $disconnect and
	// $default. A message chooses its route by its member "action".
	Routes []string
	// RouteResponse sends the body that the function returns to the client, for
	// all routes. Only Offline can.
	RouteResponse bool
	// Fresh lets each event meet a new process. The sandbox knows nothing else.
	Fresh bool
}

// management is the variable in which the AWS SDK looks for the address of the
// management API.
const management = "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI"

// Build builds the main package pkg, as "go build" in the folder dir would call
// it, into a bootstrap in the folder into, and returns its path. It is built as
// for Lambda: without cgo and without the RPC that only old run-times spoke. It
// uses the module in dir, and no workspace.
func Build(into, dir, pkg string) (bootstrap string, err error) {
	bootstrap = filepath.Join(into, "bootstrap")
	cmd := exec.Command("go", "build", "-tags=lambda.norpc", "-trimpath", "-ldflags=-s -w", "-o", bootstrap, pkg)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, said)
	}
	return bootstrap, nil
}
