package hansetest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/hanse-go/hanse/discovery"
)

// HTTP returns a client whose requests all go to an instance of the service, whatever host their URLs name:
//
//	res, err := sys.HTTP("storefront").Get("http://storefront/cart")
//
// It follows redirects and keeps no cookies, as [http.DefaultClient]. It is closed with the system.
func (s *System) HTTP(service string) *http.Client {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return s.dial(ctx, service)
	}}
	s.onClose(transport.CloseIdleConnections)
	return &http.Client{Transport: toService{service, transport}}
}

// toService sends requests with the service's name as Host, by which an app of several services routes.
type toService struct {
	service string
	http.RoundTripper
}

func (r toService) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Host = r.service
	return r.RoundTripper.RoundTrip(req)
}

// dial connects the test to an instance of the service, as soon as there is one.
func (s *System) dial(ctx context.Context, service string) (net.Conn, error) {
	endpoint, err := s.endpoint(ctx, service)
	if err != nil {
		return nil, err
	}
	for _, t := range s.client.Transports {
		for _, scheme := range t.Schemes() {
			if scheme == endpoint.Scheme {
				return t.Dial(ctx, endpoint)
			}
		}
	}
	return nil, fmt.Errorf("no transport for %s", endpoint)
}

// endpoint returns an endpoint of a ready instance.
func (s *System) endpoint(ctx context.Context, service string) (*url.URL, error) {
	watch, cancel := context.WithCancel(ctx)
	defer cancel()
	found := ""
	err := s.registry.Watch(watch, service, func(list []discovery.Instance) {
		for _, inst := range list {
			if inst.State == discovery.Ready && len(inst.Endpoints) > 0 && found == "" {
				found = inst.Endpoints[0]
				cancel()
			}
		}
	})
	if err != nil {
		return nil, err
	}
	if found == "" {
		return nil, fmt.Errorf("no instance of %s is ready: %w", service, ctx.Err())
	}
	return url.Parse(found)
}
