// Command bench measures what Hanse claims and writes docs/benchmarks.md.
//
//	make bench                     # everything, about an hour
//	go run . -only inprocess       # one subject, printed only; -write puts it into the report
//
// The wire has flags of its own. While working on it:
//
//	go run . -only wire -cells 'unary/tcp/1KiB/c64$' -rounds 5                                           # one cell, about ten seconds
//	go run . -only wire -cells 'unary/tcp/1KiB/c64$' -peers 'hanse,framed protobuf' -profile /tmp/wire   # profiles of client and server
//	go run . -only wire -json wire.json                                                                  # every round, as data
//
// Peers run side by side in interleaved rounds, and results are ratios of paired rounds (median and quartiles), because absolute times
// on a shared machine mean little. Resident memory and CPU time are read from /proc, so those rows need Linux.
package main
