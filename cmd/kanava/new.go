package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kanava-go/kanava/gen/tsgen"
	"github.com/kanava-go/kanava/manifest"
)

// starter is the program that "kanava new" writes. What is Go there ends with
// .txt, so that it is not built with this module.
//
//go:embed starter
var starter embed.FS

func newCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "new [FOLDER]",
		Short: "Write a first server with a page, and a typed client for the page",
		Long: `Writes main.go and page/index.html into a folder, the current one by default, which
has to belong to a Go module and to have no Go files yet. Then it runs "go mod tidy" and
generates page/client.js. It changes no file that is there already.`,
		Example: `  go mod init example.com/hello
  kanava new
  go run .                   # and open http://localhost:3000`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("%s takes one folder, and got %d arguments", cmd.CommandPath(), len(args))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			return startProgram(cmd, dir)
		},
	}
}

// startProgram writes the first server into dir.
func startProgram(cmd *cobra.Command, dir string) error {
	if err := demandPlace(cmd.Context(), dir); err != nil {
		return err
	}
	files, err := starterFiles()
	if err != nil {
		return err
	}
	for name := range files {
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is there already: nothing was written", filepath.Join(dir, name))
		}
	}
	say := func(format string, args ...any) { fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...) }
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // for everybody, as a checkout is
			return err
		}
		if err := replaceFile(path, files[name]); err != nil {
			return err
		}
		say("wrote %s", path)
	}
	if out, err := goCommand(cmd.Context(), dir, "mod", "tidy").CombinedOutput(); err != nil {
		return fmt.Errorf("go mod tidy: %w\n%s\nThe program is written: when \"go mod tidy\" works, \"go generate\" writes the client that is missing", err, tail(out))
	}
	from, to := source{timeout: programTime}, target{file: filepath.Join(dir, "page", "client.js")}
	err = generate(cmd, []string{dir}, &from, &to, func(m *manifest.Manifest) ([]byte, error) {
		return tsgen.Generate(m, tsgen.Options{JS: true})
	})
	if err != nil {
		return err
	}
	say("\nRun it with \"go run .\" and open http://localhost:3000. After a change of the Go types: \"go generate\".")
	return nil
}

// demandPlace refuses a folder that belongs to no module, or that has a program.
func demandPlace(ctx context.Context, dir string) error {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("%s is no folder", dir)
	}
	if entries, err := os.ReadDir(dir); err != nil {
		return err
	} else if i := slices.IndexFunc(entries, isGo); i >= 0 { // another package, or another main
		return fmt.Errorf("%s has Go files already, such as %s: nothing was written", dir, entries[i].Name())
	}
	out, err := goCommand(ctx, dir, "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("go env: %w", err)
	}
	if mod := strings.TrimSpace(string(out)); mod == "" || mod == os.DevNull {
		return fmt.Errorf(`%s belongs to no Go module: run "go mod init example.com/hello" there first`, dir)
	}
	return nil
}

func isGo(entry fs.DirEntry) bool { return filepath.Ext(entry.Name()) == ".go" }

// starterFiles returns the files by the name that they get.
func starterFiles() (map[string][]byte, error) {
	files := map[string][]byte{}
	err := fs.WalkDir(starter, "starter", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := starter.ReadFile(path)
		name := strings.TrimSuffix(strings.TrimPrefix(path, "starter/"), ".txt")
		files[filepath.FromSlash(name)] = text
		return err
	})
	return files, err
}
