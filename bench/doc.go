// Command bench measures what Hanse claims and writes docs/benchmarks.md.
//
//	make bench                     # everything, about 20 minutes
//	go run . -only inprocess       # one subject, printed only
//
// Peers run side by side in interleaved rounds, and results are ratios of paired rounds (median and quartiles), because absolute times
// on a shared machine mean little. Resident memory and CPU time are read from /proc, so those rows need Linux.
package main
