package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"

	"github.com/bigtransfer/bit"
	"github.com/bigtransfer/bit/onnx"
	"github.com/bigtransfer/bit/page"
	"github.com/bigtransfer/bit/project"
	"github.com/bigtransfer/bit/serve"
	"github.com/bigtransfer/bit/teach"
)

// noProjects is the folder of a server on which nobody teaches.
const noProjects = "none"

// addPage adds the page to a server, and what people teach on it. The function that it returns saves what is under way.
func (a *app) addPage(ctx context.Context, server *serve.Server, log *slog.Logger, o serveOptions) (func(), error) {
	routes, err := page.Routes()
	if err != nil {
		return nil, err
	}
	for _, r := range routes {
		server.Handle(r)
	}
	store, err := openProjects(o.projects)
	if err != nil && o.projects == "" {
		// Nobody asked for it: a container without a disk, or a second server, serves without.
		fmt.Fprintf(a.stderr, "bit: nobody can teach here: %v; choose a folder by --projects\n", err)
	} else if err != nil {
		return nil, err
	}
	if store == nil {
		return func() {}, nil
	}
	config := teach.Config{Store: store, Server: server, Log: log, Threads: o.threads, Export: func(ctx context.Context, m *bit.Model, path string) error {
		return saveONNX(ctx, m, path, onnx.Options{Input: onnx.Images}, false)
	}}
	opener, err := opener(o.resolution, o.threads)
	if err != nil {
		return nil, err
	}
	for _, text := range o.models {
		name, ref := nameModel(text)
		config.Bases = append(config.Bases, teach.Base{Name: name, Open: func(ctx context.Context) (*bit.Model, error) {
			return a.openModel(ctx, opener, ref)
		}})
	}
	teacher, err := teach.New(ctx, config)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return func() {
		teacher.Close()
		store.Close()
	}, nil
}

// openProjects opens the folder of projects; nil if there shall be none.
func openProjects(dir string) (*project.Store, error) {
	if dir == noProjects {
		return nil, nil
	}
	if dir == "" {
		data, err := userDataDir()
		if err != nil {
			return nil, err
		}
		dir = filepath.Join(data, "bit", "projects")
	}
	return project.Open(dir, project.Limits{})
}

// userDataDir is where the system wants what a user makes: $XDG_DATA_HOME or ~/.local/share (XDG Base Directory
// Specification 0.8), ~/Library/Application Support, %LocalAppData%.
func userDataDir() (string, error) {
	switch runtime.GOOS {
	case "windows":
		return os.UserCacheDir()
	case "darwin", "ios":
		return os.UserConfigDir()
	}
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return dir, nil
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".local", "share"), err
}
