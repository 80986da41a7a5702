package rabbitevents

import (
	"errors"
	"time"

	"github.com/hanse-go/hanse/events/driver"
	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	// mostHandOver is how long a partition that is to move waits at most for what is being handled.
	mostHandOver = 10 * time.Second

	// softHandOver is how long it goes on as before, in which it moves as soon as nothing is held of it.
	softHandOver = time.Second

	// listen is how long a new member waits for the others to say that they are there.
	listen = 50 * time.Millisecond
)

// team is a member among those of an ordered group. They say again and again that they are there, and each works out from that which
// partitions are whose. A member takes from the queues of its own partitions; the queues see to it that no two members take from one at the same
// time, also when the members do not agree. A member that gives a partition up finishes first what it has of it.
type team struct {
	s     *source
	group string

	seen   map[string]time.Time // other members; used by run alone
	before time.Time            // when balancing may begin
}

// What members tell each other, as types of messages.
const (
	saysHello = "hello" // I am new: who else is there?
	saysBeat  = "beat"
	saysBye   = "bye"
)

func newTeam(s *source, group string) *team {
	return &team{s: s, group: group, seen: make(map[string]time.Time)}
}

// run takes part until the source is closed.
func (t *team) run() {
	s := t.s
	for failures := 0; s.work.Err() == nil; {
		began := time.Now()
		err := t.meet()
		if s.work.Err() != nil {
			break
		}
		if time.Since(began) > 10*time.Second {
			failures = 0
		}
		if failures++; failures == 5 {
			s.b.opts.Logger.Warn("events: deliveries pause", "topic", s.info.Topic, "group", s.info.Group, "because", err)
		}
		clear(t.seen)
		pause(s.work, driver.RetryDelay(failures))
	}
}

// meet takes part over one channel, until that ends.
func (t *team) meet() error {
	s := t.s
	if !t.wanted() {
		return nil
	}
	conn, err := s.b.in.get(s.work)
	if err != nil {
		return err
	}
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	defer ch.Close()
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	room := members(t.group)
	if err := ch.ExchangeDeclare(room, amqp.ExchangeFanout, false, true, false, false, nil); err != nil {
		return err
	}
	q, err := ch.QueueDeclare("", false, true, true, false, nil)
	if err != nil {
		return err
	}
	if err := ch.QueueBind(q.Name, "", room, false, nil); err != nil {
		return err
	}
	heard, err := ch.Consume(q.Name, "", true, true, false, false, nil)
	if err != nil {
		return err
	}
	said, err := s.b.out.get(s.work)
	if err != nil {
		return err
	}
	mouth, err := said.Channel()
	if err != nil {
		return err
	}
	defer mouth.Close()
	say := func(what string) error {
		if s.b.out.free() != nil {
			return nil // it would wait
		}
		return mouth.PublishWithContext(s.work, room, "", false, false, amqp.Publishing{Type: what, AppId: short(s.info.Member), DeliveryMode: amqp.Transient})
	}
	if err := say(saysHello); err != nil {
		return err
	}
	t.before = time.Now().Add(listen)
	beat := time.NewTicker(s.b.opts.Lease / 3)
	defer beat.Stop()
	again := time.NewTimer(listen)
	defer again.Stop()
	for {
		select {
		case <-s.work.Done():
			_ = say(saysBye) // else they notice
			return nil
		case err := <-closed:
			return closing(err)
		case m, ok := <-heard:
			if !ok {
				return amqp.ErrClosed
			}
			if t.hear(&m) {
				if err := say(saysBeat); err != nil {
					return err
				}
			}
		case <-beat.C:
			if err := say(saysBeat); err != nil {
				return err
			}
		case <-again.C:
		case <-s.look:
			if t.resting() {
				t.leave()
				_ = say(saysBye)
				return nil // until it is wanted again
			}
		}
		again.Reset(t.balance())
	}
}

// wanted waits until events are wanted.
func (t *team) wanted() bool {
	for t.resting() {
		select {
		case <-t.s.look:
		case <-t.s.work.Done():
			return false
		}
	}
	return true
}

func (t *team) resting() bool {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	return t.s.rests
}

// hear takes what a member says, and reports whether it wants an answer.
func (t *team) hear(m *amqp.Delivery) (answer bool) {
	if m.AppId == "" || m.AppId == short(t.s.info.Member) {
		return false
	}
	if m.Type == saysBye {
		delete(t.seen, m.AppId)
		return false
	}
	t.seen[m.AppId] = time.Now()
	return m.Type == saysHello
}

// balance takes the partitions that are to be this member's, and gives others up. It returns when to look again.
func (t *team) balance() time.Duration {
	s := t.s
	now := time.Now()
	if wait := t.before.Sub(now); wait > 0 {
		return wait
	}
	all := []string{short(s.info.Member)}
	for name, at := range t.seen {
		if now.Sub(at) < s.b.opts.Lease {
			all = append(all, name)
		} else {
			delete(t.seen, name)
		}
	}
	wait := s.b.opts.Lease / 3
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, owner := range driver.Shares(all, s.b.opts.Partitions) {
		l := s.lines[n]
		mine := owner == all[0]
		switch {
		case l == nil && mine:
			l = newLine(s, part(t.group, n), s.most())
			s.lines[n] = l
			s.start(l)
		case l == nil:
		case mine:
			if l.quiet && s.waits && len(l.came) > 0 {
				signal(s.ready)
			}
			l.leaving, l.quiet = time.Time{}, false
		default:
			if l.leaving.IsZero() {
				l.soft = now.Add(softHandOver)
				l.leaving = now.Add(softHandOver + min(s.info.AckWait, mostHandOver))
			}
			l.quiet = l.quiet || l.held == 0 || !now.Before(l.soft)
			if l.held == 0 || !now.Before(l.leaving) {
				t.giveUp(n, l)
				continue
			}
			next := l.soft
			if l.quiet {
				next = l.leaving
			}
			wait = min(wait, max(next.Sub(now), time.Millisecond))
		}
	}
	return wait
}

// giveUp leaves a partition to others. The caller holds the lock.
func (t *team) giveUp(n int, l *line) {
	delete(t.s.lines, n)
	l.drop(errors.New("it goes to another member"))
	l.cancel()
}

// leave gives all partitions up.
func (t *team) leave() {
	s := t.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, l := range s.lines {
		t.giveUp(n, l)
	}
	s.b.opts.Logger.Info("events: nobody handles the events of an ordered group here; others get its keys", "topic", s.info.Topic, "group", s.info.Group)
}
