package rpc

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
)

// SetSendCompressor chooses how the replies of a call are compressed: by a registered compressor that the caller can read, or not at
// all ("identity"). Without it replies are compressed as the request was. A handler calls it with its context before it sends the
// header or a reply; later it is an error. It is what [grpc.SetSendCompressor] is to grpc-go's servers, and works there too. In process
// nothing is compressed, and the name is only checked.
func SetSendCompressor(ctx context.Context, name string) error {
	stream := grpc.ServerTransportStreamFromContext(ctx)
	own, ok := stream.(interface{ setSendCompressor(name string) error })
	if !ok {
		return grpc.SetSendCompressor(ctx, name)
	}
	if name != encoding.Identity {
		if encoding.GetCompressor(name) == nil {
			return fmt.Errorf("unable to set send compressor: compressor not registered %q", name)
		}
		if _, local := stream.(*handlerContext); !local && !slices.Contains(acceptedCompressors(ctx), name) {
			return fmt.Errorf("unable to set send compressor: client does not support compressor %q", name)
		}
	}
	return own.setSendCompressor(name)
}

// ClientSupportedCompressors returns what the caller of a handler can read, by its context, as [grpc.ClientSupportedCompressors] does
// on grpc-go's servers. In process there is nothing to be read.
func ClientSupportedCompressors(ctx context.Context) ([]string, error) {
	if _, ok := grpc.ServerTransportStreamFromContext(ctx).(interface{ setSendCompressor(name string) error }); !ok {
		return grpc.ClientSupportedCompressors(ctx)
	}
	return acceptedCompressors(ctx), nil
}

// acceptedCompressors reads what the request says.
func acceptedCompressors(ctx context.Context) []string {
	var names []string
	for _, value := range metadata.ValueFromIncomingContext(ctx, "grpc-accept-encoding") {
		for name := range strings.SplitSeq(value, ",") {
			names = append(names, strings.TrimSpace(name))
		}
	}
	return names
}

// setSendCompressor does nothing: in process there is nothing to compress.
func (c *handlerContext) setSendCompressor(string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sentHdr || c.ended {
		return errHeaderSent
	}
	return nil
}

// setSendCompressor makes the replies of a call from a wire be compressed by name.
func (c *serverCall) setSendCompressor(name string) error {
	if err := c.ctx.setSendCompressor(name); err != nil {
		return err
	}
	c.out.Lock()
	defer c.out.Unlock()
	kind := *c.kind
	kind.replies = newCompression(name)
	c.kind = &kind
	return nil
}
