package kafkaevents

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// mostWaiting is how many events may wait to be handed out again; a member that has more takes no new ones.
	mostWaiting = 4096

	// leastAhead and mostAhead bound how many events a session fetches ahead.
	leastAhead = 128
	mostAhead  = 8192

	commitTimeout = 5 * time.Second
)

// session is a time in which a member consumes, with a client of its own. The lock of the member guards what is below it.
type session struct {
	m      *member
	client *kgo.Client
	ahead  int
	room   chan struct{} // for poll: there is some
	idle   chan struct{} // for revoked: something is settled of what leaves
	joined chan struct{} // closed when the member has its first partitions
	join   sync.Once

	ctx      context.Context // of the routines
	cancel   context.CancelFunc
	routines sync.WaitGroup

	commits sync.Mutex // held while positions are committed, so that they do not overtake each other

	parts    map[int32]*part
	turns    []*part // the same
	turn     int
	due      []*entry
	queued   int  // events that were fetched
	waiting  int  // events that wait to be handed out again, or may be
	dirty    bool // something changed since positions were committed
	closing  bool
	bare     bool // the cluster takes no metadata with positions, or less than ours
	troubled bool // an error was logged that may repeat
}

func newSession(m *member) (*session, error) {
	s := &session{
		m: m, ahead: min(max(m.info.MaxInFlight, leastAhead), mostAhead),
		room: make(chan struct{}, 1), idle: make(chan struct{}, 1), joined: make(chan struct{}),
		parts: make(map[int32]*part),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	opts := []kgo.Opt{
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), // what was dropped meanwhile is gone, what came after it is not
	}
	o := m.b.opts
	if m.group != "" {
		opts = append(opts,
			kgo.ConsumerGroup(m.group), kgo.ConsumeTopics(m.t.name), kgo.Balancers(kgo.CooperativeStickyBalancer()),
			kgo.SessionTimeout(o.Session), kgo.HeartbeatInterval(min(max(o.Session/10, 50*time.Millisecond), 3*time.Second)),
			kgo.RebalanceTimeout(o.HandOver+max(o.HandOver/2, 15*time.Second)),
			kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
			kgo.AdjustFetchOffsetsFn(s.positions), kgo.OnPartitionsRevoked(s.revoked), kgo.OnPartitionsLost(s.lost),
		)
	} else {
		at := make(map[int32]kgo.Offset)
		for n, offset := range m.starts {
			at[n] = kgo.NewOffset().At(offset)
			s.add(n, position{offset: offset, limit: offset}, offset)
		}
		opts = append(opts, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{m.t.name: at}))
		close(s.joined)
	}
	client, err := kgo.NewClient(m.b.clientOpts(opts...)...)
	if err != nil {
		return nil, fmt.Errorf("kafkaevents: %w", err)
	}
	s.client = client
	return s, nil
}

func (s *session) start() {
	s.routines.Go(s.poll)
	s.routines.Go(s.watch)
	if s.m.group != "" {
		s.routines.Go(s.commitNow)
	}
}

// end leaves the group; s.closing is set. What is unsettled goes to others.
func (s *session) end(ctx context.Context) error {
	s.cancel()
	s.routines.Wait()
	var err error
	if s.m.group != "" {
		err = s.client.LeaveGroupContext(ctx)
	}
	s.client.Close()
	s.m.mu.Lock()
	for _, p := range s.parts {
		p.drop()
	}
	s.m.mu.Unlock()
	if err != nil && !isDial(err) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("leave the group %s: %w", s.m.group, err)
	}
	return nil // when the brokers are away, others will find out
}

// add takes a partition over. The caller holds m.mu, or nobody else has the session yet.
func (s *session) add(n int32, before position, top int64) {
	if old := s.parts[n]; old != nil {
		s.remove(old)
	}
	p := &part{s: s, n: n, before: before, top: top, lost: make(chan struct{})}
	s.parts[n] = p
	s.turns = append(s.turns, p)
}

// remove ends a partition. The caller holds m.mu.
func (s *session) remove(p *part) {
	p.drop()
	delete(s.parts, p.n)
	for i, other := range s.turns {
		if other == p {
			s.turns = append(s.turns[:i:i], s.turns[i+1:]...)
			break
		}
	}
	signal(s.room)
}

