package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/hanse-go/hanse/internal/conformance/conformancepb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// invoke makes the call that req asks for and tells how it ended. An error of the call is part of that.
func invoke(ctx context.Context, req *conformancepb.ClientCompatRequest) *conformancepb.ClientCompatResponse {
	result, err := call(ctx, req)
	if err != nil { // it could not be made at all
		return &conformancepb.ClientCompatResponse{Result: &conformancepb.ClientCompatResponse_Error{
			Error: &conformancepb.ClientErrorResult{Message: err.Error()},
		}}
	}
	return &conformancepb.ClientCompatResponse{Result: &conformancepb.ClientCompatResponse_Response{Response: result}}
}

func call(ctx context.Context, req *conformancepb.ClientCompatRequest) (*conformancepb.ClientResponseResult, error) {
	if req.GetProtocol() != conformancepb.Protocol_PROTOCOL_GRPC || req.GetCodec() != conformancepb.Codec_CODEC_PROTO {
		return nil, fmt.Errorf("%v with %v is not spoken here", req.Protocol, req.Codec)
	}
	conn, err := dial(req)
	if err != nil {
		return nil, err
	}
	defer conn.Close()

	md, err := conformancepb.MetadataOf(req.RequestHeaders)
	if err != nil {
		return nil, err
	}
	ctx = metadata.NewOutgoingContext(ctx, md)
	if req.TimeoutMs != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(*req.TimeoutMs)*time.Millisecond)
		defer cancel()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := &caller{
		client: conformancepb.NewConformanceServiceClient(conn),
		req:    req, opts: callOptions(req), ctx: ctx, cancel: cancel, result: &conformancepb.ClientResponseResult{},
	}
	if service := conformancepb.ConformanceService_ServiceDesc.ServiceName; req.GetService() != service {
		return nil, fmt.Errorf("the service %q is not known; this client calls %s", req.GetService(), service)
	}
	switch req.GetMethod() {
	case "Unary":
		err = unary(c, c.client.Unary)
	case "IdempotentUnary":
		err = unary(c, c.client.IdempotentUnary)
	case "Unimplemented":
		err = unary(c, c.client.Unimplemented)
	case "ServerStream":
		err = c.serverStream()
	case "ClientStream":
		err = c.clientStream()
	case "BidiStream":
		err = c.bidiStream()
	default:
		err = fmt.Errorf("the method %q is not known", req.GetMethod())
	}
	return c.result, err
}

func callOptions(req *conformancepb.ClientCompatRequest) []grpc.CallOption {
	limit := math.MaxInt
	if req.MessageReceiveLimit > 0 {
		limit = int(req.MessageReceiveLimit)
	}
	opts := []grpc.CallOption{grpc.MaxCallRecvMsgSize(limit)}
	if req.Compression == conformancepb.Compression_COMPRESSION_GZIP {
		opts = append(opts, grpc.UseCompressor(gzip.Name))
	}
	return opts
}

// caller makes one call. The errors of its methods say that the call could not be made; how it ended is in result.
type caller struct {
	client conformancepb.ConformanceServiceClient
	req    *conformancepb.ClientCompatRequest
	opts   []grpc.CallOption
	ctx    context.Context
	cancel context.CancelFunc // of ctx
	result *conformancepb.ClientResponseResult
}

type payloader interface {
	GetPayload() *conformancepb.ConformancePayload
}

// unary makes a call with one request and one response.
func unary[Req, Resp any](c *caller, method func(context.Context, *Req, ...grpc.CallOption) (*Resp, error)) error {
	if n := len(c.req.RequestMessages); n != 1 {
		return fmt.Errorf("a unary call has one request, not %d", n)
	}
	req, err := request[Req](c, 0)
	if err != nil {
		return err
	}
	if ms, ok := c.cancelAfterCloseSend(); ok {
		defer time.AfterFunc(ms, c.cancel).Stop()
	}
	var header, trailer metadata.MD
	resp, err := method(c.ctx, req, append(c.opts, grpc.Header(&header), grpc.Trailer(&trailer))...)
	c.result.ResponseHeaders, c.result.ResponseTrailers = conformancepb.HeadersOf(header), conformancepb.HeadersOf(trailer)
	if err != nil {
		c.result.Error = conformancepb.ErrorOf(err)
	} else if p, ok := any(resp).(payloader); ok {
		c.result.Payloads = append(c.result.Payloads, p.GetPayload())
	}
	return nil
}

