package hanse

import (
	"slices"

	"github.com/hanse-go/hanse/rpc"
)

// transport returns the transport for a scheme, or nil when there is none.
func (a *App) transport(scheme string) rpc.Transport {
	transports := a.Transports
	if transports == nil {
		transports = rpc.DefaultTransports()
	}
	for _, t := range transports {
		if slices.Contains(t.Schemes(), scheme) {
			return t
		}
	}
	return nil
}
