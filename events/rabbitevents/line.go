package rabbitevents

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hanse-go/hanse/events/driver"
	amqp "github.com/rabbitmq/amqp091-go"
)

// line is a queue from which a member takes, over a channel of its own. Ending the channel has the server take all back that is not settled, in its
// order. But for what is said, it is guarded by the lock of the source.
type line struct {
	s      *source
	queue  string
	cancel context.CancelFunc
	work   context.Context
	renew  chan struct{} // for run: something of what is wanted has changed

	ahead int // wanted: how many deliveries may be unsettled; 0 is that none shall come
	came  []*delivery
	held  int // handed out and not settled
	waits map[*delivery]*time.Timer
	stuck int           // of these, how many came with the present consumer
	lost  chan struct{} // closed when the channel has ended; nil while there is none
	ended error         // why the channel is to end
	asked time.Time     // by Next

	quiet   bool      // nothing is handed out, for it is to go to another member
	leaving time.Time // when it goes at the latest; zero: it stays
	soft    time.Time // when it becomes quiet
}

func newLine(s *source, queue string, ahead int) *line {
	return &line{s: s, queue: queue, ahead: ahead, renew: make(chan struct{}, 1), waits: make(map[*delivery]*time.Timer)}
}

func (l *line) stir() { signal(l.renew) }

// drop ends the channel, which has the server take all back. The caller holds the lock.
func (l *line) drop(why error) {
	if l.ended == nil && l.lost != nil {
		l.ended = why
	}
	l.forget()
	l.stir()
}

// forget forgets all deliveries, for the channel has ended or is to end. The caller holds the lock.
func (l *line) forget() {
	l.came = nil
	for d := l.s.held.first; d != nil; {
		next := d.next
		if d.line == l {
			d.settled = true
			l.s.held.remove(d)
		}
		d = next
	}
	l.held = 0
	for d, timer := range l.waits {
		timer.Stop()
		delete(l.waits, d)
	}
	l.stuck = 0
	if l.lost != nil {
		close(l.lost)
		l.lost = nil
	}
	if l.s.waits {
		signal(l.s.ready)
	}
}

// want adapts how many deliveries may come to what Next asked for. The server counts what is unsettled, so what is held counts; what waits to
// be given back does not. The caller holds the lock.
func (l *line) want(held, limit int) {
	l.asked = time.Now()
	if !l.s.shared() {
		return
	}
	want := min(max(held+limit, 1), l.s.most())
	switch {
	case l.ahead < want || l.ahead > 4*want && len(l.came) > want:
		for l.ahead = 1; l.ahead < want; {
			l.ahead *= 2
		}
		l.ahead = min(l.ahead, l.s.most())
		l.stir()
	case l.stuck > 0 && l.stuck >= l.ahead/2 && len(l.came) == 0:
		l.stir()
	}
}

// settled notes that one less is held. The caller holds the lock.
func (l *line) settled() {
	if l.held--; l.held == 0 && !l.leaving.IsZero() {
		signal(l.s.look)
	}
}

// later gives a delivery back after a time.
func (l *line) later(d *delivery, after time.Duration) {
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if !d.held {
		return // the server has taken it back
	}
	l.stuck++
	l.waits[d] = time.AfterFunc(min(after, mostLater), func() {
		s.mu.Lock()
		_, waits := l.waits[d]
		delete(l.waits, d)
		l.stuck = max(l.stuck-1, 0)
		s.mu.Unlock()
		if waits {
			_ = d.ch.Nack(d.tag, false, true) // else the channel has ended, which does the same
		}
	})
}

// run takes from the queue until the line is given up.
func (l *line) run() {
	s := l.s
	for failures := 0; l.work.Err() == nil; {
		began := time.Now()
		err := l.serve()
		if l.work.Err() != nil {
			return
		}
		if isCode(err, amqp.NotFound) {
			s.fail(fmt.Errorf("the queue %s was deleted on the broker, and with it what waited there: %w", l.queue, err))
			return
		}
		if time.Since(began) > 10*time.Second || errors.Is(err, errDropped) {
			failures = 0
		}
		if failures++; failures == 5 || isCode(err, amqp.AccessRefused) && failures == 1 {
			s.b.opts.Logger.Warn("events: deliveries pause", "topic", s.info.Topic, "group", s.info.Group, "because", err)
		}
		pause(l.work, driver.RetryDelay(failures))
	}
}

var (
	errDropped = errors.New("the member gave it up")
	errGone    = &amqp.Error{Code: amqp.NotFound, Reason: "the server ended the consumer"}
)

