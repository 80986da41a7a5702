package natsevents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/hanse-go/hanse/events"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Codes of errors of JetStream that the client has no names for.
const (
	codeNoPeers             jetstream.ErrorCode = 10005 // no suitable peers for placement
	codeNoResources         jetstream.ErrorCode = 10023
	codeNoStorage           jetstream.ErrorCode = 10047
	codeNoReplicas          jetstream.ErrorCode = 10074 // replicas > 1 not supported in non-clustered mode
	codeStoreFailed         jetstream.ErrorCode = 10077
	codeAccountExceeded     jetstream.ErrorCode = 10002
	codeDuplicateInProgress jetstream.ErrorCode = 10158
)

// errAgain asks for a repetition.
var errAgain = errors.New("once more")

// againError asks for a repetition, and says why.
type againError struct{ error }

func (e againError) Is(target error) bool { return target == errAgain }
func (e againError) Unwrap() error        { return e.error }

// passing says whether an error of the server or the connection is one that goes away by itself.
func passing(err error) bool {
	if errors.Is(err, events.ErrFull) || errors.Is(err, events.ErrTooLarge) {
		return false
	}
	if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrReconnectBufExceeded) ||
		errors.Is(err, nats.ErrDisconnected) || errors.Is(err, errAgain) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, jetstream.ErrNoStreamResponse) {
		return true
	}
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.Code == http.StatusServiceUnavailable || api.ErrorCode == codeDuplicateInProgress) &&
		api.ErrorCode != jetstream.JSErrCodeJetStreamNotEnabled && api.ErrorCode != jetstream.JSErrCodeJetStreamNotEnabledForAccount
}

// isCode says whether the server answered with one of the codes.
func isCode(err error, codes ...jetstream.ErrorCode) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		for _, code := range codes {
			if api.ErrorCode == code {
				return true
			}
		}
	}
	return false
}

// conflict says whether another one changed a record first.
func conflict(err error) bool {
	return isCode(err, jetstream.JSErrCodeStreamWrongLastSequence, jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// explain says what can be done about an answer of the server.
func explain(err error) error {
	switch {
	case isCode(err, jetstream.JSErrCodeJetStreamNotEnabled, jetstream.JSErrCodeJetStreamNotEnabledForAccount):
		return fmt.Errorf("%w: start the server with JetStream (nats-server -js), or use hanse hub", err)
	case isCode(err, codeNoResources, codeNoStorage):
		return fmt.Errorf("%w: lower Limits.MaxBytes, or let the server store more (--max-disk of hanse hub, MaxDisk of embednats.Server, max_file_store of nats-server)", err)
	}
	return err
}

// ack reads what the server answers to an event: nil when it is stored.
func ack(m *nats.Msg) error {
	if strings.HasPrefix(string(m.Data), `{"stream":`) { // the usual one, which need not be parsed
		return nil
	}
	if len(m.Data) == 0 && m.Header.Get(headerStatus) == "503" {
		return nats.ErrNoResponders
	}
	var answer struct {
		Stream string              `json:"stream"`
		Error  *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return fmt.Errorf("the broker's answer cannot be read: %w", err)
	}
	api := answer.Error
	switch {
	case api == nil && answer.Stream == "":
		return errors.New("the broker's answer names no stream: something other than JetStream answers on the topic's subject")
	case api == nil:
		return nil
	case api.ErrorCode == jetstream.JSErrCodeStreamMessageExceedsMaximum:
		return fmt.Errorf("%w: %w", events.ErrTooLarge, api)
	case isCode(api, codeNoResources, codeNoStorage, codeAccountExceeded),
		api.ErrorCode == codeStoreFailed && full(api.Description):
		return fmt.Errorf("%w: %w", events.ErrFull, api)
	}
	return api
}

func full(description string) bool {
	for _, reason := range []string{"maximum messages", "maximum bytes", "no space left", "resource limits", "insufficient"} {
		if strings.Contains(description, reason) {
			return true
		}
	}
	return false
}
