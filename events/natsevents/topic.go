package natsevents

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/driver"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Keys of the metadata of streams.
const (
	metaTopic      = "hanse-topic"
	metaPartitions = "hanse-partitions"
	metaKeyed      = "hanse-keyed"
)

// mostDelayed is how long an event that is due waits at most for a topic that is full.
const mostDelayed = 7 * 24 * time.Hour

// Declare implements [events.Broker].
func (b *Broker) Declare(ctx context.Context, info events.TopicInfo) error {
	if err := b.use(); err != nil {
		return err
	}
	if err := driver.CheckTopic(info.Name); err != nil {
		return err
	}
	info.Limits = info.Limits.WithDefaults()
	t := b.newTopic(info)
	if info.Delayed {
		if err := b.patiently(ctx, b.makeLater); err != nil {
			return fmt.Errorf("make the stream of events that are due later: %w", explain(err))
		}
	}
	if err := b.patiently(ctx, func(ctx context.Context) error { return b.makeTopic(ctx, t) }); err != nil {
		return b.noRoom(ctx, t, explain(err))
	}
	b.topics.Store(info.Name, t)
	return nil
}

// noRoom says how much room is missing, when that is why the topic is refused. Servers set aside for a stream what it may take.
func (b *Broker) noRoom(ctx context.Context, t *topic, err error) error {
	if !isCode(err, codeNoResources, codeNoStorage) {
		return err
	}
	wants := "what it takes"
	if most := t.info.Limits.MaxBytes; most > 0 {
		wants = size(uint64(most)) + " (Limits.MaxBytes)"
	}
	ctx, cancel := b.request(ctx)
	defer cancel()
	info, infoErr := b.js.AccountInfo(ctx)
	switch {
	case infoErr != nil:
	case info.Limits.MaxStore == 1: // so embednats refuses
		return fmt.Errorf("the broker's disk is full: make room there: %w", err)
	case info.Limits.MaxStore > 0:
		return fmt.Errorf("the broker cannot set %s aside: %s of the %s that the account may have are set aside already: %w",
			wants, size(info.ReservedStore), size(uint64(info.Limits.MaxStore)), err)
	default:
		return fmt.Errorf("the broker cannot set %s aside: %s are set aside for others already, and it may not keep as much together: %w", wants, size(info.ReservedStore), err)
	}
	return fmt.Errorf("the broker cannot set %s aside: %w", wants, err)
}

// size writes a number of bytes.
func size(n uint64) string {
	for _, unit := range []struct {
		name  string
		bytes uint64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= unit.bytes {
			return strconv.FormatFloat(float64(n)/float64(unit.bytes), 'f', 1, 64) + " " + unit.name
		}
	}
	return strconv.FormatUint(n, 10) + " bytes"
}

func (b *Broker) newTopic(info events.TopicInfo) *topic {
	return &topic{
		info: info, stream: b.names.stream(info.Name), lanes: b.names.subjects("events", info.Name),
		due: b.names.subjects("due", info.Name), later: b.names.system + ".later." + info.Name + ".",
	}
}

// find returns what a topic was declared as by another program.
func (b *Broker) find(ctx context.Context, name string) (info events.TopicInfo, err error) {
	if driver.CheckTopic(name) != nil {
		return info, errors.New("that is no name of a topic")
	}
	s, err := b.js.Stream(ctx, b.names.stream(name))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return info, errors.New("it was not declared")
	}
	if err != nil {
		return info, err
	}
	return b.infoOf(name, s.CachedInfo().Config), nil
}

// infoOf returns what a stream says of its topic. Of one that an older program declared it is not known whether there are keys.
func (b *Broker) infoOf(name string, c jetstream.StreamConfig) events.TopicInfo {
	info := events.TopicInfo{
		Name: name, Keyed: c.Metadata[metaKeyed] != "false", Delayed: slices.ContainsFunc(c.Sources, b.isLater),
		Limits: events.Limits{
			MaxAge: c.MaxAge, MaxBytes: c.MaxBytes, MaxMessages: c.MaxMsgs, MaxSize: int(c.MaxMsgSize), Replicas: c.Replicas, DropOldest: c.Discard == jetstream.DiscardOld,
		},
	}
	if c.MaxAge == 0 {
		info.Limits.MaxAge = -1
	}
	return info
}

func (b *Broker) isLater(s *jetstream.StreamSource) bool { return s.Name == b.names.later() }

// restore makes the topic again, when it was deleted behind the broker's back.
func (b *Broker) restore(ctx context.Context, t *topic) error {
	_, err := b.js.Stream(ctx, t.stream)
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return err
	}
	b.opts.Logger.Warn("events: the topic was deleted on the broker, with all its events; it is made again, empty", "topic", t.info.Name)
	return b.makeTopic(ctx, t)
}

