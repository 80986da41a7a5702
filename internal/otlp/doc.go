// Package otlp writes and sends OpenTelemetry's protocol: plain structs for what a program tells, functions that append the protobuf of
// their export requests to a buffer, without reflection, and [Sender], which posts such a request over HTTP.
//
//	body = otlp.AppendTraces(body[:0], []otlp.ResourceSpans{{Resource: &res, Scopes: []otlp.ScopeSpans{{Spans: spans}}}})
//	err := sender.Send(ctx, body, len(spans))
//
// The functions keep nothing of what they are given, and allocate nothing when the buffer is large enough and attributes are neither
// lists nor maps. Text that is not valid UTF-8, for which a receiver would refuse all of a request, is written with U+FFFD in its place.
//
// The fields are those of opentelemetry-proto 1.11; TestFields holds them against the generated messages.
package otlp
