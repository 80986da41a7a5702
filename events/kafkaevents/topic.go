package kafkaevents

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// The settings of a topic on Kafka that a declaration decides.
const (
	configAge     = "retention.ms"
	configBytes   = "retention.bytes"
	configSegment = "segment.bytes"
	configBatch   = "max.message.bytes"
	configCleanup = "cleanup.policy"
	configInSync  = "min.insync.replicas"
)

const (
	// defaultBatch is the most bytes of a batch: an event of 1 MiB, the default of Limits.MaxSize, and what its headers take.
	defaultBatch = 1<<20 + headroom
	headroom     = 64 << 10

	smallestSegment = 1 << 20
	largestSegment  = 1 << 30
)

// Declare implements [events.Broker].
func (b *Broker) Declare(ctx context.Context, info events.TopicInfo) error {
	info.Limits = info.Limits.WithDefaults()
	t, err := b.describe(info)
	if err != nil {
		return err
	}
	if info.Delayed {
		return fmt.Errorf("topic %s is declared with Delayed: %w", info.Name, errDelay)
	}
	if t.foreign {
		if err := b.find(ctx, t); err != nil {
			return fmt.Errorf("topic %s belongs to others (Topic.Foreign): %w", info.Name, err)
		}
		b.topics.Store(info.Name, t)
		return nil
	}
	if info.Limits.DropOldest && info.Limits.MaxMessages > 0 {
		return fmt.Errorf("%w: Kafka drops the oldest events by age and bytes, not by their number: declare Limits.MaxBytes instead of MaxMessages", events.ErrUnsupported)
	}
	if err := b.patiently(ctx, func(ctx context.Context, a *kadm.Client) error { return b.makeTopic(ctx, a, t) }); err != nil {
		return err
	}
	t.declared = true
	if _, again := b.topics.Swap(info.Name, t); !again && !info.Limits.DropOldest && (info.Limits.MaxBytes > 0 || info.Limits.MaxMessages > 0) {
		b.opts.Logger.Info("events: Kafka refuses no event because a topic is full; nothing is dropped before its age, and the topic may get larger than declared",
			"topic", info.Name, "max bytes", info.Limits.MaxBytes, "max messages", info.Limits.MaxMessages)
	}
	return nil
}

// find looks for a topic that is there already.
func (b *Broker) find(ctx context.Context, t *topic) error {
	return b.patiently(ctx, func(ctx context.Context, a *kadm.Client) error {
		there, err := look(ctx, a, t)
		if err != nil {
			return err
		}
		if there == nil {
			return fmt.Errorf("the cluster has no topic %s: it was not declared", t.name)
		}
		configs, err := a.DescribeTopicConfigs(ctx, t.name)
		if err != nil {
			return nil // which it may not be allowed to see
		}
		if is, err := configs.On(t.name, nil); err == nil && is.Err == nil {
			t.batchFrom(is)
		}
		return nil
	})
}

// batchFrom takes over how large a batch may be.
func (t *topic) batchFrom(is kadm.ResourceConfig) {
	if n, err := strconv.ParseInt(config(is, configBatch), 10, 32); err == nil && n > 0 {
		t.maxBatch = int32(n)
	}
}

// look returns a topic, nil when it is not there. It is there when all its partitions have leaders.
func look(ctx context.Context, a *kadm.Client, t *topic) (*kadm.TopicDetail, error) {
	all, err := a.ListTopics(ctx, t.name)
	if err != nil {
		return nil, err
	}
	there, has := all[t.name]
	switch {
	case !has, errors.Is(there.Err, kerr.UnknownTopicOrPartition):
		return nil, nil
	case there.Err != nil:
		return nil, fmt.Errorf("look for topic %s: %w", t.name, there.Err)
	}
	for _, p := range there.Partitions {
		if p.Leader < 0 {
			return nil, fmt.Errorf("partition %d of %s has no leader yet: %w", p.Partition, t.name, errAgain)
		}
	}
	return &there, nil
}

