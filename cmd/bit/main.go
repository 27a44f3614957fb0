// Command bit classifies pictures with Big Transfer models, fine-tunes them on folders of pictures, pre-trains new ones,
// and measures and checks them. Run "bit --help" for its commands.
//
// Results go to standard output, everything meant for a person watching goes to standard error.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	a := &app{args: os.Args[1:], stdout: newStream(os.Stdout), stderr: newStream(os.Stderr)}
	// The first Ctrl-C asks a run to save and end; after that the signal does what it always does, so that a second one
	// ends the program at once.
	context.AfterFunc(ctx, stop)
	os.Exit(a.run(ctx))
}
