package kafkaevents_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/eventstest"
	"github.com/hanse-go/hanse/events/kafkaevents"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// settings returns what a topic on the cluster has.
func settings(t *testing.T, a *kadm.Client, topic string) map[string]string {
	t.Helper()
	all, err := a.DescribeTopicConfigs(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	is, err := all.On(topic, nil)
	if err != nil || is.Err != nil {
		t.Fatal(err, is.Err)
	}
	have := make(map[string]string)
	for _, c := range is.Configs {
		if c.Value != nil {
			have[c.Key] = *c.Value
		}
	}
	return have
}

func TestTopicIsMade(t *testing.T) {
	for _, test := range []struct {
		name               string
		brokers            int
		options            func(*kafkaevents.Options)
		limits             events.Limits
		topic              string
		partitions, copies int
		want               map[string]string
	}{
		{
			"Defaults", 1, func(*kafkaevents.Options) {}, events.Limits{}, "test.t", 16, 1,
			map[string]string{"retention.ms": "604800000", "retention.bytes": "-1", "max.message.bytes": "1114112", "cleanup.policy": "delete", "min.insync.replicas": "1"},
		},
		{
			"Cluster", 3, func(o *kafkaevents.Options) { o.Partitions = 4 }, events.Limits{MaxAge: -1, MaxSize: 5 << 20}, "test.t", 4, 3,
			map[string]string{"retention.ms": "-1", "max.message.bytes": "5308416", "min.insync.replicas": "2"},
		},
		{
			"Dropping", 3, func(o *kafkaevents.Options) { o.TopicName = func(s string) string { return "x_" + s } },
			events.Limits{MaxBytes: 160 << 20, DropOldest: true, Replicas: 2, MaxAge: time.Second}, "x_t", 16, 2,
			map[string]string{"retention.ms": "1000", "retention.bytes": "10485760", "segment.bytes": "2621440", "min.insync.replicas": "1"},
		},
		{
			"Named", 1, func(o *kafkaevents.Options) {
				o.Topics = map[string]kafkaevents.Topic{"t": {Name: "Some.Thing_else", Partitions: 2}}
			}, events.Limits{MaxBytes: -1, DropOldest: true}, "Some.Thing_else", 2, 1, map[string]string{"retention.bytes": "-1"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCluster(t, kfake.NumBrokers(test.brokers))
			b := c.broker(test.options)
			for range 2 {
				eventstest.Declare(t, b, "t", func(i *events.TopicInfo) { i.Limits = test.limits })
			}
			a := kadm.NewClient(c.client())
			there, err := a.ListTopics(t.Context(), test.topic)
			if err != nil || there[test.topic].Err != nil {
				t.Fatal(err, there[test.topic].Err)
			}
			if p := there[test.topic].Partitions; len(p) != test.partitions || len(p[0].Replicas) != test.copies {
				t.Errorf("%d partitions on %d brokers, want %d on %d", len(p), len(p[0].Replicas), test.partitions, test.copies)
			}
			have := settings(t, a, test.topic)
			for name, want := range test.want {
				if have[name] != want {
					t.Errorf("%s is %s, want %s", name, have[name], want)
				}
			}
			mustPublish(t, b, "t", "1")
		})
	}
}

func TestDrift(t *testing.T) {
	hour := func(i *events.TopicInfo) { i.Limits.MaxAge = time.Hour }
	for _, test := range []struct {
		name    string
		is      map[string]string // settings that an operator has made
		options func(*kafkaevents.Options)
		event   time.Duration // how old an event is that is there; 0: none
		change  func(*events.TopicInfo)
		drift   string // what the error says, "" for a change
		want    map[string]string
	}{
		{name: "Longer", change: func(i *events.TopicInfo) { i.Limits.MaxAge = 30 * 24 * time.Hour }, event: time.Minute, want: map[string]string{"retention.ms": "2592000000"}},
		{name: "ForEver", change: func(i *events.TopicInfo) { i.Limits.MaxAge = -1 }, want: map[string]string{"retention.ms": "-1"}},
		{name: "Shorter", change: hour, event: time.Minute, want: map[string]string{"retention.ms": "3600000"}},
		{name: "ShorterEmpty", change: hour, want: map[string]string{"retention.ms": "3600000"}},
		{name: "ShorterThanEvents", change: hour, event: 2 * time.Hour, drift: "MaxAge (retention.ms) is 604800000 on the cluster and 3600000 in the declaration, and there are older events", want: map[string]string{"retention.ms": "604800000"}},
		{name: "Larger", change: func(i *events.TopicInfo) { i.Limits.MaxSize = 3 << 20 }, event: time.Minute, want: map[string]string{"max.message.bytes": "3211264"}},
		{name: "Dropping", change: func(i *events.TopicInfo) { i.Limits.MaxBytes, i.Limits.DropOldest = 1<<20, true }, want: map[string]string{"retention.bytes": "1048576"}},
		{name: "DroppingTooMuch", change: func(i *events.TopicInfo) { i.Limits.MaxBytes, i.Limits.DropOldest = 10, true }, event: time.Minute, drift: "MaxBytes", want: map[string]string{"retention.bytes": "-1"}},
		{name: "NotDropping", is: map[string]string{"retention.bytes": "1000000"}, change: hour, want: map[string]string{"retention.bytes": "-1"}},
		{name: "Compacted", is: map[string]string{"cleanup.policy": "compact"}, change: hour, drift: "cleanup.policy", want: map[string]string{"cleanup.policy": "compact"}},
		{name: "Partitions", options: func(o *kafkaevents.Options) { o.Partitions = 2 }, change: hour, drift: "the number of partitions is 1 on the cluster and 2 in the declaration", want: map[string]string{"retention.ms": "604800000"}},
		{name: "AnyPartitions", options: func(o *kafkaevents.Options) { o.Partitions = 0 }, change: hour, want: map[string]string{"retention.ms": "3600000"}},
		{name: "Replicas", change: func(i *events.TopicInfo) { i.Limits.Replicas = 2 }, drift: "Replicas is 1 on the cluster and 2"},
		{name: "Operator", is: map[string]string{"segment.bytes": "12345678", "compression.type": "lz4"}, change: hour, want: map[string]string{"segment.bytes": "12345678", "compression.type": "lz4"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCluster(t)
			c.declared()
			a := kadm.NewClient(c.client())
			for name, value := range test.is {
				answer, err := a.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: name, Value: &value}}, "test.t")
				if err != nil || answer[0].Err != nil {
					t.Fatal(err, answer)
				}
			}
			if test.event > 0 {
				old := &kgo.Record{Topic: "test.t", Value: []byte("old"), Timestamp: time.Now().Add(-test.event)}
				if err := c.client().ProduceSync(t.Context(), old).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			if test.options == nil {
				test.options = func(o *kafkaevents.Options) { o.Partitions = 1 }
			}
			err := c.broker(test.options).Declare(eventstest.Within(t, 10*time.Second), eventstest.Topic("t", test.change))
			switch {
			case test.drift == "" && err != nil:
				t.Errorf("Declare: %v", err)
			case test.drift != "" && (!errors.Is(err, events.ErrDrift) || !strings.Contains(err.Error(), test.drift)):
				t.Errorf("Declare: %v; want ErrDrift that says %q", err, test.drift)
			}
			have := settings(t, a, "test.t")
			for name, want := range test.want {
				if have[name] != want {
					t.Errorf("%s is %s, want %s", name, have[name], want)
				}
			}
		})
	}
}

