package page_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// program is the binary under test, built once.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "bit-page-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "bit")
	out, err := exec.Command("go", "build", "-o", path, "../cmd/bit").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// axe is the source of axe-core.
var axe = sync.OnceValues(func() (string, error) {
	if out, err := exec.Command("../scripts/install-browser.sh").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	text, err := os.ReadFile("testdata/node_modules/axe-core/axe.min.js")
	return string(text), err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := program(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// server is a running bit serve.
type server struct {
	url  string
	cmd  *exec.Cmd
	done chan struct{}
}

// serveIn starts a server whose projects are in dir.
func serveIn(t testing.TB, dir string, arguments ...string) *server {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	s := &server{cmd: exec.Command(path, append([]string{"serve", "--addr", "127.0.0.1:0", "--projects", dir, "--log", "none"}, arguments...)...), done: make(chan struct{})}
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if _, url, ok := strings.Cut(lines.Text(), " at http://"); ok {
			s.url = "http://" + url
			break
		}
		t.Log(lines.Text())
	}
	go func() {
		io.Copy(io.Discard, stderr)
		s.cmd.Wait()
		close(s.done)
	}()
	t.Cleanup(func() { s.kill(syscall.SIGKILL) })
	if s.url == "" {
		t.Fatal("the server said no address")
	}
	return s
}

// kill sends the server a signal and waits for its end.
func (s *server) kill(signal syscall.Signal) {
	s.cmd.Process.Signal(signal)
	<-s.done
}

// tab is a tab of a browser. Its methods end the test when they fail.
type tab struct {
	t   testing.TB
	ctx context.Context

	mu       sync.Mutex
	problems []string // of the console
}

// browse starts a browser with an empty profile, whose camera is a test pattern.
func browse(t testing.TB, width, height int) *tab {
	t.Helper()
	path := ""
	if _, err := axe(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Fatal("no Chromium: run scripts/install-browser.sh")
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.Headless, chromedp.DisableGPU, chromedp.NoSandbox,
		chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(width, height),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("use-fake-device-for-media-stream", true), chromedp.Flag("use-fake-ui-for-media-stream", true),
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	b := &tab{t: t, ctx: ctx}
	// The first run starts the browser, which ends with its context: no deadline, then.
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(int64(width), int64(height))); err != nil {
		t.Fatal(err)
	}
	messages := chromedp.Console(ctx)
	var listening sync.WaitGroup
	listening.Go(func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			if m.IsException() || m.Type == "error" || m.Type == "warning" {
				b.mu.Lock()
				b.problems = append(b.problems, fmt.Sprint(m, " ", m.URL))
				b.mu.Unlock()
			}
		}
	})
	t.Cleanup(func() {
		chromedp.Cancel(ctx) // and waits for its end
		cancel()
		stop()
		listening.Wait()
	})
	return b
}

// quiet fails if the console has said something.
func (b *tab) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.problems {
		b.t.Errorf("the console says: %s", p)
	}
	b.problems = nil
}

// patience is how long the test waits for the page to come to a state, on a machine that is busy.
const patience = 90 * time.Second

func (b *tab) run(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	value(b, chromedp.Steps(steps...))
}

// value runs an action that has a value.
func value[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		b.mu.Lock()
		problems := b.problems
		b.mu.Unlock()
		text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body.innerText`))
		b.t.Fatalf("%v; the page says:\n%s\nthe console: %q", err, text, problems)
	}
	return v
}

func evaluate[T any](b *tab, expression string) T {
	b.t.Helper()
	return value(b, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// until waits for an expression of JavaScript to be true.
func (b *tab) until(expression string) {
	b.t.Helper()
	value(b, chromedp.Poll[bool]("Boolean("+expression+")", chromedp.WithPollingInterval(30*time.Millisecond), chromedp.WithPollingTimeout(patience)))
}

// text returns what an element says.
func (b *tab) text(selector string) string {
	b.t.Helper()
	return strings.TrimSpace(value(b, chromedp.Text(selector)))
}

// button clicks a visible button, link or label by what it says or is called, in an element.
func (b *tab) button(within, name string) {
	b.t.Helper()
	find := fmt.Sprintf(`[...document.querySelector(%q).querySelectorAll('button, a, label, summary, [role=menuitem]')].find(e => (e.innerText.trim() === %q || e.getAttribute('aria-label') === %q) && e.checkVisibility())`, within, name, name)
	b.until(find)
	evaluate[any](b, find+".scrollIntoView({block: 'center'}), "+find+".click()")
}

// fill types into a field.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	evaluate[any](b, fmt.Sprintf("document.querySelector(%q).value = ''", selector))
	b.run(chromedp.SendKeys(selector, text))
}

// drop drags files from the desktop over an element and lets them fall.
func (b *tab) drop(selector string, files ...string) {
	b.t.Helper()
	for i, f := range files {
		abs, err := filepath.Abs(f)
		if err != nil {
			b.t.Fatal(err)
		}
		files[i] = abs
	}
	at := evaluate[[]float64](b, fmt.Sprintf(`(e => { e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })(document.querySelector(%q))`, selector))
	for _, kind := range []input.DispatchDragEventType{input.DispatchDragEventTypeDragEnter, input.DispatchDragEventTypeDragOver, input.DispatchDragEventTypeDrop} {
		b.run(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
			_, err := chromedp.Call(ctx, input.DispatchDragEvent, input.DispatchDragEventParams{
				Type: kind, X: at[0], Y: at[1], Data: &input.DragData{Items: []*input.DragDataItem{}, Files: files, DragOperationsMask: 1},
			})
			return err
		}))
	}
}

func (b *tab) keys(keys ...string) {
	b.t.Helper()
	for _, k := range keys {
		b.run(chromedp.KeyEvent(k))
	}
}

// downloadTo lets downloads go to a folder.
func (b *tab) downloadTo(dir string) {
	b.t.Helper()
	_, err := chromedp.CallBrowser(b.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir,
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// violation is what axe-core found against the rules of WCAG 2.2 AA.
type violation struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML           string
		FailureSummary string `json:"failureSummary"`
	}
}

// accessible runs axe-core in the page.
func (b *tab) accessible(where string) {
	b.t.Helper()
	source, err := axe()
	if err != nil {
		b.t.Fatal(err)
	}
	evaluate[int](b, source+";0")
	found := evaluate[[]violation](b, `axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}).then(r => r.violations)`)
	for _, v := range found {
		for _, n := range v.Nodes {
			b.t.Errorf("%s: %s (%s): %s\n%s\n%s", where, v.ID, v.Impact, v.Help, n.HTML, n.FailureSummary)
		}
	}
}

// theme sets what the system prefers, "light" or "dark", and whether it wants little motion.
func (b *tab) theme(scheme string) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	if err != nil {
		b.t.Fatal(err)
	}
}

// shoot writes a screenshot of the page, if the environment names a folder for them.
func (b *tab) shoot(name string) {
	b.t.Helper()
	dir := os.Getenv("BIT_SCREENSHOTS")
	if dir == "" {
		return
	}
	b.run(chromedp.Sleep(400 * time.Millisecond))
	png := value(b, chromedp.FullScreenshot(100))
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o666); err != nil {
		b.t.Fatal(err)
	}
}