func (b *Broker) makeTopic(ctx context.Context, a *kadm.Client, t *topic) error {
	there, err := look(ctx, a, t)
	if err != nil {
		return err
	}
	if there == nil {
		return b.createTopic(ctx, a, t)
	}
	configs, err := a.DescribeTopicConfigs(ctx, t.name)
	if err != nil {
		return err
	}
	is, err := configs.On(t.name, nil)
	if err != nil {
		return err
	}
	if is.Err != nil {
		return fmt.Errorf("read the settings of topic %s: %w", t.name, is.Err)
	}
	changes, err := b.adjust(ctx, a, t, there, is)
	if err != nil || len(changes) == 0 {
		return err
	}
	var alter []kadm.AlterConfig
	var said []string
	for name, value := range changes {
		alter = append(alter, kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: &value})
		said = append(said, name+" "+config(is, name)+" → "+value)
	}
	b.opts.Logger.Info("events: the topic's settings are changed", "topic", t.info.Name, "changes", said)
	answers, err := a.AlterTopicConfigs(ctx, alter, t.name)
	if err != nil {
		return err
	}
	answer, err := answers.On(t.name, nil)
	if err != nil {
		return err
	}
	if answer.Err != nil {
		return fmt.Errorf("change the settings of topic %s: %w (%s)", t.name, answer.Err, answer.ErrMessage)
	}
	return nil
}

// restore makes a topic again that was deleted behind the broker's back.
func (b *Broker) restore(ctx context.Context, t *topic) error {
	t.making.Lock()
	defer t.making.Unlock()
	if !t.gone.Load() {
		return nil
	}
	if !t.declared {
		if err := b.find(ctx, t); err != nil {
			return err
		}
		t.gone.Store(false)
		return nil
	}
	b.opts.Logger.Warn("events: the topic was deleted on the cluster, with all its events; it is made again, empty", "topic", t.info.Name)
	err := b.patiently(ctx, func(ctx context.Context, a *kadm.Client) error { return b.makeTopic(ctx, a, t) })
	if err != nil {
		return err
	}
	b.mu.Lock()
	producer := b.producers[t.maxBatch]
	b.mu.Unlock()
	if producer != nil {
		producer.PurgeTopicsFromProducing(t.name) // it knows the one before
	}
	t.gone.Store(false)
	return nil
}

// createTopic makes a topic, and has it looked at once more: another one may have been faster, and it takes a moment until brokers know it.
func (b *Broker) createTopic(ctx context.Context, a *kadm.Client, t *topic) error {
	cluster, err := a.BrokerMetadata(ctx)
	if err != nil {
		return err
	}
	replicas := t.info.Limits.Replicas
	if replicas == 0 {
		replicas = 1
		if len(cluster.Brokers) >= 3 {
			replicas = 3
		}
	}
	configs := map[string]*string{}
	for name, value := range t.configs(max(t.partitions, 0)) {
		configs[name] = &value
	}
	partitions := t.partitions
	if partitions == 0 {
		partitions = defaultPartitions
		for name, value := range t.configs(partitions) {
			configs[name] = &value
		}
	}
	cleanup := "delete"
	configs[configCleanup] = &cleanup
	if replicas >= 3 {
		two := "2" // so that what is acknowledged is on two
		configs[configInSync] = &two
	}
	made, err := a.CreateTopic(ctx, partitions, int16(replicas), configs, t.name)
	switch {
	case err == nil, errors.Is(err, kerr.TopicAlreadyExists):
		return errAgain
	case errors.Is(err, kerr.InvalidReplicationFactor):
		return fmt.Errorf("make topic %s with %d replicas: %w: the cluster has %d brokers, lower Limits.Replicas", t.name, replicas, err, len(cluster.Brokers))
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed):
		return fmt.Errorf("make topic %s: %w: let this user create it, or make it by hand and declare it as Topic.Foreign", t.name, err)
	case made.ErrMessage != "":
		return fmt.Errorf("make topic %s: %w (%s)", t.name, err, made.ErrMessage)
	}
	return fmt.Errorf("make topic %s: %w", t.name, err)
}

// configs are the settings that a topic with so many partitions should have.
func (t *topic) configs(partitions int32) map[string]string {
	l := t.info.Limits
	c := map[string]string{configAge: "-1", configBytes: "-1", configBatch: strconv.Itoa(int(t.batch()))}
	if l.MaxAge > 0 {
		c[configAge] = strconv.FormatInt(max(l.MaxAge.Milliseconds(), 1), 10)
	}
	if l.DropOldest && l.MaxBytes > 0 && partitions > 0 {
		each := max(l.MaxBytes/int64(partitions), 1)
		c[configBytes] = strconv.FormatInt(each, 10)
		// The oldest segment goes as a whole, so that there must be several.
		c[configSegment] = strconv.FormatInt(min(max(each/4, smallestSegment), largestSegment), 10)
	}
	return c
}

// batch is how large a batch of records must be allowed to be.
func (t *topic) batch() int32 {
	return int32(max(min(int64(t.info.Limits.MaxSize)+headroom, 1<<30), defaultBatch))
}

