// Package collector takes in what programs tell of themselves, keeps the newest of it, and answers questions about it: which calls
// were made, what they said, how often and how fast. It is what the dashboard, hanse trace and hanse top read.
//
//	c := &collector.Collector{Dir: dir}
//	go c.Run(ctx)
//	http.Serve(lis, c.Handler()) // OTLP over HTTP, from programs in any language
//	traces, err := c.Traces(ctx, collector.TraceQuery{Filter: "service:cart status:error"})
//
// Spans and log lines are on disk, in files that each hold a stretch of time and are dropped whole; numbers are in memory. All of it is
// bounded, and what does not fit is counted: see [Stats].
package collector
