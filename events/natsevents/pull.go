package natsevents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// pullExpires is how long a request for messages stays with the server.
	pullExpires = 30 * time.Second

	// heartbeat is how often the server says that a request is still there.
	heartbeat = 5 * time.Second
)

// puller gets the messages of a consumer: it asks the server for as many as there is room for, ahead of the need. Its owner's lock
// guards it; the owner also looks after it, from a goroutine of its own, see tick and verify.
type puller struct {
	b        *Broker
	stream   string
	consumer string
	lock     sync.Locker     // the owner's
	take     func(*nats.Msg) // a message came; called without the lock, by one goroutine
	more     func()          // there may be room for more; called with the lock
	poke     func()          // there is something to look after
	subject  string          // of requests
	inbox    string          // messages come to subjects below it
	sub      *nats.Subscription

	// What follows is guarded by the lock.
	asked   int    // messages that were asked for and did not come
	number  uint64 // of the last request
	since   uint64 // requests before this one are forgotten
	heard   bool   // anything since the last tick
	suspect bool   // the consumer, or the requests there, may be gone
	stopped bool
}

// start begins to listen. The fields above the line are set.
func (p *puller) start() error {
	p.subject = "$JS.API.CONSUMER.MSG.NEXT." + p.stream + "." + p.consumer
	p.heard = true
	if err := p.listen(); err != nil {
		return fmt.Errorf("listen for messages: %w", err)
	}
	return nil
}

func (p *puller) listen() error {
	inbox := p.b.conn.NewInbox() + "."
	sub, err := p.b.conn.Subscribe(inbox+"*", p.receive)
	if err != nil {
		return err
	}
	p.inbox, p.sub = inbox, sub
	return sub.SetPendingLimits(-1, -1) // they are as many as were asked for
}

// ask asks for n more messages. The caller holds the lock.
func (p *puller) ask(n int) {
	if p.stopped || p.suspect || n <= 0 {
		return
	}
	p.number++
	body, _ := json.Marshal(struct {
		Batch     int           `json:"batch"`
		Expires   time.Duration `json:"expires"`
		Heartbeat time.Duration `json:"idle_heartbeat"`
	}{n, pullExpires, heartbeat})
	if err := p.b.conn.PublishRequest(p.subject, p.inbox+strconv.FormatUint(p.number, 10), body); err != nil {
		p.doubt()
		return
	}
	p.asked += n
}

// doubt has the owner look after the consumer. The caller holds the lock.
func (p *puller) doubt() {
	p.suspect = true
	p.poke()
}

// receive takes what comes to the inbox.
func (p *puller) receive(m *nats.Msg) {
	if strings.HasPrefix(m.Reply, ackPrefix) {
		p.take(m)
		return
	}
	p.lock.Lock()
	defer p.lock.Unlock()
	if p.stopped {
		return
	}
	p.heard = true
	status := m.Header.Get(headerStatus)
	number, err := strconv.ParseUint(m.Subject[strings.LastIndexByte(m.Subject, '.')+1:], 10, 64)
	if status == "100" || err != nil || number < p.since || !strings.HasPrefix(m.Subject, p.inbox) {
		return
	}
	left, err := strconv.Atoi(m.Header.Get(headerPending))
	if err != nil { // the consumer was deleted, or has moved to another server, or nobody answers: no request is there any more
		p.doubt()
		return
	}
	p.asked = max(p.asked-left, 0)
	p.more()
}

// came counts a message. The caller holds the lock.
func (p *puller) came() {
	p.heard = true
	p.asked = max(p.asked-1, 0)
}

// tick looks whether the server is still heard of; it is called after more than two heartbeats, with the lock.
func (p *puller) tick() {
	if !p.heard && p.asked > 0 {
		p.suspect = true
	}
	p.heard = false
}

// forget takes all requests for gone and asks again. The caller holds the lock.
func (p *puller) forget() {
	p.asked, p.since, p.suspect, p.heard = 0, p.number+1, false, true
	p.more()
}

// withdraw takes back what was asked for and did not come. What is on its way comes still. The caller holds the lock.
func (p *puller) withdraw() {
	if p.asked == 0 || p.stopped {
		return
	}
	before := p.sub
	if err := p.listen(); err != nil {
		return // the connection is closed
	}
	p.asked, p.since = 0, p.number+1
	_ = before.Drain() // the server forgets requests to which nobody listens; fails only when the connection is closed
}

// info asks the server for the state of the consumer.
func (p *puller) info(ctx context.Context) (*jetstream.ConsumerInfo, error) {
	return consumerInfo(ctx, p.b, p.stream, p.consumer)
}

// stop ends the listening. What was asked for and is on its way gets lost, until the server delivers it again; drain waits for it.
func (p *puller) stop() {
	p.lock.Lock()
	p.stopped = true
	sub := p.sub
	p.lock.Unlock()
	_ = sub.Unsubscribe() // fails only when the connection is closed
}

// drain ends the listening once all that the server sent until now has been taken.
func (p *puller) drain(ctx context.Context) {
	p.lock.Lock()
	p.stopped = true
	sub := p.sub
	p.lock.Unlock()
	gone := make(chan struct{})
	sub.SetClosedHandler(func(string) { close(gone) })
	if err := sub.Drain(); err != nil || !sub.IsValid() {
		return // the connection is closed
	}
	select {
	case <-gone:
	case <-ctx.Done():
		_ = sub.Unsubscribe()
	}
}

func consumerInfo(ctx context.Context, b *Broker, stream, name string) (*jetstream.ConsumerInfo, error) {
	ctx, cancel := b.request(ctx)
	defer cancel()
	c, err := b.js.Consumer(ctx, stream, name)
	if err != nil {
		return nil, err
	}
	return c.CachedInfo(), nil
}

// gone says whether an error means that a consumer does not exist.
func gone(err error) bool {
	return errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrConsumerDoesNotExist)
}
