package train

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/bigtransfer/bit/internal/safetensors"
)

// childDir is set in the environment of the process, this test again, that TestKillAndResume starts and kills.
const childDir = "BIT_TEST_TRAIN_DIR"

const killSteps = 60

// historyOf is where the process writes its history: not among the checkpoints.
func historyOf(dir string) string { return dir + "." + HistoryFile }

// readHistory reads a history but for what a clock says.
func readHistory(t *testing.T, path string) History {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h, err := ReadHistory(f)
	if err != nil {
		t.Fatal(err)
	}
	for i := range h.Steps {
		if !(h.Steps[i].ImagesPerSecond > 0) {
			t.Errorf("step %d at %v images a second", h.Steps[i].Step, h.Steps[i].ImagesPerSecond)
		}
		h.Steps[i].ImagesPerSecond = 0
	}
	return h
}

func digestOf(values []float32) string {
	h := sha256.New()
	safetensors.NewEncoder(h, safetensors.F32).Encode(values)
	return hex.EncodeToString(h.Sum(nil))
}

// child is the process that is killed. It says each step on its standard output, and at the end the digest of the
// weights.
func child(t *testing.T, dir string) {
	cfg := everything(cifar(t), killSteps, dir)
	cfg.History = historyOf(dir)
	cfg.OnStep = func(p Progress) { fmt.Printf("step %d\n", p.Step) }
	weights, r := train(t, cfg)
	fmt.Printf("final %s %v\n", digestOf(weights), r)
}

// A process that is killed with SIGKILL at random moments, in the middle of steps, saves and evaluations, and started
// anew until it comes to its end, gives the same bits as one that was left alone.
func TestKillAndResume(t *testing.T) {
	if dir := os.Getenv(childDir); dir != "" {
		child(t, dir)
		return
	}
	cfg := everything(cifar(t), killSteps, "")
	cfg.History = filepath.Join(t.TempDir(), HistoryFile)
	weights, r := train(t, cfg)
	want := fmt.Sprintf("final %s %v", digestOf(weights), r)

	dir := t.TempDir()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	kills := 0
	for round := 0; ; round++ {
		// While there is a step to go each process is let live for a few, so that the test ends.
		got, killed := runChild(t, dir, 1+random.IntN(12), time.Duration(random.IntN(int(10*time.Millisecond))))
		if killed {
			kills++
		}
		if got != "" {
			if got != want {
				t.Errorf("after %d kills:\n%s\nwithout:\n%s", kills, got, want)
			}
			break
		}
		if round == 10*killSteps {
			t.Fatal("no end")
		}
	}
	t.Logf("%d kills", kills)
	if kills < 3 {
		t.Errorf("%d kills in %d steps, want at least 3 for the test to mean something", kills, killSteps)
	}
	if got, want := readHistory(t, historyOf(dir)), readHistory(t, cfg.History); !slices.Equal(got.Steps, want.Steps) || !slices.Equal(got.Evaluations, want.Evaluations) {
		t.Errorf("after %d kills the history is %+v, without %+v", kills, got, want)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if !slices.Equal(names, []string{BestFile, LastFile}) {
		t.Errorf("files %v, want the two checkpoints and no remains", names)
	}
}

// runChild starts the process and kills it a while after it has taken some steps. If it ended before that, the line
// about its end is returned.
func runChild(t *testing.T, dir string, steps int, after time.Duration) (final string, killed bool) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestKillAndResume$", "-test.count=1")
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Dir = "." // the package's directory, from which data are found
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var seen []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line := lines.Text()
		seen = append(seen, line)
		switch {
		case len(line) > 6 && line[:6] == "final ":
			final = line
		case len(line) > 5 && line[:5] == "step ":
			if steps--; steps == 0 {
				time.Sleep(after)
				cmd.Process.Kill() // SIGKILL where there is one
			}
		}
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case err == nil && final != "":
		return final, false
	case errors.As(err, &exit) && !exit.Exited(): // by a signal
		return "", true
	case errors.As(err, &exit) && steps <= 0: // Windows knows no signals
		return "", true
	}
	t.Fatalf("the training process: %v\n%q", err, seen)
	return "", false
}

// What a kill during a save leaves behind does not disturb the next run.
func TestRemainsOfKilledSave(t *testing.T) {
	dir := t.TempDir()
	want, _ := train(t, everything(cifar(t), 2, ""))
	for _, name := range []string{LastFile, BestFile} {
		if err := os.WriteFile(filepath.Join(dir, name+".tmp"), []byte("half"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := train(t, everything(cifar(t), 2, dir)); !slices.Equal(got, want) {
		t.Error("the weights differ")
	}
}
