package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

// target is where a command writes.
type target struct {
	file  string
	check bool
}

func (t *target) flags(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&t.file, "output", "o", "", "`file` to write, with its folder; default is standard output")
	cmd.Flags().BoolVar(&t.check, "check", false, "write nothing, and fail if the file is not what would be written")
}

func (t *target) valid() error {
	if t.check && t.file == "" {
		return usageError{errors.New("--check needs --output: the file to look at")}
	}
	return nil
}

func (t *target) write(cmd *cobra.Command, text []byte) error {
	if t.file == "" {
		_, err := cmd.OutOrStdout().Write(text)
		return err
	}
	old, err := os.ReadFile(t.file)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return err
	}
	say := func(format string, args ...any) { fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...) }
	switch {
	case !missing && bytes.Equal(old, text):
		say("%s is up to date", t.file)
		return nil
	case t.check && missing:
		return fmt.Errorf("%s does not exist: run the command without --check", t.file)
	case t.check:
		return fmt.Errorf("%s is stale from line %d on: run the command without --check", t.file, firstChange(old, text))
	}
	if err := os.MkdirAll(filepath.Dir(t.file), 0o755); err != nil { //nolint:gosec // for everybody, as a checkout is
		return err
	}
	if err := replaceFile(t.file, text); err != nil {
		return err
	}
	say("wrote %s", t.file)
	return nil
}

// firstChange returns the number of the first line that differs.
func firstChange(old, text []byte) int {
	n := 0
	for n < len(old) && n < len(text) && old[n] == text[n] {
		n++
	}
	return 1 + bytes.Count(text[:n], []byte("\n"))
}

// replaceFile writes a file so that whoever reads it sees the old text or the
// new one.
func replaceFile(path string, text []byte) error {
	if linked, err := filepath.EvalSymlinks(path); err == nil {
		path = linked // the file, not the link to it
	}
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".kanava-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
