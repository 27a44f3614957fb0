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
	end     time.Time     // when closing: the last moment of accepting
	done    chan struct{} // closed when the backlog is empty and the listener closed
	once    sync.Once
}

func newDrainListener(l net.Listener) *drainListener {
	return &drainListener{Listener: l, done: make(chan struct{})}
}

func (d *drainListener) Accept() (net.Conn, error) {
	if d.closing.Load() {
		d.last()
	}
	c, err := d.Listener.Accept()
	if err != nil && d.closing.Load() {
		if c, err = d.last().Accept(); err == nil { // the deadline may have passed while connections waited
			return c, nil
		}
		d.Close()
		return nil, net.ErrClosed
	}
	return c, err
}

// last gives the next Accept its time.
func (d *drainListener) last() net.Listener {
	until := time.Now().Add(backlogTime)
	if until.After(d.end) {
		until = d.end
	}
	if l, ok := d.Listener.(interface{ SetDeadline(time.Time) error }); !ok || l.SetDeadline(until) != nil {
		d.Close()
	}
	return d.Listener
}

func (d *drainListener) Close() (err error) {
	d.once.Do(func() {
		err = d.Listener.Close()
		close(d.done)
	})
	return err
}

// drain accepts what is in the backlog, until for a moment nothing comes, and then closes the listener.
func (d *drainListener) drain() {
	deaf(d.Listener)
	d.end = time.Now().Add(backlogLimit)
	d.closing.Store(true)
	d.last() // wakes an Accept that waits
	<-d.done
}

// A backlog in which nothing was for backlogTime is empty. Where the kernel goes on making connections some must be refused
// in the end.
const (
	backlogTime  = 20 * time.Millisecond
	backlogLimit = time.Second
)

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
