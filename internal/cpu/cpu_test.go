package cpu

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// required is the environment variable that lists, with commas between, levels this machine must have: on a machine
// kept for their sake a missing one is a fault and not a reason to test less.
const required = "BIT_REQUIRE_SIMD"

func TestLevels(t *testing.T) {
	levels := Available()
	t.Logf("levels of this machine and build: %v", levels)
	rising := []Level{Generic, AVX2, AVX512}
	if len(levels) > len(rising) || !slices.Equal(levels, rising[:len(levels)]) {
		t.Errorf("levels are %v, want a beginning of %v", levels, rising)
	}
	if !slices.Contains(levels, Active()) {
		t.Errorf("level %s is active and not among %v", Active(), levels)
	}
	for l := range strings.SplitSeq(os.Getenv(required), ",") {
		if l = strings.TrimSpace(l); l != "" && !slices.Contains(levels, Level(l)) {
			t.Errorf("%s asks for level %s, and there are only %v", required, l, levels)
		}
	}
}

func TestChoose(t *testing.T) {
	old, all := []Level{Generic, AVX2}, []Level{Generic, AVX2, AVX512}
	for _, c := range []struct {
		available []Level
		override  string
		want      Level
		err       string
	}{
		{[]Level{Generic}, "", Generic, ""},
		{old, "", AVX2, ""},
		{all, "", AVX512, ""},
		{all, "generic", Generic, ""},
		{all, "avx2", AVX2, ""},
		{all, "avx512", AVX512, ""},
		{old, "avx512", AVX2, "BIT_SIMD=avx512: this machine has [generic avx2]"},
		{all, "AVX2", AVX512, "BIT_SIMD=AVX2: this machine has [generic avx2 avx512]"},
		{[]Level{Generic}, "sse", Generic, "BIT_SIMD=sse: this machine has [generic]"},
	} {
		got, err := choose(c.available, c.override)
		message := ""
		if err != nil {
			message = err.Error()
		}
		if got != c.want || message != c.err {
			t.Errorf("of %v with override %q: %s and error %q, want %s and %q", c.available, c.override, got, message, c.want, c.err)
		}
	}
}

// The override is read at start, so each value needs a process of its own: this test, run again.
func TestOverride(t *testing.T) {
	const child = "BIT_CPU_TEST_CHILD"
	if os.Getenv(child) != "" {
		t.Logf("active %s, error %v;", Active(), OverrideError())
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	best := Available()[len(Available())-1]
	want := map[string]string{
		"":     "active " + string(best) + ", error <nil>;",
		"mmx":  "active " + string(best) + ", error BIT_SIMD=mmx: this machine has",
		"1024": "active " + string(best) + ", error BIT_SIMD=1024: this machine has",
	}
	for _, l := range Available() {
		want[string(l)] = "active " + string(l) + ", error <nil>;"
	}
	for value, line := range want {
		cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestOverride$", "-test.v")
		cmd.Env = append(os.Environ(), child+"=1", Override+"="+value)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s=%s: %v\n%s", Override, value, err, out)
		}
		if !strings.Contains(string(out), line) {
			t.Errorf("%s=%s: want %q in\n%s", Override, value, line, out)
		}
	}
}

func TestSetForTest(t *testing.T) {
	before := Active()
	for _, l := range Available() {
		restore := SetForTest(l)
		if Active() != l {
			t.Errorf("level %s is active, want %s", Active(), l)
		}
		restore()
		if Active() != before {
			t.Errorf("level %s is active after restoring, want %s", Active(), before)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a level that does not exist was made active")
		}
		if Active() != before {
			t.Errorf("level %s is active after the panic, want %s", Active(), before)
		}
	}()
	SetForTest("mmx")
}
