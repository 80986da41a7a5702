package redisevents

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/driver"
)

// mostHandOver is how long a partition that is to move waits for what is being handled.
const mostHandOver = 10 * time.Second

// errLost is for a delivery that others got.
var errLost = errors.New("the delivery was lost: its partition belongs to another member now")

// ordered is a member of a group that keeps the order of keys.
//
// Each partition belongs to one member at a time. Which one, all members work out for themselves from who is there. Who is to have a partition
// takes it when its owner has given it back, or has been silent for longer than its lease, and gets a new token with it. Each script that fetches or
// settles compares the token, so a member that was only thought dead gets nothing any more and settles nothing. A member hands out nothing when it has not been able to
// give a sign of life for most of its lease.
//
// What was delivered and not settled is with the server (the pending entries of the stream's consumer group): a new owner gets it first.
type ordered struct {
	*member
	group group
	me    string // unlike that of any other process
	turns int

	// The lock of the member guards these.
	parts map[int]*part // those that are this member's
	until time.Time     // the lease
	rests bool          // nobody asked for events for long, and the partitions are left to others

	// Of run alone:
	beatAt  time.Time
	members []string // that are alive
	owners  []string // of each partition
}

// part is a partition that is this member's.
type part struct {
	of      *ordered
	n       int
	token   string
	last    string               // ID of the last delivery that came
	pending map[string]*delivery // that came and were not settled, by ID
	held    int                  // of these, what was handed out
	unsent  int                  // what was settled, and the server does not know yet
	leaving time.Time            // by when it is given up though some is held; zero when it stays. It delivers nothing any more
	dead    bool
	lost    chan struct{} // closed with it
}

func (b *Broker) subscribeOrdered(ctx context.Context, t *topic, info events.SubscriptionInfo) (events.Source, error) {
	s := &ordered{
		member: b.newMember(t, info), group: t.group(info.Group), me: info.Member + "/" + rand.Text()[:8], parts: make(map[int]*part),
	}
	if err := b.join(ctx, t, s.group, "ordered", info.Start); err != nil {
		return nil, err
	}
	if err := s.start(s); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *ordered) free(d *delivery) bool {
	return d.part.leaving.IsZero() && s.owns(d.part)
}

// owns says whether a part is this member's for certain. The member is locked.
func (s *ordered) owns(p *part) bool { return !p.dead && time.Now().Before(s.until) }

func (s *ordered) hand(d *delivery) { d.part.held++ }

func (s *ordered) settle(d *delivery) {
	delete(d.part.pending, d.id)
	d.part.held--
	d.part.unsent++
}

func (s *ordered) turn(ctx context.Context, settled []settlement, n int) (time.Duration, error) {
	now := time.Now()
	s.mu.Lock()
	wakes := s.limit > 0
	deserted := !wakes && now.Sub(s.active) >= s.info.AckWait
	changed := s.changed
	s.changed = false
	s.rests = s.rests && !wakes
	rests := s.rests
	s.mu.Unlock()
	switch {
	case rests:
		return s.b.opts.Poll, nil
	case deserted:
		return s.b.opts.Poll, s.rest(ctx)
	case changed || !now.Before(s.beatAt):
		if err := s.beat(ctx); err != nil {
			s.again(changed)
			return 0, err
		}
	}
	// What was settled goes first, so that what is given back is as it is.
	wait, err := s.exchange(ctx, settled, n)
	if err != nil {
		s.again(changed)
		return 0, err
	}
	next, err := s.balance(ctx)
	if err != nil {
		return 0, err
	}
	return min(wait, next, time.Until(s.beatAt)), nil
}

// again has the members looked at once more.
func (s *ordered) again(changed bool) {
	if changed {
		s.mu.Lock()
		s.changed = true
		s.mu.Unlock()
	}
}

