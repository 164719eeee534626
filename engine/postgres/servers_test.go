package postgres_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kanava-go/kanava/internal/testport"
)

// server is a PostgreSQL server: its first process.
type server struct {
	tb     testing.TB
	addr   string
	dir    string // of its data
	args   []string
	cmd    *exec.Cmd
	ended  chan struct{} // closed when the process has ended
	output *bytes.Buffer
}

// postgresProgram returns where a program is. Without it a test has nothing to
// test, which is a failure where all engines are to be tested.
func postgresProgram(tb testing.TB, name string) string {
	tb.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	all, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(all) > 0 {
		return all[len(all)-1]
	}
	missing := name + " is not installed (Debian: apt-get install postgresql): make engines needs it"
	if os.Getenv("KANAVA_ENGINES") == "all" {
		tb.Fatal(missing)
	}
	tb.Skip(missing)
	return ""
}

// owner returns who runs servers: PostgreSQL refuses to be run by root.
var owner = sync.OnceValues(func() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
})

// command is a program of PostgreSQL's, run by who may.
func command(tb testing.TB, name string, args ...string) *exec.Cmd {
	tb.Helper()
	cmd := exec.Command(postgresProgram(tb, name), args...)
	who, err := owner()
	if err != nil {
		tb.Fatal(err)
	}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	return cmd
}

// template is a directory with the data of a new server, made once. It is made
// with the first server, and removed by TestMain.
var template struct {
	once sync.Once
	dir  string
}

func TestMain(m *testing.M) {
	code := m.Run()
	if template.dir != "" {
		os.RemoveAll(template.dir)
	}
	os.Exit(code)
}

// place returns a directory that belongs to who runs servers.
func place(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "kanava-postgres-") //nolint:usetesting // who runs servers may not enter the folder of a test
	if err != nil {
		tb.Fatal(err)
	}
	if who, _ := owner(); who != nil {
		if err := os.Chown(dir, int(who.Uid), int(who.Gid)); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

// newServer starts a server that ends with the test.
func newServer(tb testing.TB, args ...string) *server {
	tb.Helper()
	port := strconv.Itoa(testport.Port(tb))
	s := &server{tb: tb, addr: "127.0.0.1:" + port, dir: filepath.Join(place(tb), "data")}
	s.args = append([]string{"-D", s.dir, "-h", "127.0.0.1", "-p", port, "-k", "", "-c", "max_connections=200"}, args...)
	tb.Cleanup(func() {
		s.kill()
		os.RemoveAll(filepath.Dir(s.dir))
	})
	s.fill()
	s.start()
	return s
}

// fill gives the server the data of a new one.
func (s *server) fill() {
	s.tb.Helper()
	postgresProgram(s.tb, "postgres")
	template.once.Do(func() {
		dir := place(s.tb)
		cmd := command(s.tb, "initdb", "-D", filepath.Join(dir, "data"), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
		if out, err := cmd.CombinedOutput(); err != nil {
			s.tb.Fatalf("initdb: %v: %s", err, out)
		}
		template.dir = dir
	})
	if template.dir == "" {
		s.tb.Fatal("initdb has failed")
	}
	s.copyTree(filepath.Join(template.dir, "data"), s.dir)
}

// copyTree copies a directory, for who runs servers.
func (s *server) copyTree(from, to string) {
	s.tb.Helper()
	who, _ := owner()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			err = os.Mkdir(target, 0o700)
		} else if data, readErr := os.ReadFile(path); readErr != nil {
			return readErr
		} else {
			err = os.WriteFile(target, data, 0o600)
		}
		if err == nil && who != nil {
			err = os.Chown(target, int(who.Uid), int(who.Gid))
		}
		return err
	})
	if err != nil {
		s.tb.Fatal(err)
	}
}

// start starts the process and waits until it answers. Processes of one that was
// killed may be there for a moment, and keep another from starting.
func (s *server) start() {
	s.tb.Helper()
	s.eventually("a server that answers", func() bool {
		if s.cmd == nil {
			s.launch()
		}
		select {
		case <-s.ended:
			s.cmd = nil
			return false
		default:
		}
		_, err := s.try("SELECT 1")
		return err == nil
	})
}

// launch starts the process and does not wait for it.
func (s *server) launch() {
	s.tb.Helper()
	output := new(bytes.Buffer)
	cmd := command(s.tb, "postgres", s.args...)
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		s.tb.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	s.cmd, s.ended, s.output = cmd, ended, output
}

func (s *server) eventually(what string, is func() bool) {
	s.tb.Helper()
	late := time.After(60 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-late:
			s.kill()
			s.tb.Fatalf("%s: no %s within 60 s: %s", s.addr, what, s.output)
		}
	}
}

// kill ends the process as kill -9 does; those that it has made end by themselves.
func (s *server) kill() {
	if s.cmd != nil {
		s.cmd.Process.Kill()
		<-s.ended
		s.cmd = nil
	}
}

// restart kills the server and starts it again.
func (s *server) restart(keepData bool) {
	s.tb.Helper()
	s.kill()
	if !keepData {
		s.remove()
		s.fill()
	}
	s.start()
}

// remove removes the data of a server that has been killed, when its last process
// writes no more.
func (s *server) remove() {
	s.tb.Helper()
	s.eventually("directory that can be removed", func() bool { return os.RemoveAll(s.dir) == nil })
}

// url returns what an engine connects to, at an address of the server's or of a
// network before it.
func urlAt(addr string) string {
	return "postgres://postgres@" + addr + "/postgres?sslmode=disable"
}

func (s *server) url() string { return urlAt(s.addr) }

// try runs statements and returns the first value, as text.
func (s *server) try(statements string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.url())
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	results, err := conn.PgConn().Exec(ctx, statements).ReadAll()
	if err != nil {
		return "", err
	}
	for _, r := range results {
		if len(r.Rows) > 0 {
			return string(r.Rows[0][0]), nil
		}
	}
	return "", nil
}

// do is try, which succeeds.
func (s *server) do(statements string) string {
	s.tb.Helper()
	text, err := s.try(statements)
	if err != nil {
		s.tb.Fatalf("%s: %v", statements, err)
	}
	return text
}
