// Package telemetry tells what a process does: the spans of its calls, their numbers, and its logs, in the terms of OpenTelemetry.
//
// A program that is run by package hanse has it without doing anything. To switch it on elsewhere:
//
//	config, err := telemetry.FromEnv(os.LookupEnv)
//	...
//	t, err := telemetry.New(config)
//	...
//	go t.Run(ctx) // sends what was collected
//	s := t.Service("cart", "v1.2.3", instanceID)
//	srv := &rpc.Server{Name: "cart", Telemetry: s}
//
// The span of a call is part of the call's own object, and its numbers need no lock, so that calls which nobody looks at cost next to
// nothing. Spans of a program's own are made with [Service.TracerProvider], or with any other of OpenTelemetry: those of calls are their
// parents in either case, for a call's context has its span where OpenTelemetry looks for it.
package telemetry
