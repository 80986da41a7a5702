package kafkaevents_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/eventstest"
	"github.com/hanse-go/hanse/events/kafkaevents"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestSchemasOfMany has many programs store schemas at the same time: each revision has one that succeeds, and all see the same.
func TestSchemasOfMany(t *testing.T) {
	c := newCluster(t)
	const programs, each = 4, 5
	var brokers []*kafkaevents.Broker
	for range programs {
		b := c.broker()
		eventstest.Declare(t, b, "t")
		brokers = append(brokers, b)
	}
	ctx := eventstest.Within(t, 60*time.Second)
	var mu sync.Mutex
	after := make(map[uint64]string) // what succeeded, by the revision before
	var all sync.WaitGroup
	for n, b := range brokers {
		all.Go(func() {
			for done := 0; done < each; {
				_, revision, err := b.LoadSchema(ctx, "t")
				if err != nil {
					t.Errorf("LoadSchema: %v", err)
					return
				}
				text := fmt.Sprintf("%d of %d", done, n)
				ok, err := b.StoreSchema(ctx, "t", []byte(text), revision)
				if err != nil {
					t.Errorf("StoreSchema: %v", err)
					return
				}
				if ok {
					done++
					mu.Lock()
					if other, has := after[revision]; has {
						t.Errorf("after revision %d both %s and %s are stored", revision, other, text)
					}
					after[revision] = text
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	if len(after) != programs*each {
		t.Errorf("%d schemas were stored, want %d", len(after), programs*each)
	}
	want, _, err := c.broker().LoadSchema(ctx, "t")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range brokers {
		if got, _, err := b.LoadSchema(ctx, "t"); err != nil || string(got) != string(want) {
			t.Errorf("%q, %v; another one has %q", got, err, want)
		}
	}
}

// TestNoSchemas holds that a cluster which does not let their topic be made does without, and says so once.
func TestNoSchemas(t *testing.T) {
	for name, option := range map[string]func(*kafkaevents.Options){
		"Option": func(o *kafkaevents.Options) { o.NoSchemas = true },
		"Denied": func(*kafkaevents.Options) {},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			c.ControlKey(int16(kmsg.CreateTopics), func(r kmsg.Request) (kmsg.Response, error, bool) {
				c.KeepControl()
				create := r.(*kmsg.CreateTopicsRequest)
				if create.Topics[0].Topic != "test._schemas" {
					return nil, nil, false
				}
				answer := create.ResponseKind().(*kmsg.CreateTopicsResponse)
				one := kmsg.NewCreateTopicsResponseTopic()
				one.Topic, one.ErrorCode = create.Topics[0].Topic, kerr.TopicAuthorizationFailed.Code
				answer.Topics = append(answer.Topics, one)
				return answer, nil, true
			})
			var log lines
			b := c.declared(log.option, option)
			var keeper events.SchemaKeeper = b
			for range 2 {
				if text, revision, err := keeper.LoadSchema(t.Context(), "t"); err != nil || text != nil || revision != 0 {
					t.Errorf("LoadSchema: %q, %d, %v", text, revision, err)
				}
				if ok, err := keeper.StoreSchema(t.Context(), "t", []byte("x"), 0); err != nil || !ok {
					t.Errorf("StoreSchema: %v, %v", ok, err)
				}
			}
			if n := strings.Count(log.String(), "are not checked"); name == "Denied" && n != 1 || name == "Option" && n != 0 {
				t.Errorf("it is logged %d times:\n%s", n, log.String())
			}
			if all, err := kadm.NewClient(c.client()).ListTopics(t.Context()); err != nil || all.Has("test._schemas") {
				t.Errorf("topics %v, %v", all.Names(), err)
			}
		})
	}
}
