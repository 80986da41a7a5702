package kafkaevents_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/hanse-go/hanse/events/kafkaevents"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cluster is a fake of Kafka.
type cluster struct {
	*kfake.Cluster
	t *testing.T
}

func newCluster(t *testing.T, opts ...kfake.Opt) *cluster {
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100 * time.Millisecond)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &cluster{c, t}
}

// broker returns one with clients of its own. It is closed at the end of the test.
func (c *cluster) broker(opts ...func(*kafkaevents.Options)) *kafkaevents.Broker {
	o := kafkaevents.Options{
		Brokers: c.ListenAddrs(), System: "test", Session: 2 * time.Second, HandOver: 5 * time.Second, CommitEvery: 50 * time.Millisecond,
		Logger: slog.New(slog.DiscardHandler),
	}
	for _, opt := range opts {
		opt(&o)
	}
	b := kafkaevents.New(o)
	c.t.Cleanup(b.Close)
	return b
}