func TestDeclareRefused(t *testing.T) {
	c := newCluster(t)
	for _, test := range []struct {
		name    string
		options func(*kafkaevents.Options)
		change  func(*events.TopicInfo)
		is      error
		says    string
	}{
		{"Delayed", nil, func(i *events.TopicInfo) { i.Delayed = true }, events.ErrUnsupported, "Kafka delivers no event at a time"},
		{"DropByNumber", nil, func(i *events.TopicInfo) { i.Limits.DropOldest, i.Limits.MaxMessages = true, 10 }, events.ErrUnsupported, "MaxBytes instead of MaxMessages"},
		{"Replicas", nil, func(i *events.TopicInfo) { i.Limits.Replicas = 3 }, nil, "lower Limits.Replicas"},
		{"Foreign", func(o *kafkaevents.Options) { o.Topics = map[string]kafkaevents.Topic{"t": {Foreign: true}} }, nil, nil, "the cluster has no topic test.t"},
		{"Name", func(o *kafkaevents.Options) { o.System = "shop:1" }, nil, nil, `System "shop:1"`},
		{"TopicName", func(o *kafkaevents.Options) { o.TopicName = func(string) string { return "a/b" } }, nil, nil, `"a/b"`},
		{"Session", func(o *kafkaevents.Options) { o.Session = -1 }, nil, nil, "Session"},
		{"NoBrokers", func(o *kafkaevents.Options) { o.Opts = append(o.Opts, kgo.SeedBrokers()) }, nil, nil, "seed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &cluster{c.Cluster, t}
			if test.options == nil {
				test.options = func(*kafkaevents.Options) {}
			}
			if test.change == nil {
				test.change = func(*events.TopicInfo) {}
			}
			err := c.broker(test.options).Declare(eventstest.Within(t, 10*time.Second), eventstest.Topic("t", test.change))
			if err == nil || test.is != nil && !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("Declare: %v; want %v that says %q", err, test.is, test.says)
			}
		})
	}
}

