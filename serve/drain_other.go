//go:build !linux

package serve

import "net"

// deaf would keep new connections from the backlog; see drain_linux.go.
func deaf(net.Listener) {}
