package hanse

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/internal/everywhere"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// docs returns what describes the contracts of a port: those of its services, without health checks and reflection.
func (p *port) docs() *gateway.Docs {
	d := &gateway.Docs{Backend: described{p.rpc}, Title: titleOf(p.members)}
	if rules := p.run.app.Rules; rules != nil {
		d.Constraints = rules.Constraints
	}
	if len(p.members) == 1 {
		d.Version = p.members[0].Version
	}
	d.Service = func(contract protoreflect.ServiceDescriptor) string {
		for _, m := range p.members {
			if _, has := m.server.GetServiceInfo()[string(contract.FullName())]; has {
				return m.Name
			}
		}
		return ""
	}
	return d
}

// titleOf names services by at most three of them.
func titleOf(members []*member) string {
	var names []string
	for _, m := range members {
		names = append(names, m.Name)
	}
	if len(names) > 3 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:2], ", "), len(names)-2)
	}
	return strings.Join(names, ", ")
}

// described is a port's backend as its docs see it: without the contracts that every port has.
type described struct{ *rpc.Port }

func (d described) Contracts() []protoreflect.ServiceDescriptor {
	return slices.DeleteFunc(d.Port.Contracts(), func(contract protoreflect.ServiceDescriptor) bool {
		return everywhere.Has(string(contract.FullName()))
	})
}