// config returns the value of a setting, "" when the cluster does not tell.
func config(is kadm.ResourceConfig, name string) string {
	for _, c := range is.Configs {
		if c.Key == name && c.Value != nil {
			return *c.Value
		}
	}
	return ""
}

// adjust compares a topic with what it should be. It returns the settings that are to be changed, or an error when events would be lost by
// that. Settings that no declaration has are left alone: they are the operator's.
func (b *Broker) adjust(ctx context.Context, a *kadm.Client, t *topic, there *kadm.TopicDetail, is kadm.ResourceConfig) (map[string]string, error) {
	var drift []string
	refuse := func(setting string, is, want any, why string) {
		drift = append(drift, fmt.Sprintf("%s is %v on the cluster and %v in the declaration, and %s", setting, is, want, why))
	}
	partitions := int32(len(there.Partitions))
	if t.partitions != 0 && t.partitions != partitions {
		refuse("the number of partitions", partitions, t.partitions, "with another one keys would move, and lose their order")
	}
	if p, has := there.Partitions[0]; has && t.info.Limits.Replicas != 0 && t.info.Limits.Replicas != len(p.Replicas) {
		refuse("Replicas", len(p.Replicas), t.info.Limits.Replicas, "that is changed on the cluster (kafka-reassign-partitions.sh)")
	}
	if policy := config(is, configCleanup); policy != "" && policy != "delete" {
		refuse(configCleanup, policy, "delete", "events would be dropped for others with the same key")
	}
	changes := make(map[string]string)
	for name, want := range t.configs(partitions) {
		have := config(is, name)
		if have == want {
			continue
		}
		changes[name] = want
		fewer, err := smaller(have, want)
		if err != nil {
			return nil, fmt.Errorf("topic %s: its %s on the cluster is %q, which is no number", t.name, name, have)
		}
		if !fewer {
			continue
		}
		switch name {
		case configAge:
			older, err := hasOlder(ctx, a, t, want)
			if err != nil {
				return nil, err
			}
			if older {
				refuse("MaxAge ("+name+")", have, want, "there are older events, which would be dropped")
			}
		case configBytes:
			more, err := hasMore(ctx, a, there, want)
			if err != nil {
				return nil, err
			}
			if more {
				refuse("MaxBytes ("+name+", of each partition)", have, want, "there is more, which would be dropped")
			}
		}
	}
	if drift != nil {
		return nil, fmt.Errorf("%w: topic %s: %s; change the declaration, or the topic with its events (kafka-configs.sh, kafka-topics.sh)", events.ErrDrift, t.name, drift)
	}
	t.maxBatch = t.batch()
	return changes, nil
}

// smaller says whether a limit gets lower; -1 is none.
func smaller(have, want string) (bool, error) {
	h, err := strconv.ParseInt(have, 10, 64)
	if err != nil {
		return false, err
	}
	w, err := strconv.ParseInt(want, 10, 64)
	return w >= 0 && (h < 0 || w < h), err
}

// hasOlder says whether there are events older than so many milliseconds.
func hasOlder(ctx context.Context, a *kadm.Client, t *topic, millis string) (bool, error) {
	age, err := strconv.ParseInt(millis, 10, 64)
	if err != nil {
		return false, err
	}
	first, err := listed(a.ListStartOffsets(ctx, t.name))
	if err != nil {
		return false, err
	}
	young, err := listed(a.ListOffsetsAfterMilli(ctx, time.Now().UnixMilli()-age, t.name))
	if err != nil {
		return false, err
	}
	for n, o := range young[t.name] {
		if f, has := first.Lookup(t.name, n); has && o.Offset > f.Offset {
			return true, nil
		}
	}
	return false, nil
}

// hasMore says whether a partition has more than so many bytes.
func hasMore(ctx context.Context, a *kadm.Client, t *kadm.TopicDetail, bytes string) (bool, error) {
	limit, err := strconv.ParseInt(bytes, 10, 64)
	if err != nil {
		return false, err
	}
	set := kadm.TopicsSet{}
	set.Add(t.Topic, t.Partitions.Numbers()...)
	all, err := a.DescribeAllLogDirs(ctx, set)
	if err != nil {
		return false, err
	}
	more := false
	all.Each(func(d kadm.DescribedLogDir) {
		d.Topics.Each(func(p kadm.DescribedLogDirPartition) { more = more || p.Size > limit })
	})
	return more, nil
}

// listed returns offsets when all are known.
func listed(all kadm.ListedOffsets, err error) (kadm.ListedOffsets, error) {
	if err == nil {
		err = all.Error()
	}
	return all, err
}