// pop hands events out: those that wait for another time first, then of each partition in turn. The caller holds m.mu.
func (s *session) pop(out []events.Delivery, limit int) []events.Delivery {
	now := time.Now()
	hand := func(e *entry) {
		e.stage, e.since = handed, now
		e.attempts++
		e.p.held++
		s.m.held++
		s.dirty = true
		out = append(out, &delivery{entry: e, msg: e.message, attempt: e.attempts})
	}
	again := 0
	for ; again < len(s.due) && len(out) < limit; again++ {
		if e := s.due[again]; e.stage == due && !e.p.gone && !e.p.leaving {
			s.waiting--
			hand(e)
		}
	}
	s.due = s.due[again:]
	if s.waiting >= mostWaiting {
		return out
	}
	for range s.turns {
		s.turn = (s.turn + 1) % len(s.turns)
		p := s.turns[s.turn]
		for len(p.queue) > 0 && !p.leaving && len(out) < limit {
			s.queued--
			hand(p.take())
		}
	}
	if s.queued < s.ahead {
		signal(s.room)
	}
	return out
}

// poll fetches events.
func (s *session) poll() {
	for {
		s.m.mu.Lock()
		n := s.ahead - s.queued
		s.m.mu.Unlock()
		if n <= 0 {
			select {
			case <-s.room:
				continue
			case <-s.ctx.Done():
				return
			}
		}
		fetches := s.client.PollRecords(s.ctx, n)
		s.takeIn(fetches)
		s.client.AllowRebalance()
		if s.ctx.Err() != nil || fetches.IsClientClosed() {
			return
		}
	}
}

func (s *session) takeIn(fetches kgo.Fetches) {
	fetches.EachError(s.failed)
	type read struct {
		r *kgo.Record
		m *events.Message
	}
	all := make([]read, 0, fetches.NumRecords())
	fetches.EachRecord(func(r *kgo.Record) { all = append(all, read{r, s.m.t.decode(r)}) })
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	for _, one := range all {
		if p := s.parts[one.r.Partition]; p != nil && p.takeIn(one.r, one.m) {
			s.queued++
		}
	}
	if len(all) > 0 {
		s.troubled = false
		signal(s.m.wake)
	}
}

// failed takes an error that was met while fetching.
func (s *session) failed(_ string, n int32, err error) {
	var dataLoss *kgo.ErrDataLoss
	var answer *kerr.Error
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	log := s.m.b.opts.Logger.With("topic", s.m.info.Topic, "group", s.m.info.Group)
	switch {
	case s.closing || errors.Is(err, context.Canceled) || errors.Is(err, kgo.ErrClientClosed):
	case errors.As(err, &dataLoss):
		log.Warn("events: the cluster has lost events of a partition", "partition", n, "error", err)
	case passing(err) || errors.As(err, &answer) && fenced(answer):
		if !s.troubled {
			log.Warn("events: events cannot be fetched; trying on", "error", err)
		}
		s.troubled = true
	default:
		s.m.fail(s.m.denied(err))
	}
}

// fenced says whether an answer tells a member that the group went on without it. It joins again by itself.
func fenced(err *kerr.Error) bool {
	switch err {
	case kerr.UnknownMemberID, kerr.IllegalGeneration, kerr.RebalanceInProgress, kerr.FencedInstanceID, kerr.MemberIDRequired:
		return true
	}
	return false
}

// positions is called with partitions that are the member's from now on, and reads what is known of them.
func (s *session) positions(ctx context.Context, at map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	s.m.mu.Lock() // until which the session is not complete
	client := s.client
	s.m.mu.Unlock()
	all, err := kadm.NewClient(client).FetchOffsets(ctx, s.m.group)
	if err != nil {
		return nil, err
	}
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	for n := range at[s.m.t.name] {
		o, has := all.Lookup(s.m.t.name, n)
		if has && o.Err != nil {
			return nil, o.Err
		}
		if !has || o.At < 0 { // the partition is new
			s.add(n, position{}, -1)
			continue
		}
		s.add(n, readPosition(o.At, o.Metadata), o.At)
		at[s.m.t.name][n] = kgo.NewOffset().At(o.At)
	}
	if len(at[s.m.t.name]) > 0 {
		s.join.Do(func() { close(s.joined) })
	}
	return at, nil
}

// revoked is called when partitions are to be another member's: what is in hand of them is finished, as far as there is time.
func (s *session) revoked(_ context.Context, _ *kgo.Client, all map[string][]int32) {
	s.m.mu.Lock()
	var leaving []*part
	for _, n := range all[s.m.t.name] {
		if p := s.parts[n]; p != nil {
			p.leaving = true
			s.queued -= len(p.queue)
			p.queue = nil
			leaving = append(leaving, p)
		}
	}
	if len(leaving) == 0 {
		s.m.mu.Unlock()
		return
	}
	signal(s.room)
	timer := time.NewTimer(s.m.b.opts.HandOver)
	defer timer.Stop()
	for late := false; !late && !s.closing && heldOf(leaving) > 0; {
		s.m.mu.Unlock()
		select {
		case <-s.idle:
		case <-timer.C:
			late = true
		}
		s.m.mu.Lock()
	}
	if n := heldOf(leaving); n > 0 && !s.closing {
		s.m.b.opts.Logger.Warn("events: partitions go to another member, and what is being handled of them will be handled again",
			"topic", s.m.info.Topic, "group", s.m.info.Group, "events", n)
	}
	s.m.mu.Unlock()
	s.commit(leaving)
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	for _, p := range leaving {
		s.remove(p)
	}
}

