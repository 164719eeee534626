package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/kanava-go/kanava/manifest"
)

// programTime is how long a program may take until it makes its first handler.
const programTime = 30 * time.Second

// source is where a manifest comes from.
type source struct{ timeout time.Duration }

func (s *source) flags(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&s.timeout, "timeout", programTime, "how long the program or the server may take")
}

// load loads the manifest that the first of args names; those behind "--" are
// for the program.
func (s *source) load(cmd *cobra.Command, args []string) (*manifest.Manifest, error) {
	ctx, name := cmd.Context(), args[0]
	switch {
	case strings.HasPrefix(name, "http://"), strings.HasPrefix(name, "https://"):
		return s.fetch(ctx, name)
	case isFile(name):
		return readFile(name)
	}
	p, err := findProgram(ctx, name)
	if err != nil {
		return nil, err
	}
	raw, err := s.runProgram(ctx, p, args[1:])
	if err != nil {
		return nil, err
	}
	m, err := manifest.Read(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	return m, addDocs(ctx, m, p)
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular() || err != nil && filepath.Ext(name) == ".json"
}

func readFile(name string) (*manifest.Manifest, error) {
	f, err := os.Open(name) //nolint:gosec // the user names it
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m, err := manifest.Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

func (s *source) fetch(ctx context.Context, url string) (*manifest.Manifest, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, usageError{err}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s; does the program mount srv.ManifestHandler() there?", url, resp.Status)
	}
	m, err := manifest.Read(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", url, err)
	}
	return m, nil
}

// goPackage is what "go list" tells of a package.
type goPackage struct {
	Dir        string
	ImportPath string
	Name       string
	GoFiles    []string
	CgoFiles   []string
	Error      *struct{ Err string }
}

// program is a main package, and where the go command runs for it.
type program struct {
	goPackage
	in string // folder; "" is the current one
}

// findProgram finds a main package by its folder or import path.
func findProgram(ctx context.Context, name string) (program, error) {
	p := program{}
	pattern := name
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		p.in, pattern = name, "." // it may be in another module than the current folder
	}
	list, err := listPackages(ctx, p.in, pattern)
	if err != nil {
		return p, err
	}
	if len(list) != 1 {
		return p, usageError{fmt.Errorf("%s is %d packages: name one main package", name, len(list))}
	}
	p.goPackage = list[0]
	switch {
	case p.Error != nil:
		return p, fmt.Errorf("%s: %s", name, p.Error.Err)
	case p.Name != "main":
		return p, fmt.Errorf("%s is package %s: SOURCE is a main package, the program that makes the server", name, p.Name)
	}
	return p, nil
}

// listPackages asks the go command for packages; those that it cannot find have
// an Error.
func listPackages(ctx context.Context, dir string, patterns ...string) ([]goPackage, error) {
	cmd := goCommand(ctx, dir, append([]string{"list", "-e", "-json=Dir,ImportPath,Name,GoFiles,CgoFiles,Error", "--"}, patterns...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, tail(stderr.Bytes()))
	}
	var list []goPackage
	for dec := jsontext.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		err := json.UnmarshalDecode(dec, &p)
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		list = append(list, p)
	}
}
