package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bigtransfer/bit/internal/cpu"
	"github.com/bigtransfer/bit/train"
)

// Exit codes, as the help of every command says.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // what a shell reports for a program ended by Ctrl-C
)

const exitCodes = `Exit codes:
  0    all went well
  1    something failed: a file, a run, a comparison
  2    the command line is wrong
  130  interrupted`

// app is one invocation of the program.
type app struct {
	args           []string // as typed, without the program's name
	stdout, stderr *stream
	started        bool // whether the command line was accepted
}

// errReported ends a command whose failure has been shown already.
var errReported = errors.New("reported")

// usageError is a mistake in the command line that only the command itself can see.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// run runs the command and returns the exit code.
func (a *app) run(ctx context.Context) int {
	root := a.newRootCommand()
	cmd, err := root.ExecuteContextC(ctx)
	var interrupted *train.InterruptedError
	_, usage := errors.AsType[usageError](err)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errReported):
		return exitFailed
	case usage || !a.started:
		fmt.Fprintf(a.stderr, "bit: %v\nSee '%s --help'.\n", err, cmd.CommandPath())
		return exitUsage
	case errors.As(err, &interrupted):
		fmt.Fprintf(a.stderr, "bit: %v\n", err)
		if interrupted.Dir != "" && interrupted.Unsaved == nil {
			fmt.Fprintf(a.stderr, "To go on:\n  %s\n", a.resumeCommand())
		}
		return exitInterrupted
	case ctx.Err() != nil:
		fmt.Fprintln(a.stderr, "bit: interrupted")
		return exitInterrupted
	default:
		fmt.Fprintf(a.stderr, "bit: %v\n", err)
		return exitFailed
	}
}

// commandGroup is what the help lists under one heading.
type commandGroup struct {
	title    string
	commands []*cobra.Command
}

// commandGroups are all commands, in the order of the help.
func (a *app) commandGroups() []commandGroup {
	return []commandGroup{
		{"Use a model", []*cobra.Command{
			a.newClassifyCommand(), a.newExplainCommand(), a.newEmbedCommand(), a.newServeCommand(),
		}},
		{"Make one of your own", []*cobra.Command{
			a.newProbeCommand(), a.newAddClassCommand(), a.newFinetuneCommand(), a.newPretrainCommand(),
		}},
		{"Judge models and data", []*cobra.Command{
			a.newEvaluateCommand(), a.newCalibrateCommand(), a.newAuditCommand(), a.newFewshotCommand(), a.newBenchCommand(),
		}},
		{"Bring, check and hand on models", []*cobra.Command{
			a.newModelsCommand(), a.newSearchCommand(), a.newPullCommand(), a.newInfoCommand(), a.newVerifyCommand(),
			a.newConvertCommand(), a.newExportCommand(), a.newPushCommand(),
		}},
	}
}

func (a *app) newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "bit",
		Short: "Classify pictures with Big Transfer models, and train them",
		Long: `bit classifies pictures with Big Transfer (BiT) models, teaches them classes of your own,
pre-trains new ones, measures and checks them, serves them, and writes them for other
programs.

A model is the pretrained one inside this program (the default), an official .npz file, a
folder in Hugging Face's layout, which is also what training writes, or a published one:
a name that "bit models" lists, org/name or org/name@revision of the Hugging Face hub, or
an https URL. What lies at a path comes first, then what is cached; the rest is downloaded.

Downloads honour HF_HOME, HF_HUB_CACHE, XDG_CACHE_HOME, HF_TOKEN, HF_TOKEN_PATH,
HF_ENDPOINT and HF_HUB_OFFLINE, as Python's huggingface_hub does, and share its cache.

` + exitCodes,
		Example: `  bit classify cat.jpg
  bit probe my-photos -o my-model
  bit classify --model my-model holiday/`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetArgs(a.args)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.CompletionOptions.HiddenDefaultCmd = true
	for _, g := range a.commandGroups() {
		root.AddGroup(&cobra.Group{ID: g.title, Title: g.title + ":"})
		for _, cmd := range g.commands {
			cmd.GroupID = g.title
			root.AddCommand(cmd)
		}
	}
	for _, cmd := range root.Commands() {
		cmd.Long += "\n\n" + exitCodes
		cmd.Flags().SortFlags = false
		cmd.DisableFlagsInUseLine = true
	}
	return root
}

// version is that of the module this program was built from.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

// runE adapts a command's work to cobra. What has come this far is no mistake in the command line.
func (a *app) runE(work func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.started = true
		if err := cpu.OverrideError(); err != nil {
			return usageError{err}
		}
		return work(cmd.Context(), args)
	}
}

// addThreadsFlag adds --threads, which every command that computes has.
func addThreadsFlag(cmd *cobra.Command, threads *int) {
	cmd.Flags().IntVar(threads, "threads", 0, "threads to compute with; changes the speed, not the result (default one per CPU)")
}

// maxThreads is more than any machine has; what is above it is a slip of the keyboard that would exhaust memory.
const maxThreads = 1024

func checkThreads(threads int) error {
	if threads < 0 || threads > maxThreads {
		return usagef("--threads %d: want 1 to %d, or 0 for one per CPU", threads, maxThreads)
	}
	return nil
}

// wants returns the check for a command's arguments: at least so many and, if most is not negative, at most so many.
func wants(least, most int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if n := len(args); n < least || most >= 0 && n > most {
			return usagef("expected %s, found %d arguments", what, n)
		}
		return nil
	}
}

// command is the command line as it was typed, ready to be pasted into a shell, without --resume.
func (a *app) command() string {
	words := []string{"bit"}
	for _, arg := range a.args {
		if arg != resumeFlag && arg != resumeFlag+"=true" {
			words = append(words, quote(arg))
		}
	}
	return strings.Join(words, " ")
}

const resumeFlag = "--resume"

// resumeCommand is the command that goes on with this one.
func (a *app) resumeCommand() string { return a.command() + " " + resumeFlag }

// quote makes one word of a POSIX shell of s.
func quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=,+@%", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
