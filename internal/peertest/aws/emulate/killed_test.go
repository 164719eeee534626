package emulate_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kanava-go/kanava/internal/peertest/aws/emulate"
)

// left is what a test that is killed leaves behind.
type left struct {
	Dynamo    string
	Processes []int
}

// What a test has started ends also when the test is killed: an emulator, a
// bootstrap that stands still, and one in the midst of an event.
func TestKilledTest(t *testing.T) {
	if os.Getenv("KANAVA_KILLED") != "" {
		beKilled(t)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledTest$")
	cmd.Env = append(cmd.Environ(), "KANAVA_KILLED=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(patience, func() { cmd.Process.Kill() })
	var has left
	for lines := bufio.NewScanner(out); has.Dynamo == "" && lines.Scan(); {
		_ = json.Unmarshal(lines.Bytes(), &has) // the other lines are no JSON
	}
	cmd.Process.Kill()
	cmd.Wait()
	if len(has.Processes) != 2 {
		t.Fatalf("the test to be killed said %+v", has)
	}
	ctx := limit(t)
	for {
		nc, err := net.Dial("tcp", strings.TrimPrefix(has.Dynamo, "http://"))
		if err == nil {
			nc.Close()
		}
		if err != nil && !slices.ContainsFunc(has.Processes, runs) {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("left: %+v, dynalite: %v", has, err)
		}
	}
}

// beKilled is the test that is killed.
func beKilled(t *testing.T) {
	t.Helper()
	w := newWitness(t)
	l := emulate.NewLambda(t, emulate.Function{Bootstrap: bootstrap, Env: []string{"PROBE_WITNESS=" + w.url}})
	held := make(chan struct{}, 2)
	leave := make(chan struct{})
	hold := func(seen) { held <- struct{}{}; <-leave }
	w.hold.Store(&hold)
	for range 2 {
		go l.Invoke(t.Context(), echo(""))
	}
	<-held
	<-held
	leave <- struct{}{}
	for l.Still() != 1 { // the other test's patience ends this one
		runtime.Gosched()
	}
	text, err := json.Marshal(left{Dynamo: emulate.Dynamo(t), Processes: l.Processes()})
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout.Write(append(text, '\n'))
	<-leave
}

// runs tells if a process is there, and is not just waiting to be noticed.
func runs(id int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}