// beat gives a sign of life, and learns who is there and whose the partitions are.
func (s *ordered) beat(ctx context.Context) error {
	t, lease := s.topic, s.b.opts.Lease
	sent := time.Now()
	answer, err := s.b.eval(ctx, beatScript, []string{t.record, t.waiting, s.group.members, s.group.parts}, s.me, lease.Milliseconds(), len(t.lanes))
	if err != nil {
		return err
	}
	all, err := list(answer, 2)
	if err != nil {
		return err
	}
	members, err := list(all[0], 0)
	if err != nil {
		return err
	}
	parts, err := list(all[1], 2*len(t.lanes))
	if err != nil {
		return err
	}
	s.beatAt = sent.Add(lease / 4)
	s.members = s.members[:0]
	for _, m := range members {
		name, _ := m.(string)
		s.members = append(s.members, name)
	}
	s.owners = s.owners[:0]
	var lost []int
	s.mu.Lock()
	s.until = sent.Add(lease * 3 / 4) // for others it is the whole, and begins later
	for n := range t.lanes {
		owner, _ := parts[2*n].(string)
		token, _ := parts[2*n+1].(string)
		s.owners = append(s.owners, owner)
		if p := s.parts[n]; p != nil && p.token != token {
			lost = append(lost, n)
		}
	}
	some := len(s.came) > 0
	s.mu.Unlock()
	s.lose(lost)
	if some {
		signal(s.ready) // it may have waited for the lease
	}
	return nil
}

// balance takes the partitions that are to be this member's, and gives others back. It returns when to look again.
func (s *ordered) balance(ctx context.Context) (time.Duration, error) {
	now := time.Now()
	wait := s.b.opts.Poll
	claims := []any{s.me}
	var leave []*part
	s.mu.Lock()
	for n, owner := range driver.Shares(s.members, len(s.topic.lanes)) {
		p := s.parts[n]
		switch is := s.owners[n]; {
		case p == nil && owner == s.me && (is == "" || is == s.me || !slices.Contains(s.members, is)):
			claims = append(claims, n)
		case p == nil:
		case owner == s.me:
			p.leaving = time.Time{}
		default:
			if p.leaving.IsZero() {
				p.leaving = now.Add(mostHandOver)
			}
			if p.held+p.unsent == 0 || !now.Before(p.leaving) {
				leave = append(leave, p)
			} else {
				wait = min(wait, p.leaving.Sub(now))
			}
		}
	}
	s.mu.Unlock()
	if len(leave) > 0 {
		if err := s.release(ctx, leave, false); err != nil {
			return 0, err
		}
	}
	if len(claims) == 1 {
		return wait, nil
	}
	t := s.topic
	answer, err := s.b.eval(ctx, claimScript, []string{t.record, t.waiting, s.group.members, s.group.parts}, claims...)
	if err != nil {
		return 0, err
	}
	tokens, err := list(answer, len(claims)-1)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, token := range tokens {
		number, _ := token.(int64)
		n := claims[i+1].(int)
		if number == 0 {
			s.owners[n] = "?" // another one was faster; the next sign of life tells
			continue
		}
		s.owners[n] = s.me
		s.parts[n] = &part{of: s, n: n, token: strconv.FormatInt(number, 10), last: "0-0", pending: make(map[string]*delivery), lost: make(chan struct{})}
		wait = 0
	}
	return wait, nil
}

// exchange settles deliveries, and fetches up to n.
func (s *ordered) exchange(ctx context.Context, settled []settlement, n int) (time.Duration, error) {
	t := s.topic
	args := []any{len(t.lanes), s.group.name, n, 0}
	acks := 0
	// Keys that wait for a repetition hold up their partition at last, but never the others.
	most := min(s.info.MaxInFlight, max(s.info.MaxInFlight/4, 16))
	s.turns++
	s.mu.Lock()
	for _, x := range settled {
		if x.what == "ack" && !x.d.part.dead {
			acks++
			args = append(args, x.d.part.n, x.d.part.token, x.d.id)
		}
	}
	args[3] = acks
	asked := 0
	for i := range t.lanes {
		p := s.parts[(i+s.turns)%len(t.lanes)]
		if n > 0 && p != nil && p.leaving.IsZero() && len(p.pending) < most {
			asked++
			args = append(args, p.n, p.token, p.last, most-len(p.pending))
		}
	}
	s.mu.Unlock()
	wait := s.b.opts.Poll
	if acks+asked == 0 {
		s.sent(settled)
		return wait, nil
	}
	answer, err := s.b.eval(ctx, orderedScript, t.keys(t.record, t.waiting, t.due, t.later, s.group.parts), args...)
	if err != nil {
		return 0, err
	}
	all, err := list(answer, 3)
	if err != nil {
		return 0, err
	}
	lost, err := list(all[1], 0)
	if err != nil {
		return 0, err
	}
	got, err := s.deliveries(all[2])
	if err != nil {
		return 0, err
	}
	var gone []int
	for _, n := range lost {
		number, _ := n.(int64)
		gone = append(gone, int(number))
	}
	s.lose(gone)
	s.sent(settled)
	fresh := got[:0]
	s.mu.Lock()
	for _, d := range got {
		p := s.parts[d.lane]
		if p == nil {
			continue
		}
		d.part = p
		if !later(d.id, p.last) { // the server has lost that it was delivered
			if p.pending[d.id] == nil {
				p.unsent++
				s.settled = append(s.settled, settlement{d, "ack", 0})
			}
			continue
		}
		p.last, p.pending[d.id] = d.id, d
		fresh = append(fresh, d)
	}
	s.mu.Unlock()
	s.take(fresh)
	if len(gone) > 0 {
		s.beatAt = time.Time{}
	}
	return soon(all[0], wait), nil
}

