package rabbitevents

import (
	"fmt"
	"time"

	"github.com/hanse-go/hanse/events"
)

// delay has an event that is due later wait.
func (b *Broker) delay(o *outgoing, m *events.Message) error {
	if m.Due.IsZero() || !m.Due.After(time.Now()) {
		return nil
	}
	return fmt.Errorf("%w: delays", events.ErrUnsupported)
}
