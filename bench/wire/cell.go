package wire

import (
	"fmt"
	"slices"
)

// Cell is one kind of load.
type Cell struct {
	Name        string `json:"name"`
	Kind        Kind   `json:"kind"`
	Network     string `json:"network"` // tcp, unix, inprocess
	TLS         bool   `json:"tls,omitempty"`
	Mutual      bool   `json:"mutual,omitempty"` // with TLS: the client shows a certificate, too
	Size        int    `json:"size"`             // bytes of a message, each way
	Concurrency int    `json:"concurrency"`      // calls, or streams, at the same time
	Window      int    `json:"window"`           // messages in flight on one stream
	Dressed     bool   `json:"dressed,omitempty"`
	Procs       int    `json:"procs"` // GOMAXPROCS of each process

	contenders []contender
}

// Kind is what one unit of load is.
type Kind string

const (
	Unary Kind = "unary"
	Chat  Kind = "chat" // messages on bidirectional streams; a unit is one message and its answer
)

// contender is a client and a server that speak to each other.
type contender struct {
	name   string
	client string // names of peers
	server string
}

// Names of contenders that have a part of their own.
const (
	Subject = "hanse"
	Base    = "grpc-go"
	Control = "grpc-go again" // the same as Base
	Floor   = "framed protobuf"
	Bare    = "hanse without policies"

	// Those take part only when they are asked to.
	Again   = "hanse again"          // the same as Subject
	Mounted = "hanse with a gateway" // serves the other protocols on the same port
)

func pair(name string) contender { return contender{name, name, name} }

var (
	control  = contender{Control, Base, Base}
	everyone = []contender{pair(Subject), pair("hanse on grpc-go"), pair(Base), control, pair("connect-go"), pair(Floor), pair("framed bytes")}
	noFloor  = everyone[:5] // there is nothing like it below
	inOne    = []contender{pair(Subject), pair(Base), control, pair("connect-go"), pair(Floor)}
	bare     = append([]contender{everyone[0], pair(Bare)}, everyone[1:]...)
	mixed    = []contender{
		pair(Base), control,
		{"hanse calls grpc-go", Subject, Base},
		{"grpc-go calls hanse", Base, Subject},
	}
)

func sizeName(bytes int) string {
	if bytes >= 1<<10 {
		return fmt.Sprintf("%dKiB", bytes>>10)
	}
	return fmt.Sprintf("%dB", bytes)
}

// Cells returns all cells in the order in which they are measured.
func Cells() []Cell {
	var cells []Cell
	add := func(c Cell, contenders []contender) {
		if c.Procs != 1 {
			c.Name += fmt.Sprintf("/p%d", c.Procs)
		}
		c.contenders = slices.Clone(contenders)
		cells = append(cells, c)
	}
	unary := func(prefix, network string, size, concurrency, procs int) Cell {
		return Cell{
			Name: fmt.Sprintf("%s/%s/c%d", prefix, sizeName(size), concurrency),
			Kind: Unary, Network: network, Size: size, Concurrency: concurrency, Procs: procs,
		}
	}
	chat := func(name string, window, procs int) Cell {
		return Cell{Name: name, Kind: Chat, Network: "tcp", Size: 100, Concurrency: 16, Window: window, Procs: procs}
	}
	sizes := []int{100, 1 << 10, 64 << 10}
	for _, procs := range []int{1, 2} {
		for _, size := range sizes {
			for _, c := range []int{1, 16, 64, 512} {
				who := everyone
				if size == 1<<10 && c == 64 && procs == 1 { // where what policies cost has a bound
					who = bare
				}
				add(unary("unary/tcp", "tcp", size, c, procs), who)
			}
		}
		add(chat("chat/tcp/100B/pingpong", 1, procs), noFloor)
		add(chat("chat/tcp/100B/inflight", 64, procs), noFloor)
	}
	for _, size := range sizes {
		for _, c := range []int{1, 64} {
			secure := unary("unary/tls", "tcp", size, c, 1)
			secure.TLS = true
			add(secure, everyone)
			if size == 1<<10 {
				mutual := unary("unary/mtls", "tcp", size, c, 1)
				mutual.TLS, mutual.Mutual = true, true
				add(mutual, everyone)
			}
			add(unary("unary/unix", "unix", size, c, 1), everyone)
			add(unary("unary/inprocess", "inprocess", size, c, 1), inOne)
		}
	}
	dressed := unary("dressed/tcp", "tcp", 1<<10, 64, 1)
	dressed.Dressed = true
	add(dressed, noFloor)
	for _, c := range []int{1, 64} {
		add(unary("mixed/tcp", "tcp", 1<<10, c, 1), mixed)
	}
	return cells
}
