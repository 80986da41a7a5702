package natsstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/hanse-go/hanse/store"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Codes of JetStream's errors that the client has no names for.
const (
	codeInsufficientResources jetstream.ErrorCode = 10023
	codeOnlyInClusters        jetstream.ErrorCode = 10074
	codeStorageExceeded       jetstream.ErrorCode = 10047
	codeMessageTooLarge       jetstream.ErrorCode = 10054
	codeWrongLastSequence     jetstream.ErrorCode = 10071
	codeStoreFailed           jetstream.ErrorCode = 10077
	codeWrongLastConstant     jetstream.ErrorCode = 10164
	codeNoPeers               jetstream.ErrorCode = 10005
)

// passes reports whether an error is that of an engine that is away, or busy with coming back.
func passes(err error) bool {
	for _, e := range []error{
		context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders, nats.ErrDisconnected, nats.ErrConnectionReconnecting, nats.ErrReconnectBufExceeded,
		nats.ErrStaleConnection, nats.ErrNoServers, jetstream.ErrNoStreamResponse, jetstream.ErrStreamNotFound,
		jetstream.ErrNoHeartbeat, jetstream.ErrConsumerDeleted, jetstream.ErrConsumerNotFound, errAnew,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	var api *jetstream.APIError
	return errors.As(err, &api) && api.Code == 503 && !noRoom(err) // it has no leader, or is not there yet
}

func noRoom(err error) bool {
	switch code(err) {
	case codeStoreFailed, codeStorageExceeded, codeInsufficientResources:
		return true
	}
	return false
}

func code(err error) jetstream.ErrorCode {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.ErrorCode
	}
	return 0
}

// explain makes an error of NATS one of package store, where it has one.
func explain(err error) error {
	switch {
	case noRoom(err):
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	case code(err) == codeMessageTooLarge:
		return fmt.Errorf("%w: %w", store.ErrTooLarge, err)
	case code(err) == codeNoPeers:
		return fmt.Errorf("not enough nodes of the cluster have room for it: set Limits.Replicas, or let more nodes run: %w", err)
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("%w: the server takes less: %w", store.ErrTooLarge, err)
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return fmt.Errorf("the NATS server has no JetStream for this user: start it with -js: %w", err)
	}
	return err
}

// changed reports whether a write was refused because the key has another revision.
func changed(err error) bool {
	return code(err) == codeWrongLastSequence || code(err) == codeWrongLastConstant
}
