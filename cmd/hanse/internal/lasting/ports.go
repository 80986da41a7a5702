// Package lasting is what stays the same in the next run of a command: ports that links lead to, and tokens that are in them.
package lasting

import (
	"encoding/json"
	"errors"
	"hash/fnv"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
)

// Ports are ports of 127.0.0.1 by name. Its methods are safe for concurrent use.
type Ports struct {
	file string

	mu    sync.Mutex
	ports map[string]int
}

// OpenPorts returns those that the file remembers. One that is not there, or cannot be read, is as good as an empty one.
func OpenPorts(file string) *Ports {
	p := &Ports{file: file, ports: make(map[string]int)}
	if text, err := os.ReadFile(file); err == nil {
		_ = json.Unmarshal(text, &p.ports) // remembered ports are a convenience
	}
	return p
}

// Ports are taken from a range that no system hands out by itself, so that they are still free in the next run.
const (
	firstPort = 20000
	portCount = 10000
	anyPort   = 0
)

// Listen listens at the port of the last run, or one that goes by the names, or any that is free.
func (p *Ports) Listen(name string) (net.Listener, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var candidates []int
	if last := p.ports[name]; last != 0 {
		candidates = append(candidates, last)
	}
	h := fnv.New32a()
	io.WriteString(h, p.file+"\x00"+name)
	for i := range uint32(100) {
		candidates = append(candidates, firstPort+int((h.Sum32()+i)%portCount))
	}
	for _, port := range append(candidates, anyPort) {
		lis, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		if got := lis.Addr().(*net.TCPAddr).Port; p.ports[name] != got {
			p.ports[name] = got
			if text, err := json.Marshal(p.ports); err == nil {
				_ = os.WriteFile(p.file, text, 0o600) // another port in the next run is no harm
			}
		}
		return lis, nil
	}
	return nil, errors.New("no port of 127.0.0.1 is free")
}
