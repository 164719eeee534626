package testport

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// TestMain lets this program be other processes that take addresses too: they
// print them, and stay until their input ends.
func TestMain(m *testing.M) {
	n, err := strconv.Atoi(os.Getenv("TESTPORT_TAKE"))
	if err != nil {
		os.Exit(m.Run())
	}
	for range n {
		port, err := own.next()
		if err != nil {
			panic(err)
		}
		fmt.Fprintln(os.Stdout, at(port))
	}
	fmt.Fprintln(os.Stdout, "done")
	_, _ = os.Stdin.Read(make([]byte, 1))
}

// takenElsewhere starts a process that takes n addresses, and returns them. The
// process lives as long as the test.
func takenElsewhere(t *testing.T, n int) (addresses []string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TESTPORT_TAKE="+strconv.Itoa(n))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "done" {
		addresses = append(addresses, lines.Text())
	}
	if len(addresses) != n {
		t.Fatalf("another process took %d addresses, want %d", len(addresses), n)
	}
	return addresses
}

// Neither one process nor several that live at once are given an address twice,
// though they need more than a block has and nobody listens.
func TestNoneIsGivenTwice(t *testing.T) {
	const n = 2*size + 1
	seen := make(map[string]bool)
	for range n {
		seen[Address(t)] = true
	}
	for range 3 {
		for _, address := range takenElsewhere(t, n) {
			seen[address] = true
		}
	}
	if len(seen) != 4*n {
		t.Errorf("%d addresses of %d differ", len(seen), 4*n)
	}
	for address := range seen {
		_, text, _ := net.SplitHostPort(address)
		if port, err := strconv.Atoi(text); err != nil || port <= lowest || port > highest {
			t.Errorf("%s is not from %d to %d", address, lowest, highest)
		}
	}
}

// Where somebody listens who does not ask this package is no address to give.
func TestAStrangerIsPassed(t *testing.T) {
	o := small(t)
	defer o.close()
	if _, err := o.next(); err != nil {
		t.Fatal(err)
	}
	taken, next := o.port, o.port+1
	stranger, err := net.Listen("tcp", at(taken))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if got, err := o.next(); err != nil || got != next {
		t.Errorf("got %d, %v, want %d: somebody listens at %d", got, err, next, taken)
	}
}

// Who finds all taken says so, and whose locks are closed leaves all to others, as
// a process does that ends.
func TestBlocksComeToAnEnd(t *testing.T) {
	first := small(t)
	other := &owner{lowest: first.lowest, size: first.size, blocks: first.blocks}
	for i := range first.blocks * (first.size - 1) {
		if _, err := first.next(); err != nil {
			t.Fatalf("address %d: %v", i, err)
		}
	}
	for _, o := range []*owner{first, other} {
		if got, err := o.next(); err == nil || !strings.Contains(err.Error(), "taken") {
			t.Errorf("got %d, %v, where all are taken", got, err)
		}
	}
	first.close()
	defer other.close()
	if _, err := other.next(); err != nil {
		t.Error(err)
	}
}

// small returns who has three blocks of four ports, in a block of this process.
func small(t *testing.T) *owner {
	t.Helper()
	big := owner{lowest: lowest, size: size, blocks: own.blocks}
	if err := big.claim(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(big.close)
	return &owner{lowest: big.port, size: 4, blocks: 3}
}

func (o *owner) close() {
	for _, lock := range o.locks {
		lock.Close()
	}
	o.locks = nil
}
