package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/bigtransfer/bit/internal/fixture"
	"github.com/bigtransfer/bit/internal/hubtest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"bit": main})
}

// Scripts see $GOLDEN, the folder of reference cases, $EXAMPLES, that of the example pictures, $PEERS, where
// bench/install-peers.sh puts ONNX Runtime, and $BIN, that of this program.
func TestScripts(t *testing.T) {
	cases, err := filepath.Abs(filepath.Dir(fixture.Case(t, "hf-tiny")))
	if err != nil {
		t.Fatal(err)
	}
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	peers := installPeers(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, "GOLDEN="+cases, "EXAMPLES="+examples, "PEERS="+peers,
				"BIN="+filepath.SplitList(e.Getenv("PATH"))[0], "NO_COLOR=1", "HF_HOME="+filepath.Join(e.WorkDir, "hf"))
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"pictures":  writePictures,
			"truncated": truncate,
			"interrupt": interrupt,
			"exits":     exits,
			"copy-all":  copyAll,
			"hub":       startHub,
			"serve":     startServer,
			"end":       stopServer,
			"signal":    signalServer,
		},
	})
}

// installPeers returns the folder of ONNX Runtime, and installs it first where it is missing: what is exported must be seen
// to run.
func installPeers(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../bench/peers/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "onnxruntime-node")); err == nil {
		return dir
	}
	install := exec.Command("../../bench/install-peers.sh", "onnxruntime")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v: the tests run exported models in ONNX Runtime, which Node.js 18 and npm install\n%s", install, err, out)
	}
	return dir
}

// copyAll copies the files of a folder to another one: "copy-all from to".
func copyAll(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: copy-all from to")
	}
	ts.Check(os.CopyFS(ts.MkAbs(args[1]), os.DirFS(ts.MkAbs(args[0]))))
}

// exits runs bit and wants an exit code: "exits 2 classify" runs "bit classify".
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code argument...")
	}
	err := ts.Exec("bit", args[1:]...)
	code := "0"
	if err != nil {
		code = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if code != args[0] {
		ts.Fatalf("bit %s: exit code %s, want %s", strings.Join(args[1:], " "), code, args[0])
	}
}

// startHub starts a hub that has google/bit-tiny, the same as google/bit-50, and a bucket that has BiT-M-R50x1 (both the
// reference cases), and
// makes bit use them. With a token it wants that, and lets repositories of "me" be made and written.
func startHub(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: hub [token]")
	}
	s := hubtest.New()
	ts.Defer(s.Close)
	dir := filepath.Join(ts.Getenv("GOLDEN"), "hf-tiny")
	files := map[string][]byte{}
	for _, name := range []string{"config.json", "preprocessor_config.json", "model.safetensors"} {
		files[name] = []byte(ts.ReadFile(filepath.Join(dir, name)))
	}
	for name, downloads := range map[string]int{"google/bit-tiny": 42, "google/bit-50": 7} {
		s.AddRepo(name, &hubtest.Repo{
			Commit: testCommit, Revisions: []string{"main", "v1"}, Files: files, Large: []string{"model.safetensors"},
			Tags: []string{"transformers", "bit"}, Downloads: downloads,
		})
	}
	images := filepath.Join(ts.Getenv("GOLDEN"), "images")
	s.AddDataset("org/pictures", &hubtest.Repo{
		Commit: "fedcba9876543210fedcba9876543210fedcba98", Revisions: []string{"main"}, Files: map[string][]byte{
			"README.md": nil, "test/cat/1.png": []byte(ts.ReadFile(filepath.Join(images, "cat.png"))),
			"test/coffee/2.png": []byte(ts.ReadFile(filepath.Join(images, "coffee.png"))),
		},
	})
	s.AddObject("BiT-M-R50x1.npz", []byte(ts.ReadFile(filepath.Join(ts.Getenv("GOLDEN"), "official-tiny", "weights.npz"))))
	if len(args) == 1 {
		s.SetToken(args[0])
	}
	ts.Setenv("HF_ENDPOINT", s.Hub.URL)
	ts.Setenv("BIT_BUCKET", s.BucketURL())
}

// writePictures writes a data set of two classes that are easy to tell apart: "pictures photos 8 4" writes
// photos/train/{dark,bright}/0.png to 7.png and photos/test/… 0.png to 3.png.
func writePictures(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: pictures folder train test")
	}
	for i, split := range []string{"train", "test"} {
		n := int(args[1+i][0] - '0')
		for k := range n {
			for class, level := range map[string]uint8{"dark": 5, "bright": 250} {
				file := filepath.Join(ts.MkAbs(args[0]), split, class, string(rune('0'+k))+".png")
				ts.Check(os.MkdirAll(filepath.Dir(file), 0o777))
				ts.Check(writePNG(file, 40, 40, level, uint8(10*k+5*i)))
			}
		}
	}
}

// truncate copies the first half of a file: "truncated from to".
func truncate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: truncated from to")
	}
	content := ts.ReadFile(args[0])
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(content[:len(content)/2]), 0o666))
}

// interrupt runs bit, sends it SIGINT when its standard error has a text, and wants exit code 130. "interrupt text
// argument..." leaves what was written in the files stdout.txt and stderr.txt.
func interrupt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: interrupt text argument...")
	}
	cmd := exec.Command(filepath.Join(filepath.SplitList(ts.Getenv("PATH"))[0], "bit"), args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	var stdout strings.Builder
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	var text strings.Builder
	sent := false
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		fmt.Fprintln(&text, lines.Text())
		if !sent && strings.Contains(lines.Text(), args[0]) {
			ts.Check(cmd.Process.Signal(os.Interrupt))
			sent = true
		}
	}
	err = cmd.Wait()
	ts.Check(os.WriteFile(ts.MkAbs("stdout.txt"), []byte(stdout.String()), 0o666))
	ts.Check(os.WriteFile(ts.MkAbs("stderr.txt"), []byte(text.String()), 0o666))
	if code := cmd.ProcessState.ExitCode(); !sent || code != exitInterrupted {
		ts.Fatalf("interrupted: %v, exit code %d (%v), want %d; it wrote:\n%s", sent, code, err, exitInterrupted, &text)
	}
}
