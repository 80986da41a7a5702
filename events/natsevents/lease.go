package natsevents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/events/driver"
	"github.com/nats-io/nats.go/jetstream"
)

// run sees to the parts until the source is closed, and decides with the other members which they are.
func (s *lanes) run(ctx context.Context) {
	defer close(s.done)
	defer s.fail(errClosed)
	if s.kv == nil {
		s.tend(ctx, nil)
		return
	}
	for failures := 0; ctx.Err() == nil; failures++ {
		began := time.Now()
		s.mu.Lock()
		s.stale = false
		s.mu.Unlock()
		s.unheard, s.signs = time.Time{}, nil
		w, err := s.kv.Watch(ctx, s.key+".>")
		if err == nil {
			err = s.tend(ctx, w.Updates())
			_ = w.Stop() // fails only when the connection is closed
			for range w.Updates() {
				// the watcher would wait for ever if nobody took what it has
			}
		}
		if time.Since(began) > s.b.opts.Lease {
			failures = 0
		}
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errStale), errors.Is(err, errDeaf):
			continue
		case errors.Is(err, jetstream.ErrStreamNotFound):
			s.fail(fmt.Errorf("the bucket %s was deleted on the broker, and with it the records of the group %s: %w", s.b.names.bucket(), s.info.Group, err))
			return
		case failures == 3:
			s.b.opts.Logger.Warn("events: the records of an ordered group cannot be followed", "topic", s.info.Topic, "group", s.info.Group, "because", err)
		}
		select {
		case <-time.After(driver.RetryDelay(failures + 1)):
		case <-ctx.Done():
		}
	}
}

var (
	errWatchEnded = errors.New("the watch has ended")

	// errStale is for a watch that began before the connection broke. The server may have forgotten it, which the client would find out late; nobody's
	// partitions would be taken until then.
	errStale = errors.New("the connection is another one")

	// errDeaf is for a watch that does not tell what this member itself has written: a server that was in trouble may have forgotten it on a
	// connection that stays.
	errDeaf = errors.New("the watch does not tell of own signs of life")
)

// tend sees to the parts until ctx ends, or the updates do; these are nil without a group.
func (s *lanes) tend(ctx context.Context, updates <-chan jetstream.KeyValueEntry) error {
	beat := time.NewTicker(s.b.opts.Lease / 4)
	defer beat.Stop()
	tick := time.NewTicker(2*heartbeat + heartbeat/2)
	defer tick.Stop()
	complete := s.kv == nil // all records are known
	for {
		var again <-chan time.Time
		if complete && len(updates) == 0 {
			wait := s.mend(ctx)
			if s.kv != nil {
				wait = min(wait, s.balance(ctx))
			}
			again = time.After(wait)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-again:
		case <-s.look:
			if s.kv != nil && s.isStale() {
				return errStale
			}
			if complete && s.kv != nil && s.returned() {
				if err := s.beat(ctx); err != nil {
					return err
				}
			}
		case <-tick.C:
			s.mu.Lock()
			for _, p := range s.parts {
				p.pull.tick()
			}
			s.mu.Unlock()
		case <-beat.C:
			if complete && s.kv != nil && !s.rest(ctx) {
				if len(updates) == 0 && !s.unheard.IsZero() && time.Since(s.unheard) > s.b.opts.Lease/2 {
					return errDeaf
				}
				if err := s.beat(ctx); err != nil {
					return err
				}
			}
		case e, ok := <-updates:
			switch {
			case !ok:
				return errWatchEnded
			case e == nil:
				complete = true
				if err := s.beat(ctx); err != nil {
					return err
				}
			default:
				s.note(e)
			}
		}
	}
}

func (s *lanes) isStale() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stale
}

