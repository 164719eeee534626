package webpubsub

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

// drainTime is how long requests may take to end when a function app stops.
const drainTime = 10 * time.Second

// ServeFunctions serves h as a custom handler of Azure Functions, until the context
// ends; then it lets requests that are under way end, for 10 s, and returns nil.
//
// The host starts the program and forwards each HTTP request as it has come, also
// its path, such as /api/webpubsub: host.json needs
//
//	"customHandler": {"description": {"defaultExecutablePath": "app"}, "enableForwardingHttpRequest": true}
//
// and the function an httpTrigger with the methods post and options. The host says
// in FUNCTIONS_CUSTOMHANDLER_PORT which port of the own machine it forwards to;
// without it ServeFunctions returns an error.
func ServeFunctions(ctx context.Context, h http.Handler) error {
	const name = "FUNCTIONS_CUSTOMHANDLER_PORT"
	port, err := strconv.ParseUint(os.Getenv(name), 10, 16)
	if err != nil || port == 0 {
		return fmt.Errorf("webpubsub: %s is no port, but %q: this is for Azure Functions", name, os.Getenv(name))
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return fmt.Errorf("listen for Azure Functions: %w", err)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: bodyTime}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		stopped <- srv.Shutdown(ctx)
	})
	err = srv.Serve(l)
	if stop() { // nobody has asked it to end
		return fmt.Errorf("serve Azure Functions: %w", err)
	}
	if err := <-stopped; err != nil {
		return errors.Join(fmt.Errorf("stop serving Azure Functions: %w", err), srv.Close())
	}
	return nil
}
