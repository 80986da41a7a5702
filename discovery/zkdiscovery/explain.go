package zkdiscovery

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-zookeeper/zk"
)

// explain says what could not be done, where, and what to do next.
func (r *Registry) explain(doing string, err error) error {
	if hint := r.hint(err); hint != "" {
		return fmt.Errorf("zkdiscovery: %s in %v: %w: %s", doing, r, err, hint)
	}
	return fmt.Errorf("zkdiscovery: %s in %v: %w", doing, r, err)
}

func (r *Registry) hint(err error) string {
	switch {
	case errors.Is(err, zk.ErrNoAuth):
		return fmt.Sprintf("the nodes below %s allow it to others only: see zkCli.sh getAcl %[1]s, and set Options.Auth", r.root())
	case errors.Is(err, zk.ErrInvalidACL):
		return "Options.ACL is not one that this session can set: has it the Auth that the ACL names?"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, zk.ErrNoServer), errors.Is(err, zk.ErrConnectionClosed):
		return fmt.Sprintf("is ZooKeeper running and reached from here, with the TLS that it wants? Try: zkCli.sh -server %s ls /", r.servers[0])
	}
	return ""
}
