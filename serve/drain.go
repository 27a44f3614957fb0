package serve

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// drainListener is a listener that can be closed without losing the connections that the kernel has already made for
// it: these wait in its backlog, and closing would reset them.
type drainListener struct {
	net.Listener
	closing atomic.Bool
	done    chan struct{} // closed when the backlog is empty and the listener closed
	once    sync.Once
}

func newDrainListener(l net.Listener) *drainListener {
	return &drainListener{Listener: l, done: make(chan struct{})}
}

func (d *drainListener) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	if err != nil && d.closing.Load() {
		d.Close()
		return nil, net.ErrClosed
	}
	return c, err
}

func (d *drainListener) Close() (err error) {
	d.once.Do(func() {
		err = d.Listener.Close()
		close(d.done)
	})
	return err
}

// drain accepts what is in the backlog and then closes the listener.
func (d *drainListener) drain() {
	d.closing.Store(true)
	l, ok := d.Listener.(interface{ SetDeadline(time.Time) error })
	if !ok || l.SetDeadline(time.Now().Add(backlogTime)) != nil {
		d.Close()
		return
	}
	<-d.done
}

// backlogTime is enough to accept all that is in a backlog.
const backlogTime = 50 * time.Millisecond

// connections counts those that have a request in progress.
type connections struct {
	mu     sync.Mutex
	active map[net.Conn]bool
}

func (c *connections) note(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.active == nil {
		c.active = map[net.Conn]bool{}
	}
	if state == http.StateActive {
		c.active[conn] = true
	} else {
		delete(c.active, conn)
	}
}

func (c *connections) busy() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.active)
}