// beat gives a sign of life. An error means that the bucket is gone.
func (s *lanes) beat(ctx context.Context) error {
	lease := s.b.opts.Lease
	once, cancel := s.b.request(ctx)
	defer cancel()
	once, stop := context.WithTimeout(once, lease/3)
	defer stop()
	sent := time.Now()
	revision, err := s.kv.Put(once, s.memberKey(), []byte(sent.UTC().Format(time.RFC3339Nano)))
	if err == nil {
		s.mu.Lock()
		if !time.Now().Before(s.until) { // others may have taken over meanwhile, or be about to: only the records can tell
			for _, p := range s.parts {
				p.unsure = true
			}
		}
		s.until = sent.Add(lease * 3 / 4) // others wait for the whole, from when they got it
		s.mu.Unlock()
		s.signs = append(s.signs, sign{revision, sent})
		if s.unheard.IsZero() {
			s.unheard = sent
		}
		signal(s.ready)
		if s.mute {
			s.mute = false
			s.b.opts.Logger.Info("events: deliveries of an ordered group go on", "topic", s.info.Topic, "group", s.info.Group)
		}
	} else if s.paused(err); errors.Is(err, jetstream.ErrNoStreamResponse) {
		if _, err := s.b.js.Stream(once, "KV_"+s.b.names.bucket()); errors.Is(err, jetstream.ErrStreamNotFound) {
			return err
		}
	}
	for member, last := range s.seen {
		if sent.Sub(last.at) > 10*lease && !s.alive(member) {
			delete(s.seen, member)
			_ = s.kv.Purge(once, s.key+".member."+member, jetstream.PurgeTTL(markerTTL), jetstream.LastRevision(last.revision)) // another one will try
		}
	}
	return nil
}

// paused logs, once, that nothing is handed out because no sign of life was stored for too long. That the broker is away is known.
func (s *lanes) paused(err error) {
	s.mu.Lock()
	over := !s.until.IsZero() && !time.Now().Before(s.until)
	s.mu.Unlock()
	if over && !s.mute && s.b.conn.IsConnected() {
		s.mute = true
		s.b.opts.Logger.Warn("events: deliveries of an ordered group pause: the broker does not store the signs of life of its members",
			"topic", s.info.Topic, "group", s.info.Group, "because", err)
	}
}

// rest leaves the partitions to others when nobody handles what they have, and reports whether that is so.
func (s *lanes) rest(ctx context.Context) bool {
	s.mu.Lock()
	if s.rests || !s.deserted() {
		rests := s.rests
		s.mu.Unlock()
		return rests
	}
	s.rests = true
	var all []*part
	for _, p := range s.parts {
		all = append(all, p)
	}
	s.mu.Unlock()
	s.b.opts.Logger.Warn("events: nobody asks for the events of an ordered group here; others get its partitions", "topic", s.info.Topic, "group", s.info.Group)
	var each sync.WaitGroup
	for _, p := range all {
		each.Go(func() { _ = s.release(ctx, p) }) // where it fails, the lease ends
	}
	each.Wait()
	once, cancel := s.b.request(ctx)
	defer cancel()
	_ = s.kv.Purge(once, s.memberKey(), jetstream.PurgeTTL(markerTTL))
	return true
}

// returned says whether the member is to take part again, and has no lease.
func (s *lanes) returned() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.rests && !time.Now().Before(s.until)
}

// note takes an update of the bucket.
func (s *lanes) note(e jetstream.KeyValueEntry) {
	now := time.Now()
	gone := e.Operation() != jetstream.KeyValuePut
	kind, name, _ := strings.Cut(strings.TrimPrefix(e.Key(), s.key+"."), ".")
	switch kind {
	case "member":
		switch {
		case gone:
			delete(s.seen, name)
		case name == s.me:
			s.unheard = time.Time{}
			i := slices.IndexFunc(s.signs, func(own sign) bool { return own.revision == e.Revision() })
			if i < 0 {
				return // it was stored, but beat did not hear of it
			}
			sent := s.signs[i].at
			s.signs = s.signs[i+1:]
			if sent.Sub(s.echo) > s.b.opts.Lease/2 { // there was an interruption: silence of others means nothing
				for member, last := range s.seen {
					s.seen[member] = sign{last.revision, now}
				}
			}
			s.echo = sent
		default:
			s.seen[name] = sign{e.Revision(), now}
		}
	case "part":
		n, err := strconv.Atoi(name)
		if err != nil || e.Revision() < s.records[n].revision {
			return
		}
		r := entry{revision: e.Revision()}
		if gone {
			r.revision = 0 // Create copes with what is left of it
		} else if err := json.Unmarshal(e.Value(), &r.partRecord); err != nil || r.Version != recordVersion {
			s.fail(fmt.Errorf("the record of partition %d of the group %s is of version %d and cannot be read (%v): a newer program has written it", n, s.info.Group, r.Version, err))
			return
		}
		s.records[n] = r
		s.mu.Lock()
		p := s.parts[n]
		lost := p != nil && (gone || e.Revision() > p.revision && (r.Owner != s.me || r.Epoch != p.epoch))
		s.mu.Unlock()
		if lost {
			s.lose(p)
		}
	}
}

