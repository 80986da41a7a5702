package otlp

import "net/http"

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// SetTransport replaces the network.
func (s *Sender) SetTransport(f func(*http.Request) (*http.Response, error)) {
	s.client.Transport = roundTripper(f)
}
