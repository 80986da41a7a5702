package hanse

import (
	"errors"
	"fmt"

	"github.com/hanse-go/hanse/rpc"
)

// The names of the wires that there are, as HANSE_WIRE says them.
const (
	ownWire    = "hanse"
	grpcgoWire = "grpc-go"
)

// standbyWire is a wire that may be there only in case that somebody asks for it.
type standbyWire interface{ OnStandby() bool }

// chosenWire returns what speaks gRPC for the app, nil for the default: what flags or the environment ask for, else what the program
// chose.
func (a *App) chosenWire() (rpc.Wire, error) {
	return chooseWire(a.wireName, a.Wire, rpc.DefaultWire())
}

// chooseWire returns the wire of the name that was asked for, "" for none: the program's or, as nil, the default.
func chooseWire(name string, programs, byDefault rpc.Wire) (rpc.Wire, error) {
	switch {
	case name == "":
		if s, ok := programs.(standbyWire); ok && s.OnStandby() {
			return nil, nil
		}
		return programs, nil
	case name == byDefault.Name():
		return nil, nil
	case programs != nil && name == programs.Name():
		return programs, nil
	case name == grpcgoWire:
		return nil, errors.New("--wire (HANSE_WIRE): grpc-go's transport is not linked into this program: give its hanse.App " +
			`the field Wire: grpcwire.Wire{Standby: true} (import "github.com/hanse-go/hanse/rpc/grpcwire"), or leave the setting out`)
	}
	return nil, fmt.Errorf("--wire (HANSE_WIRE): this version of Hanse has no wire %q: leave the setting out", name)
}

// wireLabel is the name of the wire where it is worth a word, and else "".
func wireLabel(w rpc.Wire) string {
	if w == nil || w.Name() == rpc.DefaultWire().Name() {
		return ""
	}
	return w.Name()
}