func (b *Broker) makeTopic(ctx context.Context, t *topic) error {
	for {
		s, err := b.js.Stream(ctx, t.stream)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			err = b.createStream(ctx, b.config(t), t.info.Limits.Replicas)
			if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
				continue // another one was faster: compare
			}
			return err
		case err != nil:
			return err
		}
		have := s.CachedInfo()
		next, changes, err := b.adjust(t, have)
		if err != nil || len(changes) == 0 {
			return err
		}
		b.opts.Logger.Info("events: the topic's settings are changed", "topic", t.info.Name, "changes", changes)
		_, err = b.js.UpdateStream(ctx, next)
		return err
	}
}

// createStream makes a stream with the replicas that were asked for, or with three of them unless the server is alone. While too few
// servers of a cluster can keep it the error asks for a repetition: with fewer replicas events would be lost with a server.
func (b *Broker) createStream(ctx context.Context, c jetstream.StreamConfig, replicas int) error {
	c.Replicas = cmp.Or(replicas, 3)
	_, err := b.js.CreateStream(ctx, c)
	if replicas == 0 && isCode(err, codeNoReplicas) {
		c.Replicas = 1
		_, err = b.js.CreateStream(ctx, c)
	}
	return tooFew(err, c.Replicas)
}

// tooFew asks for a repetition when the servers of a cluster that are there cannot keep a stream.
func tooFew(err error, replicas int) error {
	if !isCode(err, codeNoPeers) {
		return err
	}
	return againError{fmt.Errorf("fewer than %d servers of the cluster are there and have room for it: start them, or set Limits.Replicas: %w", replicas, err)}
}

// config is what the stream of a topic should be.
func (b *Broker) config(t *topic) jetstream.StreamConfig {
	l := t.info.Limits
	c := jetstream.StreamConfig{
		Name:        t.stream,
		Description: "topic " + t.info.Name,
		Subjects:    []string{t.lanes[0], t.lanes[0] + "._.*"},
		Storage:     jetstream.FileStorage,
		Discard:     jetstream.DiscardNew,
		MaxAge:      max(l.MaxAge, 0),
		MaxBytes:    l.MaxBytes,
		MaxMsgs:     l.MaxMessages,
		MaxMsgSize:  int32(l.MaxSize),
		Duplicates:  b.opts.Dedup,
		AllowDirect: true,
		Metadata:    map[string]string{metaTopic: t.info.Name, metaPartitions: strconv.Itoa(partitions), metaKeyed: strconv.FormatBool(t.info.Keyed)},
	}
	if l.DropOldest {
		c.Discard = jetstream.DiscardOld
	}
	if c.MaxAge > 0 {
		c.Duplicates = min(c.Duplicates, c.MaxAge)
	}
	if t.info.Delayed {
		c.Sources = []*jetstream.StreamSource{{
			Name: b.names.later(),
			SubjectTransforms: []jetstream.SubjectTransformConfig{
				{Source: t.due[0], Destination: t.lanes[0]},
				{Source: t.due[0] + "._.*", Destination: t.lanes[0] + "._.{{wildcard(1)}}"},
			},
		}}
	}
	return c
}

