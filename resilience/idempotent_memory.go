package resilience

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// MemoryReplies is a [ReplyStore] in the memory of the process. When it is full it forgets the oldest replies first, and what expires in
// any case. The zero value is ready to use.
type MemoryReplies struct {
	Bytes  int     // of replies and keys, at most. 0: 16 MiB
	Counts *Counts // counts what was forgotten before its time; may be nil

	mu    sync.Mutex
	byKey map[string]*memoryReply
	old   list.List // of *memoryReply that hold replies, the oldest first
	bytes int
}

var _ ReplyStore = (*MemoryReplies)(nil)

type memoryReply struct {
	key   string
	reply []byte        // nil: claimed
	until time.Time     // the lease's end, or when it is forgotten
	at    *list.Element // nil: claimed
}

const (
	defaultReplyBytes = 16 << 20
	replyOverhead     = 200 // bytes, about, that an entry takes besides
)

func (r *memoryReply) size() int { return len(r.key) + len(r.reply) + replyOverhead }

// Claim implements [ReplyStore].
func (s *MemoryReplies) Claim(_ context.Context, key string, lease time.Duration) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.expire(now)
	r := s.byKey[key]
	switch {
	case r != nil && !now.Before(r.until):
		s.forget(r)
	case r != nil && r.reply == nil:
		return nil, ErrClaimed
	case r != nil:
		return r.reply, nil
	}
	if s.byKey == nil {
		s.byKey = make(map[string]*memoryReply)
	}
	s.byKey[key] = &memoryReply{key: key, until: now.Add(lease)}
	return nil, nil
}

// Keep implements [ReplyStore].
func (s *MemoryReplies) Keep(_ context.Context, key string, reply []byte, keep time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.byKey[key]; r != nil {
		s.forget(r)
	}
	now := time.Now()
	s.expire(now)
	r := &memoryReply{key: key, reply: append([]byte{}, reply...), until: now.Add(keep)}
	most := s.Bytes
	if most <= 0 {
		most = defaultReplyBytes
	}
	for s.bytes+r.size() > most && s.old.Len() > 0 {
		s.forget(s.old.Front().Value.(*memoryReply))
		s.lost()
	}
	if r.size() > most {
		s.lost()
		return nil
	}
	r.at = s.old.PushBack(r)
	s.bytes += r.size()
	s.byKey[key] = r
	return nil
}

// Drop implements [ReplyStore].
func (s *MemoryReplies) Drop(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.byKey[key]; r != nil && r.reply == nil {
		s.forget(r)
	}
	return nil
}

func (s *MemoryReplies) lost() {
	if s.Counts != nil {
		s.Counts.Add(ReplayForgot)
	}
}

// expire forgets what is at the front and has had its time: nearly all replies are kept for the same time.
func (s *MemoryReplies) expire(now time.Time) {
	for e := s.old.Front(); e != nil && !now.Before(e.Value.(*memoryReply).until); e = s.old.Front() {
		s.forget(e.Value.(*memoryReply))
	}
}

func (s *MemoryReplies) forget(r *memoryReply) {
	delete(s.byKey, r.key)
	if r.at != nil {
		s.old.Remove(r.at)
		s.bytes -= r.size()
	}
}

// MemoryRepliesState is a snapshot of a MemoryReplies.
type MemoryRepliesState struct {
	Replies int `json:"replies"`
	Running int `json:"running"` // calls whose reply is not there yet
	Bytes   int `json:"bytes"`
}

// State returns a snapshot.
func (s *MemoryReplies) State() MemoryRepliesState {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(time.Now())
	return MemoryRepliesState{Replies: s.old.Len(), Running: len(s.byKey) - s.old.Len(), Bytes: s.bytes}
}
