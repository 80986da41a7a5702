package rabbitevents

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/hanse-go/hanse/events/driver"
	amqp "github.com/rabbitmq/amqp091-go"
)

// Options are what a broker can be told. The zero value works.
type Options struct {
	// System tells systems apart that share a virtual host: those with different names never meet. Default: "default".
	System string

	// TLS is for amqps:// URLs. Default: the roots of the machine, and no certificate to show.
	TLS *tls.Config

	// Partitions is how many queues an ordered group has, and so how many of its members can work at a time. Each is a quorum queue, which costs the
	// servers some memory also when it is idle. It must be the same in all programs of a system, and cannot change while there are groups.
	// Default: 8; at most 64.
	Partitions int

	// Lease is how long a member of an ordered group may be silent before others ask for its keys. RabbitMQ gives them to one member
	// at a time whatever they ask. Default: 3 s; at least 300 ms.
	Lease time.Duration

	// MaxPending is how many events may be on their way to the server, not yet confirmed; Publish waits when there are more.
	// Default: 4096.
	MaxPending int

	// Logger gets a warning when the server goes away, and what else passes by itself. Default: [slog.Default].
	Logger *slog.Logger
}

func (o *Options) setDefaults() {
	o.System = cmp.Or(o.System, "default")
	o.Partitions = cmp.Or(o.Partitions, 8)
	o.Lease = cmp.Or(o.Lease, 3*time.Second)
	o.MaxPending = cmp.Or(o.MaxPending, 4096)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}

// mostSystem leaves room for topic, group and partition in 255 bytes.
const mostSystem = 48

func (o *Options) check() error {
	switch {
	case len(driver.Token(o.System)) > mostSystem:
		return fmt.Errorf("rabbitevents: System %q: want up to %d letters, digits and '-'", o.System, mostSystem)
	case o.Partitions < 1 || o.Partitions > 64:
		return fmt.Errorf("rabbitevents: Partitions %d: want 1 to 64", o.Partitions)
	case o.Lease < 300*time.Millisecond:
		return fmt.Errorf("rabbitevents: Lease %v: want at least 300ms", o.Lease)
	case o.MaxPending < 1:
		return fmt.Errorf("rabbitevents: MaxPending %d: want at least 1", o.MaxPending)
	}
	return nil
}

// server is one that a broker can connect to.
type server struct {
	url  string // with the password: never to be shown
	host string
}

// errURL never shows the URL, which has a password.
var errURL = errors.New("rabbitevents: the URL cannot be read: want amqp://USER:PASSWORD@HOST:PORT,HOST:PORT/VHOST, or amqps:// for TLS, with special characters of the password and the virtual host percent-encoded")

// parseURL returns the servers of a URL, whose hosts are separated by commas.
func parseURL(text string) ([]server, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || scheme != "amqp" && scheme != "amqps" {
		return nil, errURL
	}
	end := len(rest)
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		end = i
	}
	hosts, tail, user := rest[:end], rest[end:], ""
	if at := strings.LastIndexByte(hosts, '@'); at >= 0 {
		user, hosts = hosts[:at+1], hosts[at+1:]
	}
	var all []server
	for host := range strings.SplitSeq(hosts, ",") {
		u := scheme + "://" + user + host + tail
		parsed, err := url.Parse(u)
		if err != nil || parsed.Hostname() == "" || parsed.Fragment != "" {
			return nil, errURL
		}
		if _, err := amqp.ParseURI(u); err != nil {
			return nil, errURL
		}
		all = append(all, server{u, host})
	}
	return all, nil
}