func (c *caller) serverStream() error {
	if n := len(c.req.RequestMessages); n != 1 {
		return fmt.Errorf("a call with streaming responses has one request, not %d", n)
	}
	req, err := request[conformancepb.ServerStreamRequest](c, 0)
	if err != nil {
		return err
	}
	stream, err := c.client.ServerStream(c.ctx, req, c.opts...)
	if err != nil {
		c.result.Error = conformancepb.ErrorOf(err)
		return nil
	}
	if ms, ok := c.cancelAfterCloseSend(); ok {
		defer time.AfterFunc(ms, c.cancel).Stop()
	}
	for err = error(nil); err == nil; {
		err = receive(c, stream.Recv)
	}
	c.end(stream, err)
	return nil
}

func (c *caller) clientStream() error {
	stream, err := c.client.ClientStream(c.ctx, c.opts...)
	if err != nil {
		c.result.Error, c.result.NumUnsentRequests = conformancepb.ErrorOf(err), int32(len(c.req.RequestMessages))
		return nil
	}
	for i := range c.req.RequestMessages {
		req, err := request[conformancepb.ClientStreamRequest](c, i)
		if err != nil {
			return err
		}
		c.delay()
		if err := stream.Send(req); err != nil { // CloseAndRecv has the reason
			c.result.NumUnsentRequests = int32(len(c.req.RequestMessages) - i)
			break
		}
	}
	defer c.beforeCloseSend()()
	resp, err := stream.CloseAndRecv()
	if err == nil {
		c.result.Payloads = append(c.result.Payloads, resp.Payload)
	}
	c.end(stream, err)
	return nil
}

func (c *caller) bidiStream() error {
	stream, err := c.client.BidiStream(c.ctx, c.opts...)
	if err != nil {
		c.result.Error, c.result.NumUnsentRequests = conformancepb.ErrorOf(err), int32(len(c.req.RequestMessages))
		return nil
	}
	duplex := c.req.StreamType == conformancepb.StreamType_STREAM_TYPE_FULL_DUPLEX_BIDI_STREAM
	var ended error // of receiving
	for i := range c.req.RequestMessages {
		req, err := request[conformancepb.BidiStreamRequest](c, i)
		if err != nil {
			return err
		}
		c.delay()
		if err := stream.Send(req); err != nil { // Recv has the reason
			c.result.NumUnsentRequests = int32(len(c.req.RequestMessages) - i)
			break
		}
		if !duplex {
			continue
		}
		if ended = receive(c, stream.Recv); ended != nil {
			c.result.NumUnsentRequests = int32(len(c.req.RequestMessages) - i - 1)
			break
		}
	}
	defer c.beforeCloseSend()()
	if err := stream.CloseSend(); err != nil {
		return err
	}
	for ended == nil {
		ended = receive(c, stream.Recv)
	}
	c.end(stream, ended)
	return nil
}

// request returns message i of the call.
func request[T any](c *caller, i int) (*T, error) {
	m := new(T)
	return m, c.req.RequestMessages[i].UnmarshalTo(any(m).(proto.Message))
}

// receive adds the next response to the result, and cancels after the one that the suite says.
func receive[Resp payloader](c *caller, recv func() (Resp, error)) error {
	resp, err := recv()
	if err != nil {
		return err
	}
	c.result.Payloads = append(c.result.Payloads, resp.GetPayload())
	if t, ok := c.req.GetCancel().GetCancelTiming().(*conformancepb.ClientCompatRequest_Cancel_AfterNumResponses); ok &&
		len(c.result.Payloads) == int(t.AfterNumResponses) {
		c.cancel()
	}
	return nil
}

// beforeCloseSend cancels now, or plans to cancel after the requests are closed. The function that it returns takes the plan back.
func (c *caller) beforeCloseSend() (done func()) {
	if _, ok := c.req.GetCancel().GetCancelTiming().(*conformancepb.ClientCompatRequest_Cancel_BeforeCloseSend); ok {
		c.cancel()
	}
	if after, ok := c.cancelAfterCloseSend(); ok {
		timer := time.AfterFunc(after, c.cancel)
		return func() { timer.Stop() }
	}
	return func() {}
}

func (c *caller) cancelAfterCloseSend() (time.Duration, bool) {
	_, ok := c.req.GetCancel().GetCancelTiming().(*conformancepb.ClientCompatRequest_Cancel_AfterCloseSendMs)
	return time.Duration(c.req.GetCancel().GetAfterCloseSendMs()) * time.Millisecond, ok
}

func (c *caller) delay() { time.Sleep(time.Duration(c.req.RequestDelayMs) * time.Millisecond) }

// end adds to the result how the stream ended. io.EOF is the good end.
func (c *caller) end(stream grpc.ClientStream, err error) {
	if err != nil && !errors.Is(err, io.EOF) {
		c.result.Error = conformancepb.ErrorOf(err)
	}
	header, _ := stream.Header() // there is none when the call failed before; then err has the reason
	c.result.ResponseHeaders, c.result.ResponseTrailers = conformancepb.HeadersOf(header), conformancepb.HeadersOf(stream.Trailer())
}
