package events

import (
	"errors"
	"fmt"
)

// DeclaredJobs returns the names of the jobs that were declared so far.
func (b *Bus) DeclaredJobs() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var names []string
	for _, j := range b.jobs {
		names = append(names, j.name)
	}
	return names
}

// addJob notes a job. One that comes late is fired from now on.
func (b *Bus) addJob(j *Job) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, other := range b.jobs {
		if other.name == j.name {
			return fmt.Errorf("%s is there twice in one service: name one of them differently", j)
		}
	}
	b.jobs = append(b.jobs, j)
	if b.running != nil && b.running.Err() == nil {
		j.start(b.running)
	}
	return nil
}

// jobKeeper returns what keeps the jobs.
func (b *Bus) jobKeeper() (JobKeeper, error) {
	if b.Jobs != nil {
		return b.Jobs, nil
	}
	broker := b.Broker
	if to := b.bound.Load(); broker == nil && to != nil {
		broker = to.broker
	}
	if keeper, ok := broker.(JobKeeper); ok {
		return keeper, nil
	}
	return nil, errors.New("the bus has nothing to keep jobs in: set its field Jobs, or give it a broker that keeps them, such as events.Memory")
}
