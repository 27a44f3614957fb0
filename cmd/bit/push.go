package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit/hub"
)

type pushOptions struct {
	hub.PushOptions
	revision string
	json     bool
}

func (a *app) newPushCommand() *cobra.Command {
	var o pushOptions
	cmd := &cobra.Command{
		Use:   "push DIR REPO [flags]",
		Short: "Publish a model on the Hugging Face hub",
		Long: `Publish a model on the Hugging Face hub, in one commit, and print its address.

DIR is a folder that training or "bit convert" wrote, or a single file. REPO is org/name, which is
made if it is not there, or org/name@branch. The token comes from HF_TOKEN or the file of
HF_TOKEN_PATH and goes to the hub alone. What the hub has already is not sent again, so a
push that was cut goes on where it ended. Hidden files and a run's folders checkpoints and
logs stay here; files of the repository that DIR does not have stay there.`,
		Example: `  bit push my-model me/my-model
  bit push my-model me/my-model --private --message "trained on more flowers"
  bit push my-model google/bit-50 --create-pr`,
		Args: wants(2, 2, "DIR and REPO"),
		RunE: a.runE(func(ctx context.Context, args []string) error { return a.push(ctx, args[0], args[1], o) }),
	}
	f := cmd.Flags()
	f.StringVar(&o.revision, "revision", "", "branch to commit to, made if it is not there (default main)")
	f.StringVar(&o.Message, "message", "", "message of the commit")
	f.BoolVar(&o.Private, "private", false, "make the repository private, if it is made")
	f.BoolVar(&o.PullRequest, "create-pr", false, "open a pull request with the commit")
	f.BoolVar(&o.json, "json", false, "print a JSON object")
	return cmd
}

func (a *app) push(ctx context.Context, dir, repo string, o pushOptions) error {
	c := hub.FromEnv()
	ref, err := c.ParseRef(repo)
	switch {
	case err != nil || ref.Repo == "":
		return usagef("%q is no repository to push to: want org/name or org/name@branch", repo)
	case o.revision == "":
	case ref.Revision != hub.DefaultRevision && ref.Revision != o.revision:
		return usagef("--revision %s: REPO names %s", o.revision, ref.Revision)
	default:
		if ref, err = c.ParseRef(ref.Repo + "@" + o.revision); err != nil {
			return usagef("--revision: %w", err)
		}
	}
	if o.PullRequest && ref.Revision != hub.DefaultRevision {
		return usagef("--create-pr: a pull request is to %s, not to %s", hub.DefaultRevision, ref.Revision)
	}
	if err := looksLikeModel(dir); err != nil {
		return err
	}
	line := &status{out: a.stderr}
	c.Progress = newDownloadLog(line).show
	o.Leave = []string{checkpointDir, logsDir}
	p, err := c.Push(ctx, dir, ref, o.PushOptions)
	line.clear()
	if err != nil {
		return err
	}
	if o.json {
		return json.NewEncoder(a.stdout).Encode(p)
	}
	if len(p.Ignored) > 0 {
		fmt.Fprintf(a.stderr, "left out by the repository's .gitignore: %s\n", strings.Join(p.Ignored, ", "))
	}
	if len(p.Committed) == 0 {
		fmt.Fprintf(a.stderr, "nothing to do: %d files are there as they are\n", len(p.Unchanged))
	} else {
		fmt.Fprintf(a.stderr, "committed %d files (%s uploaded), %d unchanged\n", len(p.Committed), megabytes(p.Uploaded), len(p.Unchanged))
	}
	url := p.URL
	if p.PullRequest != "" {
		url = p.PullRequest
	}
	_, err = fmt.Fprintln(a.stdout, url)
	return err
}

// looksLikeModel refuses a folder that holds no model: a home folder is soon published.
func looksLikeModel(dir string) error {
	st, err := os.Stat(dir)
	if err != nil || !st.IsDir() {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	model := func(e fs.DirEntry) bool {
		ext := filepath.Ext(e.Name())
		return e.Name() == "config.json" || ext == ".npz" || ext == ".onnx"
	}
	if !slices.ContainsFunc(entries, model) {
		return fmt.Errorf("%s: expected a model to publish, found no config.json, .npz or .onnx file in the folder", dir)
	}
	return nil
}
