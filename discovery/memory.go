package discovery

import (
	"context"
	"fmt"
	"sync"
)

// Memory is a registry inside the process: what one test or one app needs. The zero value is empty and ready to use. A Memory must
// not be copied.
type Memory struct {
	board  board[Instance]
	splits splitBoard
}

var (
	_ Registrar = (*Memory)(nil)
	_ Splitter  = (*Memory)(nil)
)

// Scope returns [ScopeProcess].
func (m *Memory) Scope() Scope { return ScopeProcess }

// String returns memory:.
func (m *Memory) String() string { return "memory:" }

// Watch implements [Registry].
func (m *Memory) Watch(ctx context.Context, service string, notify func([]Instance)) error {
	if err := checkWatch(service); err != nil {
		return err
	}
	m.board.watch(ctx, service, notify)
	return nil
}

// WatchSplits implements [Splitter].
func (m *Memory) WatchSplits(ctx context.Context, service string, notify func([]Split)) error {
	if err := checkWatch(service); err != nil {
		return err
	}
	m.splits.watch(ctx, service, notify)
	return nil
}

// SetSplit implements [Splitter].
func (m *Memory) SetSplit(ctx context.Context, split Split) error {
	if err := split.Validate(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.splits.set(split.Clone())
	return nil
}

// Register implements [Registrar]. It returns [ErrTaken] when the ID is announced already.
func (m *Memory) Register(ctx context.Context, inst Instance) (Lease, error) {
	if err := inst.Validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !m.board.add(inst.Clone()) {
		return nil, fmt.Errorf("%w: %s of %s", ErrTaken, inst.ID, inst.Service)
	}
	return &memoryLease{memory: m, inst: inst}, nil
}

type memoryLease struct {
	memory *Memory
	mu     sync.Mutex
	inst   Instance
	closed bool
}

func (l *memoryLease) Update(ctx context.Context, inst Instance) error {
	if err := checkUpdate(l.inst, inst); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return fmt.Errorf("%w: %s of %s", ErrClosed, inst.ID, inst.Service)
	}
	l.memory.board.set(inst.Clone())
	return nil
}

func (l *memoryLease) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		l.memory.board.remove(l.inst.ID)
	}
	return nil
}
