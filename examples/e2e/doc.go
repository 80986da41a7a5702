// Package e2e has no code of its own: its tests run the shop as a user would, by the hanse command, from outside. They end processes by
// signals, so they do not run on Windows.
//
// The short form is part of go test ./...; the full one has the loads and times that the documentation speaks of and takes some minutes:
//
//	make e2e
//	HANSE_E2E=full go test -v ./e2e
package e2e