// alive says whether a member has been heard of lately, by the measure of this one's own signs of life, which take the same way: it is not when one
// that was sent a lease after the member's last came back, and none of the member before it. So its lease had ended by its own clock when its next one was
// stored, if there was any, and it hands nothing out before it has written the record of the partition once more, see [lanes.own].
func (s *lanes) alive(member string) bool {
	if member == s.me {
		return true
	}
	last, ok := s.seen[member]
	return ok && s.echo.Sub(last.at) < s.b.opts.Lease
}

// balance takes the partitions that are to be this member's, and gives others back. It returns when to look again.
func (s *lanes) balance(ctx context.Context) time.Duration {
	now := time.Now()
	members := []string{s.me}
	for member := range s.seen {
		if s.alive(member) {
			members = append(members, member)
		}
	}
	owners := driver.Shares(members, partitions)
	var claims []int
	var leave []*part
	wait := time.Hour
	s.mu.Lock()
	leased := now.Before(s.until) && !s.rests
	for n, owner := range owners {
		p, r := s.parts[n], s.records[n]
		switch {
		case p == nil && leased && (r.Owner == s.me || owner == s.me && (r.Owner == "" || !s.alive(r.Owner))): // of its own, to give it back in the next round
			claims = append(claims, n)
		case p == nil:
		case owner == s.me && !p.leaving.IsZero():
			p.leaving, p.quiet = time.Time{}, false
			p.more()
			signal(s.ready)
		case owner == s.me:
		default:
			if p.leaving.IsZero() {
				p.soft = now.Add(s.b.opts.Lease / 2)
				p.leaving = p.soft.Add(min(s.info.AckWait, mostHandOver))
			}
			p.quiet = p.quiet || p.held == 0 || !now.Before(p.soft)
			switch {
			case p.held == 0 || !now.Before(p.leaving):
				leave = append(leave, p)
			case p.quiet:
				wait = min(wait, p.leaving.Sub(now))
			default:
				wait = min(wait, p.soft.Sub(now))
			}
		}
	}
	s.mu.Unlock()

	var each sync.WaitGroup
	var mu sync.Mutex
	failed := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil && ctx.Err() == nil {
			wait = min(wait, time.Second)
			s.b.opts.Logger.Debug("events: a partition did not change hands, once more soon", "topic", s.info.Topic, "group", s.info.Group, "because", err)
		}
	}
	for _, p := range leave {
		each.Go(func() { failed(s.release(ctx, p)) })
	}
	for _, n := range claims {
		r := s.records[n]
		each.Go(func() { failed(s.claim(ctx, n, r)) })
	}
	each.Wait()
	return wait
}

// claim takes a partition. When another member was faster, its record will tell.
func (s *lanes) claim(ctx context.Context, n int, old entry) error {
	at := old.position
	if old.Epoch == 0 {
		at = s.first
	}
	if old.Consumer != "" { // it was not given back, so its consumer knows how far it has got
		info, err := consumerInfo(ctx, s.b, s.topic.stream, old.Consumer)
		switch {
		case err == nil && info.AckFloor.Stream >= max(at.Start, 1):
			at.Start, at.StartTime = info.AckFloor.Stream+1, time.Time{}
			for len(at.Unsettled) > 0 && at.Unsettled[0] < at.Start {
				at.Unsettled = at.Unsettled[1:]
			}
		case err != nil && !gone(err):
			return err
		}
	}
	r := partRecord{Owner: s.me, Epoch: old.Epoch + 1, Before: old.Before, position: at}
	r.Consumer = s.consumerName(n, r.Epoch)
	if old.Consumer != "" {
		r.Before = old.Consumer
	}
	revision, ok, err := s.b.put(ctx, s.kv, partKey(s.key, n), r, old.revision)
	if err != nil || !ok {
		return err
	}
	p := s.newPart(n, r.Epoch, revision, at)
	if err := p.open(ctx, r.Consumer, at); err != nil {
		return err
	}
	s.mu.Lock()
	s.parts[n] = p
	p.more()
	s.mu.Unlock()
	s.forget(ctx, old.Consumer, old.Before)
	return nil
}

