package main

import (
	"fmt"
	"go/token"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kanava-go/kanava/gen/gogen"
	"github.com/kanava-go/kanava/gen/tsgen"
	"github.com/kanava-go/kanava/manifest"
)

func genCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "gen",
		Short: "Write a typed client",
		Args:  noCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		tsCommand("ts", "Write a TypeScript client", `One file without imports, for browsers, Node from version 22, Deno, Bun and React
Native. It compiles with --strict --target es2022 --lib es2022,dom,dom.iterable.`),
		tsCommand("js", "Write a JavaScript client", `The client of "kanava gen ts" as an ES module.`),
		goClientCommand(),
	)
	return cmd
}

func tsCommand(language, short, long string) *cobra.Command {
	var from source
	var to target
	var dates string
	cmd := &cobra.Command{
		Use:   language + " SOURCE [-- ARGUMENTS OF THE PROGRAM]",
		Short: short,
		Long:  long + "\n\nSee kanava --help for what SOURCE can be.",
		Example: fmt.Sprintf(`  kanava gen %[1]s . -o client.%[1]s
  kanava gen %[1]s ./cmd/server -o client.%[1]s -- -config dev.yaml
  kanava gen %[1]s http://localhost:3000/kanava.json -o client.%[1]s
  kanava gen %[1]s . -o client.%[1]s --check   # in CI: fails if the file is stale`, language),
		Args: exactly(1, "one SOURCE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dates != "string" && dates != "date" {
				return usageError{fmt.Errorf("--dates is %q; it can be string or date", dates)}
			}
			return generate(cmd, args, &from, &to, func(m *manifest.Manifest) ([]byte, error) {
				return tsgen.Generate(m, tsgen.Options{JS: language == "js", Dates: dates == "date"})
			})
		},
	}
	from.flags(cmd)
	to.flags(cmd)
	cmd.Flags().StringVar(&dates, "dates", "string", "how clients see times: `string or date`")
	return cmd
}

func goClientCommand() *cobra.Command {
	var from source
	var to target
	var name string
	cmd := &cobra.Command{
		Use:   "go SOURCE [-- ARGUMENTS OF THE PROGRAM]",
		Short: "Write a Go client",
		Long: `One file over package github.com/kanava-go/kanava/client, which needs nothing of the
server. See kanava --help for what SOURCE can be.`,
		Example: `  kanava gen go ./cmd/server -o chatclient/client.go
  kanava gen go ./cmd/server -o client.go --package chatclient`,
		Args: exactly(1, "one SOURCE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if name == "" {
				name = packageOf(to.file)
			}
			return generate(cmd, args, &from, &to, func(m *manifest.Manifest) ([]byte, error) {
				return gogen.Generate(m, gogen.Options{Package: name})
			})
		},
	}
	from.flags(cmd)
	to.flags(cmd)
	cmd.Flags().StringVar(&name, "package", "", "`name` of the package; default is the name of the folder of the output, or client")
	return cmd
}

// packageOf returns the name of the package that a file will be of.
func packageOf(file string) string {
	if path, err := filepath.Abs(file); file != "" && err == nil {
		if name := filepath.Base(filepath.Dir(path)); token.IsIdentifier(name) {
			return name
		}
	}
	return "client"
}

// generate loads the manifest, writes a file from it, and says so.
func generate(cmd *cobra.Command, args []string, from *source, to *target, write func(*manifest.Manifest) ([]byte, error)) error {
	if err := to.valid(); err != nil {
		return err
	}
	m, err := from.load(cmd, args)
	if err != nil {
		return err
	}
	text, err := write(m)
	if err != nil {
		return err
	}
	return to.write(cmd, text)
}

func manifestCommand() *cobra.Command {
	var from source
	var to target
	cmd := &cobra.Command{
		Use:   "manifest SOURCE [-- ARGUMENTS OF THE PROGRAM]",
		Short: "Write the manifest of a server as JSON",
		Long: `Writes what "kanava gen" generates clients from. Keep the file beside the server to
generate clients where there is no Go, and to see with "kanava diff" what changes.`,
		Example: `  kanava manifest . -o kanava.json
  kanava manifest . -o kanava.json --check`,
		Args: exactly(1, "one SOURCE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return generate(cmd, args, &from, &to, func(m *manifest.Manifest) ([]byte, error) { return m.Append(nil) })
		},
	}
	from.flags(cmd)
	to.flags(cmd)
	return cmd
}
