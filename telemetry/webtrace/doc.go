// Package webtrace tells OpenTelemetry of requests by plain HTTP, taken and made, by its semantic conventions for HTTP: a span for each, and the
// numbers http.server.request.duration and http.client.request.duration.
//
// What a service serves by its Handle and by the gateway, and what it requests by its HTTPTransport, is told without this package. It is for
// servers and clients of a program's own, such as a client of an interface outside:
//
//	client := &http.Client{Transport: webtrace.NewTransport(svc.Telemetry(), nil)}
//	resp, err := client.Get("https://api.example.com/rates")
//
// The span of a request that is taken is in its context, and continues the trace of its header traceparent; the handler sees that header
// with the span's own, so that who passes the request on, such as a proxy, passes that on. The span of a request that is made ends when the answer was
// read, and goes with it in the same header. Server-sent events and WebSockets are streams, of which how long they take is no latency: their spans and
// numbers have [telemetry.StreamKey]. Queries of URLs and addresses of callers are not told.
package webtrace
