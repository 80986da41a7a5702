package kafkaevents

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Options are what a broker can be told. Brokers, or a seed in Opts, is needed; the rest has defaults.
type Options struct {
	// Brokers are addresses, host:port, of some brokers of the cluster. The others are found by these.
	Brokers []string

	// System begins the names of topics and groups, so that systems, and other programs, can share a cluster. Default: "default".
	System string

	// Topics says what is special about single topics, by the names that package events has for them.
	Topics map[string]Topic

	// TopicName returns the name on Kafka of a topic that Topics has no name for. Default: SYSTEM.TOPIC, such as shop.orders.placed.
	TopicName func(topic string) string

	// GroupName returns the name on Kafka of a group. Default: SYSTEM.TOPIC:GROUP, such as shop.orders.placed:mailer. No two groups may
	// get the same.
	GroupName func(topic, group string) string

	// Partitions is how many partitions a topic is made with; as many members of a group can work at the same time. Default: 16, and topics
	// that are there keep what they have. A number that is not that of a topic is an error.
	Partitions int

	// Session is how long a member may be silent before others take its partitions over. Brokers refuse less than their
	// group.min.session.timeout.ms, which is 6 s. Default: 10 s.
	Session time.Duration

	// HandOver is how long a member that has to give partitions to another one finishes what it holds of them. What it has not finished then
	// is handled again by the other one. Default: 30 s.
	HandOver time.Duration

	// CommitEvery is how often a member tells the cluster what is settled. What is settled since then is delivered again when the member
	// crashes. Default: 200 ms.
	CommitEvery time.Duration

	// NoSchemas has the types of messages not checked against what topics carried before, and the topic SYSTEM._schemas, which keeps that,
	// not made.
	NoSchemas bool

	// Opts are further options of all clients, such as kgo.SASL and kgo.DialTLSConfig.
	Opts []kgo.Opt

	// Logger gets a warning when a broker goes away, and what else passes by itself. Default: [slog.Default].
	Logger *slog.Logger
}

// Topic says what is special about a topic on Kafka. The zero value is nothing.
type Topic struct {
	// Name is its name on Kafka. Default: what Options.TopicName returns.
	Name string

	// Codec reads and writes its records. Default: [CloudEvents].
	Codec Codec

	// Partitions is as in Options, for this topic.
	Partitions int

	// Foreign says that the topic belongs to others: it must be there, and its settings are left as they are, whatever was declared.
	Foreign bool
}

const (
	defaultPartitions = 16
	mostName          = 249 // bytes of the name of a topic of Kafka
)

var legalName = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)

func (o Options) withDefaults() Options {
	o.System = cmp.Or(o.System, "default")
	o.Session = cmp.Or(o.Session, 10*time.Second)
	o.HandOver = cmp.Or(o.HandOver, 30*time.Second)
	o.CommitEvery = cmp.Or(o.CommitEvery, 200*time.Millisecond)
	if o.TopicName == nil {
		o.TopicName = func(topic string) string { return o.System + "." + topic }
	}
	if o.GroupName == nil {
		o.GroupName = func(topic, group string) string { return o.System + "." + topic + ":" + group }
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

func (o Options) check() error {
	var errs []error
	if !legalName.MatchString(o.System) {
		errs = append(errs, fmt.Errorf("the System %q: want letters, digits, '.', '_' and '-'", o.System))
	}
	for name, d := range map[string]time.Duration{"Session": o.Session, "HandOver": o.HandOver, "CommitEvery": o.CommitEvery} {
		if d < time.Millisecond {
			errs = append(errs, fmt.Errorf("%s %v: it must be positive", name, d))
		}
	}
	if o.Partitions < 0 {
		errs = append(errs, fmt.Errorf("the Partitions %d: want 1 or more, or 0 for the default", o.Partitions))
	}
	for name, t := range o.Topics {
		if t.Partitions < 0 {
			errs = append(errs, fmt.Errorf("the Topics[%q].Partitions %d: want 1 or more, or 0 for the default", name, t.Partitions))
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("kafkaevents: %w", errors.Join(errs...))
	}
	return nil
}

// clientOpts are those of all clients, with others before those of the user.
func (b *Broker) clientOpts(more ...kgo.Opt) []kgo.Opt {
	opts := []kgo.Opt{
		kgo.WithHooks(b.trouble),
		kgo.MetadataMinAge(time.Second), // so that a new leader of a partition is found soon
	}
	if len(b.opts.Brokers) > 0 {
		opts = append(opts, kgo.SeedBrokers(b.opts.Brokers...))
	}
	return append(append(opts, more...), b.opts.Opts...)
}