func heldOf(all []*part) (n int) {
	for _, p := range all {
		n += p.held
	}
	return n
}

// lost is called when partitions are another member's already.
func (s *session) lost(_ context.Context, _ *kgo.Client, all map[string][]int32) {
	s.commits.Lock() // what is being committed is so for what this member was
	defer s.commits.Unlock()
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	held := 0
	for _, n := range all[s.m.t.name] {
		if p := s.parts[n]; p != nil {
			held += p.held
			s.remove(p)
		}
	}
	if held > 0 {
		s.m.b.opts.Logger.Warn("events: the group went on without this member; what is being handled will be handled again",
			"topic", s.m.info.Topic, "group", s.m.info.Group, "events", held)
	}
}

// commitNow commits positions again and again.
func (s *session) commitNow() {
	tick := time.NewTicker(s.m.b.opts.CommitEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			return
		}
		s.m.mu.Lock()
		dirty := s.dirty
		s.dirty = false
		var all []*part
		if dirty {
			all = append(all, s.turns...)
		}
		s.m.mu.Unlock()
		if dirty && !s.commit(all) {
			s.m.mu.Lock()
			s.dirty = true
			s.m.mu.Unlock()
		}
	}
}

// mark is a position as it is committed.
type mark struct {
	p        *part
	at       kgo.EpochOffset
	metadata string
	text     string
}

// commit tells the cluster the positions of partitions, where they changed. It reports whether all are told.
func (s *session) commit(all []*part) bool {
	s.commits.Lock()
	defer s.commits.Unlock()
	marks := make(map[int32]*mark)
	offsets := make(map[int32]kgo.EpochOffset)
	s.m.mu.Lock()
	for _, p := range all {
		at, known := p.position()
		if !known || s.parts[p.n] != p {
			continue
		}
		k := &mark{p: p, at: kgo.EpochOffset{Epoch: -1, Offset: at.offset}}
		if !s.bare {
			k.metadata = at.metadata()
		}
		k.text = fmt.Sprint(at.offset, " ", k.metadata)
		if k.text == p.committed {
			continue
		}
		marks[p.n], offsets[p.n] = k, k.at
	}
	s.m.mu.Unlock()
	if len(marks) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	ctx = kgo.PreCommitFnContext(ctx, func(r *kmsg.OffsetCommitRequest) error {
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				p := &r.Topics[i].Partitions[j]
				p.Metadata = &marks[p.Partition].metadata
			}
		}
		return nil
	})
	done := true
	s.client.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{s.m.t.name: offsets},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, answer *kmsg.OffsetCommitResponse, err error) {
			if err != nil {
				done = false
				s.m.b.opts.Logger.Debug("events: positions cannot be committed", "group", s.m.group, "error", err)
				return
			}
			s.m.mu.Lock()
			defer s.m.mu.Unlock()
			for _, t := range answer.Topics {
				for _, p := range t.Partitions {
					k := marks[p.Partition]
					if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
						done = false
						s.bare = s.bare || errors.Is(err, kerr.OffsetMetadataTooLarge)
						s.m.b.opts.Logger.Debug("events: a position cannot be committed", "group", s.m.group, "partition", p.Partition, "error", err)
					} else if k != nil {
						k.p.committed = k.text
					}
				}
			}
		})
	return done
}

// watch looks after events that were handed out, and are not heard of any more.
func (s *session) watch() {
	tick := time.NewTicker(max(s.m.info.AckWait/4, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			return
		}
		s.m.mu.Lock()
		s.look(time.Now())
		s.m.mu.Unlock()
	}
}

// look is for watch. The caller holds m.mu.
func (s *session) look(now time.Time) {
	m := s.m
	wait := m.info.AckWait
	if m.group != "" && m.wanted && !m.waits && now.Sub(m.active) > wait && (m.held > 0 || s.queued > 0 || len(s.due) > 0) {
		m.rest(s)
		return
	}
	for _, p := range s.turns {
		for _, e := range p.open {
			if e.stage != handed || now.Sub(e.since) <= wait || p.leaving {
				continue
			}
			if m.group != "" && m.info.Ordered { // it must come again before what is behind it
				m.rest(s)
				return
			}
			p.again(e, 0)
		}
	}
}
