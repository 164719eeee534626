package emulate

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// process is one run of a bootstrap. Its Lambda's mutex guards event, asked and
// over.
type process struct {
	id    string
	cmd   *exec.Cmd
	began time.Time
	next  chan *event   // has room for one
	ended chan struct{} // closed once it has ended
	err   error         // how it did; to be read after that

	event *event // that it works at
	asked bool   // for its first event
	over  bool
}

// newProcess starts a process. l.mu is held.
func (l *Lambda) newProcess(id string) (*process, error) {
	p := &process{id: id, next: make(chan *event, 1), ended: make(chan struct{})}
	p.cmd = exec.Command(l.fn.Bootstrap)
	p.cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "TZ=:UTC", "LANG=en_US.UTF-8",
		"AWS_REGION=" + region, "AWS_DEFAULT_REGION=" + region,
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_SESSION_TOKEN=test",
		"AWS_EXECUTION_ENV=AWS_Lambda_provided.al2023",
		"AWS_LAMBDA_FUNCTION_NAME=kanava", "AWS_LAMBDA_FUNCTION_VERSION=$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256",
		"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(l.server.URL, "http://") + "/" + id,
	}, l.fn.Env...)
	p.cmd.Stdout, p.cmd.Stderr = &l.said, &l.said
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what it starts stands still and ends with it
	p.cmd.WaitDelay = time.Second
	p.began = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the bootstrap: %w", err)
	}
	go func() { // ends with the process
		p.err = p.cmd.Wait()
		if p.err == nil {
			p.err = errors.New("exit status 0")
		}
		l.gone(p)
		close(p.ended)
	}()
	return p, nil
}

func (p *process) kill()   { p.signal(syscall.SIGKILL) }
func (p *process) freeze() { p.signal(syscall.SIGSTOP) }
func (p *process) thaw()   { p.signal(syscall.SIGCONT) }

// signal reaches the process and what it has started. It does nothing if it has
// ended.
func (p *process) signal(s syscall.Signal) {
	select {
	case <-p.ended: // another may have its id by now
	default:
		_ = syscall.Kill(-p.cmd.Process.Pid, s)
	}
}