// forget deletes consumers of before. Those that stay cost a little on the server, and the next owner tries again.
func (s *lanes) forget(ctx context.Context, names ...string) {
	for _, name := range names {
		if name != "" {
			once, cancel := s.b.request(ctx)
			_ = s.b.js.DeleteConsumer(once, s.topic.stream, name)
			cancel()
		}
	}
}

// mend sees to parts with which something is wrong. It returns when to look again.
func (s *lanes) mend(ctx context.Context) time.Duration {
	now := time.Now()
	wait := time.Hour
	var all []*part
	s.mu.Lock()
	for _, p := range s.parts {
		switch {
		case !p.broken && !p.unsure && !p.pull.suspect:
		case now.Before(p.mendAt):
			wait = min(wait, p.mendAt.Sub(now))
		default:
			all = append(all, p)
		}
	}
	s.mu.Unlock()
	errs := make([]error, len(all))
	var each sync.WaitGroup
	for i, p := range all {
		each.Go(func() { errs[i] = s.mendPart(ctx, p) })
	}
	each.Wait()
	for i, p := range all {
		next := p.watch.judge(errs[i])
		switch {
		case ctx.Err() != nil:
		case next < 0:
			s.fail(fmt.Errorf("the topic %s was deleted on the broker: %w", s.info.Topic, errs[i]))
		case next > 0:
			s.mu.Lock()
			p.mendAt = time.Now().Add(next)
			s.mu.Unlock()
			wait = min(wait, next)
		}
	}
	return wait
}

// mendPart sees that a part is this member's still, when that is unsure. It looks whether its consumer is there and has delivered what came here,
// and makes another one when not.
func (s *lanes) mendPart(ctx context.Context, p *part) error {
	s.mu.Lock()
	broken, unsure, suspect, number, pull := p.broken, p.unsure, p.pull.suspect, p.number, p.pull
	s.mu.Unlock()
	if broken {
		return s.reopen(ctx, p)
	}
	if unsure {
		if ok, err := s.own(ctx, p, p.epoch, pull.consumer, s.records[p.n].Before); err != nil || !ok {
			return err
		}
		signal(s.ready)
	}
	if !suspect {
		return nil
	}
	info, err := pull.info(ctx)
	switch {
	case err == nil && info.Delivered.Consumer == number:
		s.mu.Lock()
		pull.forget()
		s.mu.Unlock()
		return nil
	case err == nil, errors.Is(err, jetstream.ErrConsumerNotFound): // something got lost
		return s.reopen(ctx, p)
	default:
		return err
	}
}

// own writes the record of a part that is this member's. When another one was faster, the part is lost, and ok is false.
func (s *lanes) own(ctx context.Context, p *part, epoch uint64, consumer, before string) (ok bool, err error) {
	s.mu.Lock()
	r := partRecord{Owner: s.me, Epoch: epoch, Consumer: consumer, Before: before, position: p.position()}
	s.mu.Unlock()
	revision, ok, err := s.b.put(ctx, s.kv, partKey(s.key, p.n), r, p.revision)
	switch {
	case err != nil:
		return false, err
	case !ok:
		s.lose(p)
		return false, nil
	}
	s.mu.Lock()
	p.epoch, p.revision, p.unsure = epoch, revision, false
	s.mu.Unlock()
	return true, nil
}

// reopen gives a part another consumer, which begins at the first message that is not settled.
func (s *lanes) reopen(ctx context.Context, p *part) error {
	s.mu.Lock()
	p.broken = true
	at, before := p.position(), p.pull.consumer
	s.mu.Unlock()
	name := s.consumerName(p.n, p.epoch+1)
	if s.kv != nil {
		if ok, err := s.own(ctx, p, p.epoch+1, name, before); err != nil || !ok {
			return err
		}
	}
	if err := p.open(ctx, name, at); err != nil {
		return err
	}
	s.forget(ctx, before)
	return nil
}
