package etcddiscovery

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// explain says what could not be done, where, and what to do next.
func (r *Registry) explain(doing string, err error) error {
	if hint := r.hint(err); hint != "" {
		return fmt.Errorf("etcddiscovery: %s in %v: %w: %s", doing, r, err, hint)
	}
	return fmt.Errorf("etcddiscovery: %s in %v: %w", doing, r, err)
}

func (r *Registry) hint(err error) string {
	for _, h := range []struct {
		err  error
		hint string
	}{
		{rpctypes.ErrPermissionDenied, fmt.Sprintf("allow it with: etcdctl role grant-permission ROLE readwrite --prefix=true %s", r.root())},
		{rpctypes.ErrUserEmpty, "this etcd wants a user: set Username and Password in the client's Config"},
		{rpctypes.ErrAuthFailed, "check Username and Password in the client's Config"},
		{rpctypes.ErrInvalidAuthToken, "check Username and Password in the client's Config"},
		{rpctypes.ErrNoSpace, "etcd's quota is used up: compact and defragment it, then run etcdctl alarm disarm"},
		{rpctypes.ErrNoLeader, "etcd has no leader: are most of its members running?"},
	} {
		if strings.HasSuffix(err.Error(), rpctypes.ErrorDesc(h.err)) {
			return h.hint
		}
	}
	if errors.Is(err, context.DeadlineExceeded) || status.Code(err) == codes.DeadlineExceeded || status.Code(err) == codes.Unavailable {
		return fmt.Sprintf("is etcd running and reached from here, with the TLS that it wants? Try: etcdctl --endpoints=%s endpoint health", strings.Join(r.client.Endpoints(), ","))
	}
	return ""
}
