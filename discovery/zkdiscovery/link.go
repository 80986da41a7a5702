package zkdiscovery

import (
	"context"
	"errors"
	"net"
	"path"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/driver"
)

const (
	hurry     = time.Second     // between two attempts to do something
	operation = 3 * time.Second // for one request, and for the start of a session
)

// session is a session with ZooKeeper. Connections may break and be made again below it.
type session struct {
	conn *zk.Conn
	id   int64
	life context.Context // ends with the session: watches and ephemeral nodes are lost
	end  context.CancelFunc
}

// link keeps a session for all that a registry does, from the first watcher or lease to the last.
type link struct {
	registry *Registry
	cancel   context.CancelFunc
	done     chan struct{}

	mu         sync.Mutex
	users      int
	sweeping   sync.WaitGroup
	current    *session      // nil: there is none
	changed    chan struct{} // closed when current changes
	connected  bool
	broken     time.Time // since when it is not
	doubtUntil time.Time
	told       bool // that ZooKeeper is away
	listeners  map[string]map[*listener]struct{}
	litter     []litter
}

// listener hears of changes of nodes.
type listener struct {
	mu    sync.Mutex
	nodes map[string]struct{} // that changed and were not yet taken
	wake  chan struct{}       // has room for one
}

// joinLink returns the link and keeps it until leaveLink.
func (r *Registry) joinLink() *link {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.link == nil {
		ctx, cancel := context.WithCancel(context.Background())
		r.link = &link{
			registry: r, cancel: cancel, done: make(chan struct{}), changed: make(chan struct{}), broken: time.Now(),
			listeners: make(map[string]map[*listener]struct{}),
		}
		go r.link.run(ctx)
	}
	r.link.users++
	return r.link
}

func (r *Registry) leaveLink(l *link) {
	r.mu.Lock()
	l.users--
	last := l.users == 0
	if last {
		r.link = nil
	}
	r.mu.Unlock()
	if last {
		l.cancel()
		<-l.done
	}
}

// run connects, and connects anew when the servers refuse the session: one that was wiped refuses who has seen more than it has.
func (l *link) run(ctx context.Context) {
	defer close(l.done)
	for ctx.Err() == nil {
		if err := l.connect(ctx); err != nil && ctx.Err() == nil {
			l.away(err)
			driver.Sleep(ctx, driver.Jitter(hurry))
		}
	}
}

// connect keeps one connection of the client, which is made again by itself, until ctx ends or the session is refused.
func (l *link) connect(ctx context.Context) error {
	opts := l.registry.opts
	dialed := &dialer{dial: opts.Dial}
	events := make(chan zk.Event, 64)
	gone := make(chan struct{})
	conn, ended, err := zk.Connect(l.registry.servers, opts.SessionTimeout, zk.WithDialer(dialed.connect), zk.WithLogger(noLog{}), zk.WithLogInfo(false),
		zk.WithMaxConnBufferSize(256<<10), // twice what the client sends at most by itself, which is much less than the default
		zk.WithEventCallback(func(e zk.Event) {
			if e.Type != zk.EventSession {
				l.dispatch(e.Path)
				return
			}
			select {
			case events <- e:
			case <-gone:
			}
		}))
	if err != nil {
		return err
	}
	err = l.follow(ctx, conn, dialed, events)
	close(gone)
	l.drop()
	l.sweeping.Wait()
	conn.Close()
	dialed.close()
	for range ended { // until the client's goroutines have ended
	}
	return err
}

// follow follows the states of the connection. It returns nil when another is to be made at once.
func (l *link) follow(ctx context.Context, conn *zk.Conn, dialed *dialer, events <-chan zk.Event) error {
	refused, known := 0, false
	timer := time.NewTimer(operation)
	defer timer.Stop()
	shaking := false // hands, with a server that was reached
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C: // neither a session nor an error
			l.away(context.DeadlineExceeded)
			if shaking {
				dialed.close()
			}
			timer.Reset(operation)
		case e := <-events:
			switch e.State {
			case zk.StateConnected:
				shaking = true
				timer.Reset(operation)
			case zk.StateHasSession:
				shaking, refused = false, 0
				timer.Stop()
				if !known { // else the client says it again
					if err := l.authenticate(ctx, conn); err != nil {
						return err
					}
					known = true
				}
				l.have(conn)
			case zk.StateExpired:
				shaking = false
				l.lose()
			case zk.StateDisconnected:
				l.broke()
				timer.Reset(operation)
				if shaking {
					shaking = false
					if refused++; refused >= max(2, len(l.registry.servers)) {
						return nil
					}
				}
			}
		}
	}
}

// authenticate says who the session is.
func (l *link) authenticate(ctx context.Context, conn *zk.Conn) error {
	for _, a := range l.registry.opts.Auth {
		if _, err := ask(ctx, func() (struct{}, error) { return struct{}{}, conn.AddAuth(a.Scheme, a.Credential) }); err != nil {
			return err
		}
	}
	return nil
}