// sent notes that the server knows of settlements.
func (s *ordered) sent(settled []settlement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range settled {
		if x.what != "extend" {
			x.d.part.unsent--
		}
	}
}

// later compares the IDs of entries.
func later(a, b string) bool {
	number := func(text string) uint64 {
		n, _ := strconv.ParseUint(text, 10, 64)
		return n
	}
	am, as, _ := strings.Cut(a, "-")
	bm, bs, _ := strings.Cut(b, "-")
	return cmp.Or(cmp.Compare(number(am), number(bm)), cmp.Compare(number(as), number(bs))) > 0
}

// lose is for partitions that others have taken.
func (s *ordered) lose(lost []int) {
	for _, n := range lost {
		s.mu.Lock()
		p := s.parts[n]
		if p != nil {
			s.end(p)
		}
		s.mu.Unlock()
		if p != nil {
			s.b.opts.Logger.Warn("events: another member has taken a partition over; what is being handled of it will be handled again",
				"topic", s.info.Topic, "group", s.info.Group, "partition", n)
		}
	}
}

// end has a part deliver nothing any more, and what is held be lost. It returns what came and was not handed out. The caller holds the lock.
func (s *ordered) end(p *part) (unseen []*delivery) {
	p.dead = true
	delete(s.parts, p.n)
	s.held -= p.held
	close(p.lost)
	s.came = slices.DeleteFunc(s.came, func(d *delivery) bool {
		if d.part == p {
			unseen = append(unseen, d)
		}
		return d.part == p
	})
	return unseen
}

// release gives partitions back.
func (s *ordered) release(ctx context.Context, parts []*part, leaves bool) error {
	args := []any{s.group.name, ""}
	if leaves {
		args[1] = s.me
	}
	s.mu.Lock()
	for _, p := range parts {
		if p.dead {
			continue
		}
		unseen := s.end(p)
		s.owners[p.n] = ""
		args = append(args, p.n, p.token, len(unseen))
		for _, d := range unseen {
			args = append(args, d.id, d.attempt)
		}
	}
	s.mu.Unlock()
	t := s.topic
	_, err := s.b.eval(ctx, releaseScript, t.keys(t.record, t.waiting, s.group.members, s.group.parts), args...)
	return err // where it fails, the lease ends
}

// rest leaves the partitions to others, for nobody asks for events here.
func (s *ordered) rest(ctx context.Context) error {
	s.mu.Lock()
	s.rests = true
	s.beatAt = time.Time{}
	all, held := s.all(), s.held
	s.mu.Unlock()
	if held > 0 {
		s.b.opts.Logger.Warn("events: nobody settles the events of an ordered group here; others get its partitions", "topic", s.info.Topic, "group", s.info.Group)
	}
	return s.release(ctx, all, true)
}

// all returns the parts. The caller holds the lock.
func (s *ordered) all() (all []*part) {
	for _, p := range s.parts {
		all = append(all, p)
	}
	return all
}

func (s *ordered) leave(ctx context.Context, settled []settlement, came []*delivery) error {
	s.mu.Lock()
	s.came = came // they are given back with their parts
	s.mu.Unlock()
	for len(settled) > 0 {
		n := min(len(settled), mostSettled)
		if _, err := s.exchange(ctx, settled[:n], 0); err != nil {
			return err
		}
		settled = settled[n:]
	}
	s.mu.Lock()
	all := s.all()
	s.mu.Unlock()
	return s.release(ctx, all, true)
}