// TestForeign holds that a topic of others is used as it is.
func TestForeign(t *testing.T) {
	c := newCluster(t, kfake.SeedTopics(3, "theirs"))
	b := c.broker(func(o *kafkaevents.Options) {
		o.Partitions = 16
		o.Topics = map[string]kafkaevents.Topic{"t": {Name: "theirs", Foreign: true}}
	})
	a := kadm.NewClient(c.client())
	before := settings(t, a, "theirs")
	eventstest.Declare(t, b, "t", func(i *events.TopicInfo) {
		i.Limits.MaxAge, i.Limits.MaxSize, i.Limits.Replicas = time.Minute, 5<<20, 3
	})
	for name, is := range settings(t, a, "theirs") {
		if is != before[name] {
			t.Errorf("%s was %s and is %s", name, before[name], is)
		}
	}
	big := eventstest.Event("big", "k")
	big.Data = make([]byte, 3<<20)
	if err := eventstest.Send(eventstest.Within(t, 10*time.Second), b, "t", big); !errors.Is(err, events.ErrTooLarge) {
		t.Errorf("more than their topic takes: %v, want ErrTooLarge", err)
	}
	mustPublish(t, b, "t", "1")
}

// TestLargest publishes events as large as topics may take, of several sizes by one broker.
func TestLargest(t *testing.T) {
	c := newCluster(t)
	b := c.broker()
	for name, size := range map[string]int{"small": 1 << 20, "large": 5 << 20} {
		eventstest.Declare(t, b, name, func(i *events.TopicInfo) { i.Limits.MaxSize = size })
		m := eventstest.Event("1", "k")
		m.Data = make([]byte, size)
		if err := eventstest.Send(eventstest.Within(t, 20*time.Second), b, name, m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		m.Data = make([]byte, size+1)
		if err := eventstest.Send(eventstest.Within(t, 20*time.Second), b, name, m); !errors.Is(err, events.ErrTooLarge) {
			t.Errorf("%s, a byte more: %v, want ErrTooLarge", name, err)
		}
		got := eventstest.Take(t, eventstest.Subscribe(t, b, subscription("g", "1", func(s *events.SubscriptionInfo) { s.Topic = name })), 1)[0]
		if len(got.Message().Data) != size {
			t.Errorf("%s: got %d bytes, want %d", name, len(got.Message().Data), size)
		}
		eventstest.Ack(t, got)
	}
}
