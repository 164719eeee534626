package consumertest

import (
	"archive/zip"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/kanava-go/kanava" // so that go test's cache knows what is packed
)

const (
	module  = "github.com/kanava-go/kanava"
	version = "v0.1.0"
)

func TestOutsideConsumer(t *testing.T) {
	t.Parallel()
	env := proxyEnv(t)

	t.Run("a program that requires the module", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "go.mod"), fmt.Sprintf("module example.com/consumer\n\ngo 1.26\n\nrequire %s %s\n", module, version))
		if err := os.CopyFS(dir, os.DirFS("testdata/consumer")); err != nil {
			t.Fatal(err)
		}
		if out := run(t, dir, env, "go", "run", "."); out != "wired\n" {
			t.Errorf("the program printed %q, want %q", out, "wired\n")
		}
		run(t, dir, env, "go", "test", ".") // with the test kit

		// What only Kanava's own tests and examples need stays out of a program.
		deps := run(t, dir, env, "go", "list", "-deps", ".")
		for _, dep := range []string{"go-cmp", "goleak", "rapid", "jwt"} {
			if strings.Contains(deps, dep) {
				t.Errorf("the program links %s", dep)
			}
		}
	})

	// go install with a version refuses a module with a replace in its go.mod.
	t.Run("go install of an example", func(t *testing.T) {
		bin := t.TempDir()
		run(t, t.TempDir(), append(env, "GOBIN="+bin), "go", "install", module+"/examples/hello@"+version)
		out := run(t, bin, env, "go", "version", "-m", "hello")
		if !strings.Contains(out, version) {
			t.Errorf("the installed program is not of version %s:\n%s", version, out)
		}
	})
}

// proxyEnv packs the module into a proxy and returns an environment in which
// go knows that proxy, what the user's module cache holds, and nothing else. The
// cache is filled first: a build leaves out what only other systems need, go mod
// tidy does not.
func proxyEnv(t *testing.T) []string {
	t.Helper()
	proxy := t.TempDir()
	pack(t, proxy)
	run(t, filepath.Join("..", ".."), append(os.Environ(), "GOWORK=off"), "go", "mod", "download")
	downloads := filepath.Join(goEnv(t, "GOMODCACHE"), "cache", "download")
	return append(os.Environ(),
		"GOPROXY="+fileURL(proxy)+","+fileURL(downloads),
		"GOMODCACHE="+t.TempDir(),
		"GOCACHE="+goEnv(t, "GOCACHE"),
		// -modcacherw lets t.TempDir remove the cache.
		"GOFLAGS=-mod=mod -modcacherw -buildvcs=false",
		"GOWORK=off", "GOENV=off", "GOSUMDB=off", "GOVCS=*:off", "GOTOOLCHAIN=local",
		"GOPRIVATE=", "GONOPROXY=none", "GONOSUMDB=", "GOINSECURE=",
	)
}

// pack writes the module as a proxy serves it: list, .info, .mod and .zip.
func pack(t *testing.T, proxy string) {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(proxy, filepath.FromSlash(module), "@v")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "list"), version+"\n")
	write(t, filepath.Join(dir, version+".info"), `{"Version":"`+version+`","Time":"2026-01-01T00:00:00Z"}`)
	write(t, filepath.Join(dir, version+".mod"), string(mod))

	f, err := os.Create(filepath.Join(dir, version+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for _, name := range moduleFiles(t, root) {
		data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		w, err := z.Create(module + "@" + version + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// moduleFiles lists what a version of the module would consist of if all of
// the work tree were committed now: what git does not ignore, without vendored
// packages, nested modules and what is not a regular file.
func moduleFiles(t *testing.T, root string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("only git knows which files belong to the module: %v", err)
	}
	var files []string
	nested := map[string]bool{}
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		info, err := os.Lstat(filepath.Join(root, filepath.FromSlash(name)))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed, and not yet committed
		}
		if err != nil {
			t.Fatal(err)
		}
		if !info.Mode().IsRegular() || strings.Contains("/"+name, "/vendor/") {
			continue
		}
		if dir, base := path.Split(name); base == "go.mod" && dir != "" {
			nested[dir] = true
		}
		files = append(files, name)
	}
	inNested := func(name string) bool {
		for dir := range nested {
			if strings.HasPrefix(name, dir) {
				return true
			}
		}
		return false
	}
	var kept []string
	for _, name := range files {
		if !inNested(name) {
			kept = append(kept, name)
		}
	}
	return kept
}

func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, env
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", cmd, err, out, stderr.String())
	}
	return string(out)
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	return strings.TrimSpace(run(t, ".", os.Environ(), "go", "env", name))
}

func fileURL(dir string) string { return "file://" + filepath.ToSlash(dir) }

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
