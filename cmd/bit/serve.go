package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/resnet"
	"github.com/bigtransfer/bit/serve"
)

type serveOptions struct {
	models     []string
	addr       string
	resolution int
	threads    int

	batch                 int
	batchDelay, batchTime time.Duration
	queue                 int
	memory, maxBytes      string
	maxPixels             int
	timeout, drain        time.Duration

	tokenFile               string
	withoutToken            bool
	allowHosts, allowOrigin []string
	log                     string
	profile                 bool
	projects                string
}

// tokenVariable is the environment variable of the token that a server wants and that a client sends.
const tokenVariable = "BIT_TOKEN"

func (a *app) newServeCommand() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve [flags]",
		Short: "Answer requests for classes and features over HTTP",
		Long: `Answer requests for classes and features of pictures over HTTP: a picture as the body or
as a form, the Hugging Face task image-classification, the Open Inference Protocol
version 2. GET /openapi.json describes all there is, docs/SERVING.md how to run it.

The page at / classifies pictures, and lets people teach models classes of their own.
Pictures and models of the page are in the folder --projects.

Only this machine can reach the server unless --addr says otherwise, which takes a token
in the environment variable BIT_TOKEN or in a file (--token-file), or --without-token.

SIGTERM and Ctrl-C make it answer what has come and end; SIGHUP makes it load its models
again, without a request noticing, as POST /v1/models/NAME/reload does for one of them.
The log goes to standard error.`,
		Example: `  bit serve
  curl -T cat.jpg http://127.0.0.1:8080/v1/classify
  bit serve --model my-model,BiT-M-R50x1-ILSVRC2012
  curl -F file=@a.jpg -F file=@b.jpg 'http://127.0.0.1:8080/v1/models/my-model/classify?top=3'
  BIT_TOKEN=$(cat secret) bit serve --model flowers=models/v7 --addr :8080`,
		Args: wants(0, 0, "no arguments"),
		RunE: a.runE(func(ctx context.Context, args []string) error { return a.serve(ctx, o) }),
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.models, "model", []string{bit.DefaultModel}, "models as for other commands, each REF or NAME=REF; the first is the default")
	f.StringVar(&o.addr, "addr", "127.0.0.1:8080", "address to listen at; port 0 for any that is free")
	addResolutionFlag(cmd, &o.resolution)
	addThreadsFlag(cmd, &o.threads)
	f.IntVar(&o.batch, "batch", serve.DefaultBatch, "pictures per pass of the network at most")
	f.DurationVar(&o.batchDelay, "batch-delay", serve.DefaultBatchDelay, "how long a picture waits at most for others to share its pass")
	f.DurationVar(&o.batchTime, "batch-time", serve.DefaultBatchTime, "how long a pass may take; where pictures take long, fewer share one")
	f.IntVar(&o.queue, "queue", serve.DefaultQueue, "pictures in the server at a time; who comes then is answered 503")
	f.StringVar(&o.memory, "memory", "512MiB", "for bodies of requests and pictures being decoded, beside what the models take")
	f.StringVar(&o.maxBytes, "max-bytes", "32MiB", "largest body of a request")
	f.IntVar(&o.maxPixels, "max-pixels", serve.DefaultMaxPixels, "largest picture, width times height")
	f.DurationVar(&o.timeout, "timeout", serve.DefaultTimeout, "for a request, from its arrival to its answer")
	f.DurationVar(&o.drain, "drain", serve.DefaultDrain, "for requests in progress when the server is told to end")
	f.StringVar(&o.tokenFile, "token-file", "", "file of the token that requests must carry (default $BIT_TOKEN)")
	f.BoolVar(&o.withoutToken, "without-token", false, "let other machines use the server without token")
	f.StringSliceVar(&o.allowHosts, "allow-host", nil, "names by which the server is called, beside localhost and addresses")
	f.StringSliceVar(&o.allowOrigin, "allow-origin", nil, "pages of other origins that may use it, such as https://example.com")
	f.StringVar(&o.log, "log", "text", "form of the log: text, json or none")
	f.BoolVar(&o.profile, "profile", false, "serve Go's profiles at /debug/pprof/")
	f.StringVar(&o.projects, "projects", "", "folder of what people teach on the page, or none (default bit/projects in the user's folder for data)")
	return cmd
}

