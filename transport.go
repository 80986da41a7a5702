package hanse

import (
	"slices"

	"github.com/hanse-go/hanse/rpc"
)

// transport returns the transport for a scheme, or nil when there is none.
func (a *App) transport(scheme string) rpc.Transport {
	for _, t := range a.Transports {
		if slices.Contains(t.Schemes(), scheme) {
			return t
		}
	}
	return nil
}
