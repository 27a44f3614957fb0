package serve

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// deaf makes the kernel pass over new connections for a listener, so that its backlog can be emptied for good: clients that
// connect meanwhile try again a second later, when the port is closed and they are refused, or somebody else's. Connections
// whose handshake has begun come through. Where a kernel does not do it nothing is lost but certainty.
func deaf(l net.Listener) {
	s, ok := l.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return
	}
	// A socket filter of TCP sees packets from the TCP header on, whose byte 13 has the flags: RFC 9293, 3.1. What asks for a
	// connection has SYN and no ACK.
	const (
		flags = 13
		syn   = 0x02
		ack   = 0x10
		all   = 1 << 16
	)
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: flags},
		{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: syn | ack},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: syn, Jt: 0, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: all},
	}
	raw.Control(func(fd uintptr) {
		unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
	})
}