func (a *app) serve(ctx context.Context, o serveOptions) error {
	config, err := a.serveConfig(o)
	if err != nil {
		return err
	}
	// The port first: it costs nothing, and a large model takes a while.
	listener, err := serve.Listen(ctx, o.addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	server, err := serve.New(ctx, config)
	if err != nil {
		return err
	}
	closePage, err := a.addPage(ctx, server, config.Log, o)
	if err != nil {
		return err
	}
	defer closePage()
	boundServerGarbage(server)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	go func() {
		for range hangups {
			server.ReloadAll(ctx)
			boundServerGarbage(server) // each model that is opened bounds it for itself alone
		}
	}()
	fmt.Fprintf(a.stderr, "bit: serving %s and a page at http://%s\n", strings.Join(server.Names(), ", "), listener.Addr())
	return server.Serve(ctx, listener)
}

// boundServerGarbage bounds the garbage beside all models of a server.
func boundServerGarbage(s *serve.Server) {
	var models []resnet.Config
	for _, name := range s.Names() {
		s.Use(name, func(c *bit.Classifier) error {
			models = append(models, c.Config())
			return nil
		})
	}
	boundGarbage(models...)
}

// serveConfig checks the flags.
func (a *app) serveConfig(o serveOptions) (serve.Config, error) {
	c := serve.Config{
		Version: version(), Batch: o.batch, BatchDelay: o.batchDelay, BatchTime: o.batchTime, Queue: o.queue, MaxPixels: o.maxPixels,
		Timeout: o.timeout, Drain: o.drain, AllowHosts: o.allowHosts, AllowOrigins: o.allowOrigin, Profile: o.profile,
	}
	for _, n := range []struct {
		flag  string
		value int64
	}{{"batch", int64(o.batch)}, {"queue", int64(o.queue)}, {"max-pixels", int64(o.maxPixels)}, {"timeout", int64(o.timeout)},
		{"drain", int64(o.drain)}, {"batch-time", int64(o.batchTime)}} {
		if n.value <= 0 {
			return c, usagef("--%s: want more than 0", n.flag)
		}
	}
	if o.batchDelay <= 0 {
		c.BatchDelay = -1
	}
	for _, b := range []struct {
		flag, text string
		to         *int64
	}{{"memory", o.memory, &c.Memory}, {"max-bytes", o.maxBytes, &c.MaxBytes}} {
		n, err := humanize.ParseBytes(b.text)
		if err != nil || n == 0 || n > 1<<50 {
			return c, usagef("--%s %q: want a size such as 64MiB", b.flag, b.text)
		}
		*b.to = int64(n)
	}
	var err error
	if c.Log, err = a.serveLog(o.log); err != nil {
		return c, err
	}
	if c.Token, err = readToken(o.tokenFile); err != nil {
		return c, err
	}
	if c.Token == "" && !o.withoutToken && !isLoopback(o.addr) {
		return c, usagef("--addr %s can be reached from other machines: give a token by $%s or --token-file, or say --without-token", o.addr, tokenVariable)
	}
	opener, err := opener(o.resolution, o.threads)
	if err != nil {
		return c, err
	}
	for _, text := range o.models {
		name, ref := nameModel(text)
		c.Models = append(c.Models, serve.Model{Name: name, Open: func(ctx context.Context) (*bit.Classifier, error) {
			return a.openClassifier(ctx, opener, ref)
		}})
	}
	return c, nil
}

func (a *app) serveLog(form string) (*slog.Logger, error) {
	switch form {
	case "text":
		return slog.New(slog.NewTextHandler(a.stderr, nil)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(a.stderr, nil)), nil
	case "none":
		return slog.New(slog.DiscardHandler), nil
	}
	return nil, usagef("--log %q: want text, json or none", form)
}

// readToken returns the token in a file, or in the environment if no file is named. It is never an argument, which other
// users of a machine can read.
func readToken(file string) (string, error) {
	if file == "" {
		return strings.TrimSpace(os.Getenv(tokenVariable)), nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	token := strings.TrimSpace(string(content))
	if token == "" {
		return "", fmt.Errorf("token: %s is empty", file)
	}
	return token, nil
}

// isLoopback reports whether only this machine can reach an address.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

var modelNamed = regexp.MustCompile(`^([A-Za-z0-9_-][A-Za-z0-9._-]*)=(.+)$`)

// nameModel returns the name and the reference of a model to serve. REF alone is called like its last part.
func nameModel(text string) (name, ref string) {
	if m := modelNamed.FindStringSubmatch(text); m != nil {
		if _, err := os.Stat(text); errors.Is(err, fs.ErrNotExist) {
			return m[1], m[2]
		}
	}
	if text == "" {
		return bit.DefaultModel, ""
	}
	if abs, err := filepath.Abs(text); err == nil {
		if _, err := os.Stat(text); err == nil {
			return strings.TrimSuffix(filepath.Base(abs), ".npz"), text
		}
	}
	name, _, _ = strings.Cut(text, "@")
	return strings.TrimSuffix(path.Base(name), ".npz"), text
}
