package resilience

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/internal/everywhere"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Fault is something that goes wrong on purpose with calls that a server takes, for tests and drills: a delay, and then an error instead
// of the handler, or an answer that is lost. It ends by itself.
type Fault struct {
	Method   string            // "/contract/Method" or "contract/*". "": all methods, but not health and reflection
	Metadata map[string]string // the calls that carry all of these; the value "" stands for any. Empty: all calls
	Percent  float64           // of these calls, drawn at random. 0: all of them

	Delay time.Duration // before anything else; the call's own end ends it
	Error codes.Code    // what the call is answered with; its handler does not run. OK: nothing
	Lose  bool          // the handler runs and its answer is lost: the caller gets Unavailable and cannot know that it ran

	For time.Duration // until the fault ends. 0: 1 min; at most 1 h
}

const (
	faultLasts     = time.Minute
	faultLastsMost = time.Hour
	faultsMost     = 100
)

// Check returns what is wrong with the fault, or nil.
func (f Fault) Check() error {
	var errs []error
	if f.Method != "" && !methodKey(f.Method) {
		errs = append(errs, fmt.Errorf(`the method %q is neither "/contract/Method" nor "contract/*"`, f.Method))
	}
	if !(f.Percent >= 0 && f.Percent <= 100) {
		errs = append(errs, fmt.Errorf("the percentage is %v: it is from 0, for all, to 100", f.Percent))
	}
	if f.Delay < 0 {
		errs = append(errs, fmt.Errorf("the delay is %v: it is 0 or more", f.Delay))
	}
	if f.Error > codes.Unauthenticated {
		errs = append(errs, fmt.Errorf("the error is %d: gRPC's codes end at %d", f.Error, codes.Unauthenticated))
	}
	if f.Error != codes.OK && f.Lose {
		errs = append(errs, errors.New("a call that is answered with an error has no answer to lose: ask for one of the two"))
	}
	if f.Delay == 0 && f.Error == codes.OK && !f.Lose {
		errs = append(errs, errors.New("nothing goes wrong: ask for a delay, an error or a lost answer"))
	}
	if f.For < 0 || f.For > faultLastsMost {
		errs = append(errs, fmt.Errorf("it lasts %v: it is 0, for %v, to %v", f.For, faultLasts, faultLastsMost))
	}
	return errors.Join(errs...)
}

// What faults do to calls.
const (
	FaultDelayed Reason = "fault-delay"
	FaultFailed  Reason = "fault-error"
	FaultLost    Reason = "fault-lost"
)

// Faults are those of one server. The zero value has none, and costs a call nothing to speak of. Its methods are safe for concurrent use.
type Faults struct {
	mu     sync.Mutex
	now    atomic.Pointer[[]*fault] // replaced, never changed; nil: none
	lastID int
}

type fault struct {
	Fault
	id    int
	ends  time.Time
	calls atomic.Uint64
}

// Add lets a fault begin, and returns its number. The error says what is wrong with it.
func (s *Faults) Add(f Fault) (int, error) {
	if err := f.Check(); err != nil {
		return 0, err
	}
	if f.For == 0 {
		f.For = faultLasts
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	all := s.live(now)
	if len(all) >= faultsMost {
		return 0, fmt.Errorf("there are %d faults already: stop some first", len(all))
	}
	s.lastID++
	s.store(append(all, &fault{Fault: f, id: s.lastID, ends: now.Add(f.For)}))
	return s.lastID, nil
}

// Stop ends a fault. It reports whether there was one of that number.
func (s *Faults) Stop(id int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.live(time.Now())
	left := slices.DeleteFunc(slices.Clone(all), func(f *fault) bool { return f.id == id })
	s.store(left)
	return len(left) < len(all)
}

// StopAll ends all faults, and returns how many there were.
func (s *Faults) StopAll() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.live(time.Now()))
	s.store(nil)
	return n
}

// live returns a copy of the faults that have not ended. s.mu is held.
func (s *Faults) live(now time.Time) []*fault {
	all := s.now.Load()
	if all == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(*all), func(f *fault) bool { return !now.Before(f.ends) })
}

func (s *Faults) store(all []*fault) {
	if len(all) == 0 {
		s.now.Store(nil)
		return
	}
	s.now.Store(&all)
}

// FaultState is a fault and what it did.
type FaultState struct {
	ID       int               `json:"id"`
	Method   string            `json:"method,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`
	Percent  float64           `json:"percent,omitempty"` // 0: all
	Delay    time.Duration     `json:"delay_ns,omitempty"`
	Error    string            `json:"error,omitempty"`
	Lose     bool              `json:"lose,omitempty"`
	Left     time.Duration     `json:"left_ns"` // until it ends
	Calls    uint64            `json:"calls"`   // that it struck
}

// State returns the faults that have not ended, the oldest first.
func (s *Faults) State() []FaultState {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	states := []FaultState{}
	for _, f := range s.live(now) {
		state := FaultState{ID: f.id, Method: f.Method, Metadata: f.Metadata, Percent: f.Percent, Delay: f.Delay, Lose: f.Lose, Left: f.ends.Sub(now), Calls: f.calls.Load()}
		if f.Error != codes.OK {
			state.Error = f.Error.String()
		}
		states = append(states, state)
	}
	return states
}

// Active reports whether there may be faults: false is what nearly all calls hear.
func (s *Faults) Active() bool { return s != nil && s.now.Load() != nil }

// Strike does to a call of the method what the faults want, each in turn: it waits, and returns the error to answer with. lose says that
// the handler must run and its answer be lost, for which [ErrLost] is the error. ctx has the call's metadata. What happens is counted in counts.
func (s *Faults) Strike(ctx context.Context, method string, counts *Counts) (lose bool, err error) {
	all := s.now.Load()
	if all == nil {
		return false, nil
	}
	now := time.Now()
	ended := false
	for _, f := range *all {
		if !now.Before(f.ends) {
			ended = true
			continue
		}
		if !f.meant(ctx, method) || f.Percent > 0 && rand.Float64()*100 >= f.Percent {
			continue
		}
		f.calls.Add(1)
		if f.Delay > 0 {
			counts.Note(ctx, FaultDelayed)
			t := time.NewTimer(f.Delay)
			select {
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
				return false, status.FromContextError(ctx.Err()).Err()
			}
		}
		if f.Error != codes.OK {
			counts.Note(ctx, FaultFailed)
			return false, status.Errorf(f.Error, "fault %d of this server: errors on purpose, see hanse chaos", f.id)
		}
		if f.Lose {
			counts.Note(ctx, FaultLost)
			lose = true
		}
	}
	if ended {
		s.mu.Lock()
		s.store(s.live(now))
		s.mu.Unlock()
	}
	return lose, nil
}

// ErrLost is what the caller of a call hears whose answer was lost on purpose.
var ErrLost = status.Error(codes.Unavailable, "a fault of this server: the answer was lost on purpose, see hanse chaos")

func (f *fault) meant(ctx context.Context, method string) bool {
	switch {
	case f.Method == "" && everywhere.Has(strings.TrimSuffix(contractKey(method), "/*")):
		return false
	case f.Method != "" && f.Method != method && f.Method != contractKey(method):
		return false
	}
	for key, want := range f.Metadata {
		values := metadata.ValueFromIncomingContext(ctx, strings.ToLower(key))
		if len(values) == 0 || want != "" && !slices.Contains(values, want) {
			return false
		}
	}
	return true
}
