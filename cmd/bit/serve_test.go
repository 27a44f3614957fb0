package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// served is a server that a script has started.
type served struct {
	cmd   *exec.Cmd
	mu    sync.Mutex
	log   strings.Builder
	ended chan struct{} // closed when its standard error has ended
}

// servers are those of the scripts that run, by the scripts' folders.
var servers sync.Map

var servingAt = regexp.MustCompile(`^bit: serving .* at (http://\S+)$`)

// startServer runs "bit serve" with arguments on a free port, and sets $SERVER to its URL when it serves: "serve argument...".
func startServer(ts *testscript.TestScript, neg bool, args []string) {
	s := &served{ended: make(chan struct{})}
	s.cmd = exec.Command(filepath.Join(filepath.SplitList(ts.Getenv("PATH"))[0], "bit"), append([]string{"serve", "--addr", "127.0.0.1:0"}, args...)...)
	s.cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"BIT_TOKEN", "HF_HOME", "PATH", "HOME"} {
		s.cmd.Env = append(s.cmd.Env, name+"="+ts.Getenv(name))
	}
	stderr, err := s.cmd.StderrPipe()
	ts.Check(err)
	ts.Check(s.cmd.Start())
	ready := make(chan string, 1)
	go func() {
		defer close(s.ended)
		defer close(ready)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			s.mu.Lock()
			s.log.WriteString(lines.Text() + "\n")
			s.mu.Unlock()
			if m := servingAt.FindStringSubmatch(lines.Text()); m != nil {
				ready <- m[1]
			}
		}
	}()
	ts.Defer(func() { s.cmd.Process.Kill() })
	url, ok := <-ready
	if !ok {
		s.cmd.Wait()
		ts.Fatalf("bit serve ended:\n%s", s.log.String())
	}
	ts.Setenv("SERVER", url)
	servers.Store(ts.MkAbs("."), s)
}

func server(ts *testscript.TestScript) *served {
	s, ok := servers.Load(ts.MkAbs("."))
	if !ok {
		ts.Fatalf("no server was started")
	}
	return s.(*served)
}

// signalServer sends the server a signal and waits until its log has a text: "signal HUP text".
func signalServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: signal HUP text")
	}
	s := server(ts)
	ts.Check(s.cmd.Process.Signal(map[string]os.Signal{"HUP": syscall.SIGHUP}[args[0]]))
	for started := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		found := strings.Contains(s.log.String(), args[1])
		s.mu.Unlock()
		if found {
			return
		}
		if time.Since(started) > time.Minute {
			ts.Fatalf("the server's log has no %q:\n%s", args[1], s.log.String())
		}
	}
}

// stopServer sends the server a signal and waits for its end. "end TERM 0" wants exit code 0; its log is in log.txt then.
func stopServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: end TERM|KILL code")
	}
	s := server(ts)
	ts.Check(s.cmd.Process.Signal(map[string]os.Signal{"TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL}[args[0]]))
	<-s.ended
	s.cmd.Wait()
	ts.Check(os.WriteFile(ts.MkAbs("log.txt"), []byte(s.log.String()), 0o666))
	code := "0"
	if !s.cmd.ProcessState.Success() {
		code = strings.TrimPrefix(s.cmd.ProcessState.String(), "exit status ")
	}
	if code != args[1] {
		ts.Fatalf("the server ended with %q, want %q:\n%s", code, args[1], s.log.String())
	}
}