// serve takes from the queue over one channel, until that ends or is to end.
func (l *line) serve() error {
	s := l.s
	if !l.wait() {
		return errDropped
	}
	conn, err := s.b.in.get(l.work)
	if err != nil {
		return err
	}
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	lost := make(chan struct{})
	s.mu.Lock()
	l.lost, l.ended = lost, nil
	s.mu.Unlock()
	var tag string
	defer func() {
		l.conclude(ch, tag)
		s.mu.Lock()
		l.forget()
		s.mu.Unlock()
	}()
	for n := 0; ; n++ {
		s.mu.Lock()
		ahead, ended := l.ahead, l.ended
		if s.rests && s.team == nil && s.info.Group != "" {
			ahead = 0
		}
		l.stuck = 0
		s.mu.Unlock()
		if ended != nil {
			return errDropped
		}
		if ahead == 0 {
			if err := l.rest(ch, closed); err != nil {
				return err
			}
			continue
		}
		tag = fmt.Sprint(n)
		if err := l.take(ch, closed, lost, tag, ahead); err != nil {
			return err
		}
	}
}

// conclude closes the channel. A quorum queue takes acknowledgements from its channel a few at a time, and what the channel has kept back is lost when it is
// closed. So the queue is asked for something first that it answers after it took what was sent before, and then once more: that answer comes after the
// word that it took them, on which the channel sends the rest. The first is to end the consumer; but to end that of a partition would give
// the next member what is behind all that came here, so there it is another consumer, which waits its turn.
func (l *line) conclude(ch *amqp.Channel, tag string) {
	if tag != "" && !ch.IsClosed() {
		var err error
		if l.s.team != nil {
			_, err = ch.Consume(l.queue, tag+"+", false, false, false, false, nil)
		} else {
			err = ch.Cancel(tag, false)
		}
		if err == nil {
			_, _ = ch.QueueDeclarePassive(l.queue, true, false, false, false, nil) // its answer says nothing else
		}
	}
	_ = ch.Close() // the server may have closed it
}

// wait waits until something is wanted at all.
func (l *line) wait() bool {
	for {
		l.s.mu.Lock()
		wanted := l.ahead > 0 && (!l.s.rests || l.s.info.Group == "")
		l.s.mu.Unlock()
		if wanted {
			return true
		}
		select {
		case <-l.renew:
		case <-l.work.Done():
			return false
		}
	}
}

// rest gives back what came and was not asked for, and waits until something is wanted again.
func (l *line) rest(ch *amqp.Channel, closed <-chan *amqp.Error) error {
	s := l.s
	s.mu.Lock()
	came := l.came
	l.came = nil
	s.mu.Unlock()
	for _, d := range came {
		if err := ch.Nack(d.tag, false, true); err != nil {
			return err
		}
	}
	select {
	case <-l.renew:
		return nil
	case err := <-closed:
		return closing(err)
	case <-l.work.Done():
		return errDropped
	}
}

// take takes deliveries, until the channel ends or something else is wanted.
func (l *line) take(ch *amqp.Channel, closed <-chan *amqp.Error, lost chan struct{}, tag string, ahead int) error {
	if err := ch.Qos(ahead, 0, false); err != nil {
		return err
	}
	deliveries, err := ch.Consume(l.queue, tag, false, false, false, false, nil)
	if err != nil {
		return err
	}
	for {
		select {
		case d, ok := <-deliveries:
			if !ok {
				select {
				case err := <-closed:
					return closing(err)
				default:
					if ch.IsClosed() {
						return amqp.ErrClosed
					}
					return errGone
				}
			}
			l.arrive(ch, lost, &d)
		case <-l.renew:
			if !l.stale(ahead) {
				continue
			}
			if l.over() {
				return errDropped
			}
			if err := ch.Cancel(tag, false); err != nil {
				return err
			}
			for d := range deliveries { // which came before the server knew
				l.arrive(ch, lost, &d)
			}
			return nil
		case <-l.work.Done():
			return errDropped
		}
	}
}

func closing(err *amqp.Error) error {
	if err == nil {
		return amqp.ErrClosed
	}
	return err
}

// stale says whether another number of deliveries is wanted than that with which the consumer was made.
func (l *line) stale(ahead int) bool {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	return l.ended != nil || l.ahead != ahead || l.s.rests && l.s.shared() || l.stuck > 0 && l.stuck >= l.ahead/2
}

func (l *line) over() bool {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	return l.ended != nil
}

// arrive takes a delivery in.
func (l *line) arrive(ch *amqp.Channel, lost chan struct{}, from *amqp.Delivery) {
	d := &delivery{line: l, ch: ch, lost: lost, tag: from.DeliveryTag, event: message(from), times: attempt(from)}
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.lost != lost {
		return // the channel is about to end
	}
	l.came = append(l.came, d)
	if s.waits && !l.quiet {
		signal(s.ready)
	}
}