// have takes that there is a session, a new one or the one that there was.
func (l *link) have(conn *zk.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if !l.connected && (l.current != nil || !l.doubtUntil.IsZero()) {
		l.doubtUntil = now.Add(l.registry.opts.SessionTimeout)
	}
	if l.told {
		l.told = false
		l.registry.opts.Logger.Info("ZooKeeper is back", "registry", l.registry.String(), "away", now.Sub(l.broken).Round(time.Millisecond))
	}
	l.connected = true
	if l.current == nil || l.current.conn != conn || l.current.id != conn.SessionID() {
		l.endLocked()
		s := &session{conn: conn, id: conn.SessionID()}
		s.life, s.end = context.WithCancel(context.Background())
		l.current = s
		l.changeLocked()
	}
	if len(l.litter) > 0 {
		s, all := l.current, l.litter
		l.litter = nil
		l.sweeping.Go(func() { l.sweep(s, all) })
	}
}

// broke takes that the connection broke. The session may live on.
func (l *link) broke() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.connected {
		l.connected, l.broken = false, time.Now()
		l.doubtUntil = l.broken
		l.told = true
		l.registry.opts.Logger.Warn("the connection to ZooKeeper broke; the last known instances stay", "registry", l.registry.String())
	}
}

// away says once that ZooKeeper does not answer.
func (l *link) away(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.told {
		l.told = true
		l.registry.opts.Logger.Warn("ZooKeeper does not answer; the last known instances stay", "error", l.registry.explain("begin a session", err))
	}
}

// lose takes that the session has ended.
func (l *link) lose() {
	l.broke()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.endLocked()
}

// drop takes that the connection is given up.
func (l *link) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.connected = false
	l.endLocked()
}

func (l *link) endLocked() {
	if l.current != nil {
		l.current.end()
		l.current = nil
		l.changeLocked()
	}
}

func (l *link) changeLocked() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// session returns the session, when there is one.
func (l *link) session(ctx context.Context) (*session, error) {
	for {
		l.mu.Lock()
		s, changed := l.current, l.changed
		l.mu.Unlock()
		if s != nil {
			return s, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
		}
	}
}

// try does something in a session, and again until ctx ends while that fails for reasons that may pass.
func (l *link) try(ctx context.Context, do func(*session) error) error {
	for failures := 1; ; failures++ {
		s, err := l.session(ctx)
		if err != nil {
			return err
		}
		err = do(s)
		switch {
		case err == nil || errors.Is(err, discovery.ErrTaken) || errors.Is(err, discovery.ErrClosed) || errors.Is(err, zk.ErrNoAuth) || errors.Is(err, zk.ErrInvalidACL):
			return err
		case ctx.Err() != nil:
			return errors.Join(ctx.Err(), err)
		}
		driver.Sleep(ctx, driver.Backoff(failures, hurry))
	}
}

// look sees whether ZooKeeper is there.
func (l *link) look(ctx context.Context, s *session) error {
	_, err := ask(ctx, func() (bool, error) {
		there, _, err := s.conn.Exists(l.registry.root())
		return there, err
	})
	return err
}

// doubtful returns until when an instance that is not found may be one that had no time yet to announce itself again.
func (l *link) doubtful() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.connected {
		return time.Now().Add(l.registry.opts.SessionTimeout)
	}
	return l.doubtUntil
}

// listen has a listener hear of changes of the node and of those right below it, until the function that it returns is called.
func (l *link) listen(to *listener, node string) (stop func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listeners[node] == nil {
		l.listeners[node] = make(map[*listener]struct{})
	}
	l.listeners[node][to] = struct{}{}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.listeners[node], to)
		if len(l.listeners[node]) == 0 {
			delete(l.listeners, node)
		}
	}
}

func (l *link) dispatch(node string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, key := range []string{node, path.Dir(node)} {
		for to := range l.listeners[key] {
			to.hear(node)
		}
	}
}

func newListener() *listener {
	return &listener{nodes: make(map[string]struct{}), wake: make(chan struct{}, 1)}
}

func (n *listener) hear(node string) {
	n.mu.Lock()
	n.nodes[node] = struct{}{}
	n.mu.Unlock()
	poke(n.wake)
}

// take returns the nodes that changed since the last call.
func (n *listener) take() map[string]struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	nodes := n.nodes
	n.nodes = make(map[string]struct{})
	return nodes
}

// remember has an instance withdrawn when there is a session again.
func (l *link) remember(what litter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.litter = append(l.litter, what)
}

// sweep withdraws what could not be withdrawn when it should have been.
func (l *link) sweep(s *session, all []litter) {
	for _, what := range all {
		if err := withdraw(s.life, s, what); err != nil {
			l.remember(what)
		}
	}
}

// ask does a request of the client's, which knows no contexts, for as long as ctx and the time for an operation allow.
func ask[T any](ctx context.Context, do func() (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, operation)
	defer cancel()
	type answer struct {
		value T
		err   error
	}
	answered := make(chan answer, 1)
	go func() { // ends at the latest when the connection is closed
		value, err := do()
		answered <- answer{value, err}
	}()
	select {
	case a := <-answered:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// dialer makes connections and can close the last.
type dialer struct {
	dial zk.Dialer
	mu   sync.Mutex
	last net.Conn
}

func (d *dialer) connect(network, address string, timeout time.Duration) (net.Conn, error) {
	dial := d.dial
	if dial == nil {
		dial = net.DialTimeout
	}
	conn, err := dial(network, address, timeout)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = conn
	return conn, nil
}

func (d *dialer) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last != nil {
		_ = d.last.Close()
	}
}

// noLog drops what the client has to say: what matters is an error here, or a line of ours.
type noLog struct{}

func (noLog) Printf(string, ...any) {}

// errSessionLost says that watches and nodes of a session are no more.
var errSessionLost = errors.New("the session with ZooKeeper was lost")

func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
