package k8sdiscovery

import (
	"bytes"
	"errors"
	"io"

	"github.com/hanse-go/hanse/discovery"
)

// WithAccount returns a registry that takes the folder for that of the pod's service account.
func WithAccount(dir string) *Registry { return &Registry{account: dir} }

// ParseList returns the instances of a list.
func ParseList(body []byte, service, port string) ([]discovery.Instance, bool, error) {
	list, err := readList(bytes.NewReader(body))
	if err != nil {
		return nil, false, err
	}
	var all []*slice
	for i := range list.Items {
		all = append(all, &list.Items[i])
	}
	got, portless := instances(service, all, port)
	return got, portless, nil
}

// ParseEvents returns how many events a stream has before its end or its first mistake.
func ParseEvents(stream io.Reader) (int, error) {
	events := newEventReader(stream)
	for n := 0; ; n++ {
		if _, err := events.next(); errors.Is(err, io.EOF) {
			return n, nil
		} else if err != nil {
			return n, err
		}
	}
}