// adjust compares a stream with what it should be. It returns what it is to become and the changes, or an error when events would be lost by
// them. Settings that no declaration has are left alone: they are the operator's.
func (b *Broker) adjust(t *topic, is *jetstream.StreamInfo) (next jetstream.StreamConfig, changes []string, err error) {
	next = is.Config
	want := b.config(t)
	var drift []string
	refuse := func(setting string, is, want any, why string) {
		drift = append(drift, fmt.Sprintf("%s is %v on the broker and %v in the declaration, and %s", setting, is, want, why))
	}
	change := func(setting string, is, want any) {
		changes = append(changes, fmt.Sprintf("%s %v → %v", setting, is, want))
	}

	for _, subject := range want.Subjects {
		if !slices.Contains(is.Config.Subjects, subject) {
			refuse("the stream's subjects", is.Config.Subjects, want.Subjects, "it may be someone else's")
			break
		}
	}
	if is.Config.Retention != want.Retention {
		refuse("retention", is.Config.Retention, want.Retention, "it cannot change")
	}
	if is.Config.Storage != want.Storage {
		refuse("storage", is.Config.Storage, want.Storage, "it cannot change")
	}
	if is.Config.Sealed {
		refuse("sealed", true, false, "it cannot change")
	}
	if p := is.Config.Metadata[metaPartitions]; p != "" && p != want.Metadata[metaPartitions] {
		refuse("the number of partitions", p, partitions, "the order of keys would be lost")
	}

	s := is.State
	if is.Config.MaxAge != want.MaxAge {
		if want.MaxAge > 0 && s.Msgs > 0 && is.TimeStamp.Sub(s.FirstTime) > want.MaxAge {
			refuse("MaxAge", forever(is.Config.MaxAge), forever(want.MaxAge), "there are older events, which would be dropped")
		}
		change("MaxAge", forever(is.Config.MaxAge), forever(want.MaxAge))
		next.MaxAge = want.MaxAge
	}
	if is.Config.MaxBytes != want.MaxBytes {
		if want.MaxBytes >= 0 && s.Bytes > uint64(want.MaxBytes) {
			refuse("MaxBytes", is.Config.MaxBytes, want.MaxBytes, fmt.Sprintf("there are %d bytes", s.Bytes))
		}
		change("MaxBytes", is.Config.MaxBytes, want.MaxBytes)
		next.MaxBytes = want.MaxBytes
	}
	if is.Config.MaxMsgs != want.MaxMsgs {
		if want.MaxMsgs >= 0 && s.Msgs > uint64(want.MaxMsgs) {
			refuse("MaxMessages", is.Config.MaxMsgs, want.MaxMsgs, fmt.Sprintf("there are %d events", s.Msgs))
		}
		change("MaxMessages", is.Config.MaxMsgs, want.MaxMsgs)
		next.MaxMsgs = want.MaxMsgs
	}
	if is.Config.MaxMsgSize != want.MaxMsgSize {
		change("MaxSize", is.Config.MaxMsgSize, want.MaxMsgSize)
		next.MaxMsgSize = want.MaxMsgSize
	}
	if is.Config.Discard != want.Discard {
		change("DropOldest", is.Config.Discard == jetstream.DiscardOld, want.Discard == jetstream.DiscardOld)
		next.Discard = want.Discard
	}
	if is.Config.Duplicates != want.Duplicates {
		change("Dedup", is.Config.Duplicates, want.Duplicates)
		next.Duplicates = want.Duplicates
	}
	if r := t.info.Limits.Replicas; r != 0 && r != is.Config.Replicas {
		change("Replicas", is.Config.Replicas, r)
		next.Replicas = r
	}
	if t.info.Delayed && !slices.ContainsFunc(is.Config.Sources, b.isLater) {
		change("Delayed", false, true)
		next.Sources = append(slices.Clone(next.Sources), want.Sources...)
	}
	if keyed := next.Metadata[metaKeyed]; next.Metadata[metaTopic] != t.info.Name || next.Metadata[metaPartitions] == "" || keyed != want.Metadata[metaKeyed] {
		if keyed != "" {
			change("Keyed", keyed, t.info.Keyed)
		} else {
			change("metadata", "older", "added")
		}
		next.Metadata = maps.Clone(next.Metadata)
		if next.Metadata == nil {
			next.Metadata = make(map[string]string)
		}
		maps.Copy(next.Metadata, want.Metadata)
	}
	if drift != nil {
		return next, nil, fmt.Errorf("%w: stream %s: %s; change the declaration, or the stream with its events (nats stream edit %s)", events.ErrDrift, t.stream, drift, t.stream)
	}
	return next, changes, nil
}

func forever(age time.Duration) string {
	if age == 0 {
		return "for ever"
	}
	return age.String()
}

// makeLater makes the stream of what is due later. It can have no limits: the server has schedules only in streams that drop the oldest,
// and nothing may be dropped here.
func (b *Broker) makeLater(ctx context.Context) error {
	_, err := b.js.Stream(ctx, b.names.later())
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return err
	}
	err = b.createStream(ctx, jetstream.StreamConfig{
		Name:              b.names.later(),
		Description:       "events that are due later",
		Subjects:          []string{b.names.system + ".later.>", b.names.system + ".due.>"},
		Storage:           jetstream.FileStorage,
		Discard:           jetstream.DiscardOld,
		MaxMsgs:           -1,
		MaxBytes:          -1,
		Duplicates:        b.opts.Dedup,
		AllowDirect:       true,
		AllowMsgTTL:       true,
		AllowRollup:       true,
		AllowMsgSchedules: true,
	}, 0)
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return nil
	}
	return err
}

// outgoing is the message for an event: to the topic, or to the schedules.
func (t *topic) outgoing(m *events.Message) (*nats.Msg, error) {
	h, err := header(m)
	if err != nil {
		return nil, events.Permanent(err)
	}
	if limit := t.info.Limits.MaxSize; limit > 0 && len(m.Data) > limit {
		return nil, fmt.Errorf("%w: %d bytes, and the topic %s takes %d: raise Limits.MaxSize, or publish a reference to the data",
			events.ErrTooLarge, len(m.Data), t.info.Name, limit)
	}
	n := lane(m.Key)
	msg := &nats.Msg{Subject: t.lanes[n], Header: h, Data: m.Data}
	if m.Due.IsZero() || !m.Due.After(time.Now()) {
		return msg, nil
	}
	if !t.info.Delayed {
		return nil, fmt.Errorf("%w: the topic %s was not declared with Delayed", events.ErrUnsupported, t.info.Name)
	}
	// A subject has one schedule, so each event has its own.
	sum := sha256.Sum256([]byte(m.Identity()))
	msg.Subject = t.later + hex.EncodeToString(sum[:16])
	keep := mostDelayed
	if age := t.info.Limits.MaxAge; age > 0 {
		keep = max(min(keep, age), time.Second)
	}
	h[headerSchedule] = []string{"@at " + m.Due.UTC().Format(time.RFC3339Nano)}
	h[headerScheduleTarget] = []string{t.due[n]}
	h[headerScheduleTTL] = []string{keep.Round(time.Second).String()}
	return msg, nil
}
