// Package tally is the load of the tests of events: marks, which have a key and a number that grows within the key, so that a reader of what was
// handled can tell what is missing, was handled twice, or came out of order.
package tally

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/events"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Text is what an event of the tests carries: a mark, as text.
type Text = *wrapperspb.StringValue

// Marks is the topic of the programs.
var Marks = NewTopic("tally.marks", events.Limits{})

// NewTopic declares a topic of marks, in the order of their keys.
func NewTopic(name string, limits events.Limits) *events.Topic[Text] {
	return events.NewTopic[Text](name, limits, events.Key(func(m Text) string {
		mark, _ := Parse(m.GetValue()) // what is none has no key
		return mark.Key
	}))
}

// Group is who handles the marks.
const Group = "tally"

// Mark is the content of one event.
type Mark struct {
	Key    string
	Number int64
}

// String returns it as text.
func (m Mark) String() string { return m.Key + ":" + strconv.FormatInt(m.Number, 10) }

// Event returns it as what an event carries.
func (m Mark) Event() Text { return wrapperspb.String(m.String()) }

// Large is Event with so many bytes more.
func (m Mark) Large(more int) Text {
	return wrapperspb.String(m.String() + " " + strings.Repeat("x", more))
}

// Parse reads what an event carries, or String wrote.
func Parse(text string) (Mark, error) {
	text, _, _ = strings.Cut(text, " ")
	key, number, ok := strings.Cut(text, ":")
	n, err := strconv.ParseInt(number, 10, 64)
	if !ok || err != nil {
		return Mark{}, fmt.Errorf("%q is no mark", text)
	}
	return Mark{key, n}, nil
}

// Entry is a line of what was written down of a mark.
type Entry struct {
	Mark
	Published time.Time // by the publisher's clock
	At        time.Time // it was written down
	By        int       // the process
}

// Line returns it as a line.
func (e Entry) Line() string {
	return fmt.Sprintf("%s %d %d %d\n", e.Mark, e.Published.UnixNano(), e.At.UnixNano(), e.By)
}

// ParseLine reads what Line wrote.
func ParseLine(line string) (e Entry, err error) {
	fields := strings.Fields(line)
	if len(fields) != 4 {
		return e, fmt.Errorf("%q is no entry", line)
	}
	if e.Mark, err = Parse(fields[0]); err != nil {
		return e, err
	}
	var numbers [3]int64
	for i, field := range fields[1:] {
		if numbers[i], err = strconv.ParseInt(field, 10, 64); err != nil {
			return e, fmt.Errorf("%q is no entry: %w", line, err)
		}
	}
	e.Published, e.At, e.By = time.Unix(0, numbers[0]), time.Unix(0, numbers[1]), int(numbers[2])
	return e, nil
}
