// Command kanava writes typed clients for Kanava servers, and reads and compares
// the manifests from which they are made.
//
//	go run github.com/kanava-go/kanava/cmd/kanava@latest gen ts . -o client.ts
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// errReported says that all there is to say was said.
var errReported = errors.New("reported")

// usageError is a wrong command line.
type usageError struct{ error }

// run runs the command and returns its exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:   "kanava",
		Short: "Typed clients for Kanava servers, and a first server",
		Long: `Kanava writes typed clients for Kanava servers. A client is generated from a
manifest, which says what channels a server has and what goes over them.

A SOURCE says where the manifest comes from:

  ./cmd/server               a main package, by its folder or import path: it is
                             built and run until it makes its first handler, such
                             as ws.Handler, where it writes the manifest and ends.
                             Doc comments of its types become those of the client.
  kanava.json                a file, which "kanava manifest" has written
  http://localhost:3000/kanava.json
                             a running server that serves srv.ManifestHandler()

Exit codes: 0 done; 1 it failed, or --check found a stale file, or diff a breaking
change; 2 the command line is wrong.`,
		Example: `  kanava new
  kanava gen ts ./cmd/server -o web/src/client.ts
  kanava gen ts ./cmd/server -o web/src/client.ts --check
  kanava manifest ./cmd/server -o kanava.json
  kanava diff old.json ./cmd/server`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(newCommand(), genCommand(), manifestCommand(), diffCommand(), versionCommand())
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	cmd, err := root.ExecuteContextC(ctx)
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errReported):
		return 1
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "kanava: %v\nSee: %s --help\n", err, cmd.CommandPath())
		return 2
	}
	fmt.Fprintf(stderr, "kanava: %v\n", err)
	return 1
}

// noCommand refuses what should have been the name of a command.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unknown command %q", strings.TrimSpace(cmd.CommandPath()+" "+args[0]))}
	}
	return nil
}

// exactly demands n arguments before "--".
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if given := beforeDash(cmd, args); len(given) != n {
			return usageError{fmt.Errorf("%s takes %s, and got %d arguments", cmd.CommandPath(), what, len(given))}
		}
		return nil
	}
}

// beforeDash returns the arguments that are the command's own; those behind "--"
// are for the program.
func beforeDash(cmd *cobra.Command, args []string) []string {
	if at := cmd.ArgsLenAtDash(); at >= 0 {
		return args[:at]
	}
	return args
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  exactly(0, "nothing"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			version := "unknown"
			if info, ok := debug.ReadBuildInfo(); ok {
				version = info.Main.Version
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "kanava", version)
			return err
		},
	}
}
