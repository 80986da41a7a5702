// Package e2e has no code of its own: its tests run the shop as a user would, by the hanse command, from outside.
//
// They come in two forms. The short one is part of go test ./...; the full one, with the loads and times that the documentation speaks
// of, takes some minutes:
//
//	make e2e
//	HANSE_E2E=full go test -v ./e2e
package e2e
