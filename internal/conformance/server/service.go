package main

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/hanse-go/hanse/internal/conformance/conformancepb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// service answers as the requests define. Its method Unimplemented is inherited on purpose.
type service struct {
	conformancepb.UnimplementedConformanceServiceServer
}

func (service) Unary(ctx context.Context, req *conformancepb.UnaryRequest) (*conformancepb.UnaryResponse, error) {
	payload, err := answer(ctx, req.ResponseDefinition, req)
	return &conformancepb.UnaryResponse{Payload: payload}, err
}

func (service) IdempotentUnary(ctx context.Context, req *conformancepb.IdempotentUnaryRequest) (*conformancepb.IdempotentUnaryResponse, error) {
	payload, err := answer(ctx, req.ResponseDefinition, req)
	return &conformancepb.IdempotentUnaryResponse{Payload: payload}, err
}

func (service) ClientStream(stream grpc.ClientStreamingServer[conformancepb.ClientStreamRequest, conformancepb.ClientStreamResponse]) error {
	var def *conformancepb.UnaryResponseDefinition
	var requests []proto.Message
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if requests == nil {
			def = req.ResponseDefinition
		}
		requests = append(requests, req)
	}
	payload, err := answer(stream.Context(), def, requests...)
	if err != nil {
		return err
	}
	return stream.SendAndClose(&conformancepb.ClientStreamResponse{Payload: payload})
}

func (service) ServerStream(req *conformancepb.ServerStreamRequest, stream grpc.ServerStreamingServer[conformancepb.ServerStreamResponse]) error {
	r := responder{stream: stream, def: req.ResponseDefinition, send: func(p *conformancepb.ConformancePayload) error {
		return stream.Send(&conformancepb.ServerStreamResponse{Payload: p})
	}}
	if err := r.begin(); err != nil {
		return err
	}
	return r.finish([]proto.Message{req})
}

func (service) BidiStream(stream grpc.BidiStreamingServer[conformancepb.BidiStreamRequest, conformancepb.BidiStreamResponse]) error {
	r := responder{stream: stream, send: func(p *conformancepb.ConformancePayload) error {
		return stream.Send(&conformancepb.BidiStreamResponse{Payload: p})
	}}
	var duplex bool
	var requests []proto.Message // since the last response
	for first := true; ; first = false {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if first {
			r.def, duplex = req.ResponseDefinition, req.FullDuplex
			if duplex {
				if err := r.begin(); err != nil {
					return err
				}
			}
		}
		requests = append(requests, req)
		if !duplex {
			continue
		}
		if !r.more() {
			break // nothing is left to answer with but the error
		}
		if err := r.respond(requests, true); err != nil {
			return err
		}
		requests = nil
	}
	if !duplex {
		if err := r.begin(); err != nil {
			return err
		}
	}
	return r.finish(requests)
}

// answer does what def asks of a method with one response. It returns the response's payload.
func answer(ctx context.Context, def *conformancepb.UnaryResponseDefinition, requests ...proto.Message) (*conformancepb.ConformancePayload, error) {
	info, err := requestInfo(ctx, requests)
	if err != nil {
		return nil, err
	}
	header, trailer, err := definedMetadata(def)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(grpc.SetHeader(ctx, header), grpc.SetTrailer(ctx, trailer)); err != nil {
		return nil, err
	}
	if err := wait(ctx, def.GetResponseDelayMs()); err != nil {
		return nil, err
	}
	if e := def.GetError(); e != nil {
		return nil, conformancepb.StatusOf(e, info)
	}
	return &conformancepb.ConformancePayload{Data: def.GetResponseData(), RequestInfo: info}, nil
}

// responder does what a definition asks of a method with many responses.
type responder struct {
	stream grpc.ServerStream
	def    *conformancepb.StreamResponseDefinition // nil: nothing is asked
	send   func(*conformancepb.ConformancePayload) error
	sent   int
}

// begin sends the headers at once, for the client may wait for them while the responses are delayed.
func (r *responder) begin() error {
	if r.def == nil {
		return nil
	}
	header, trailer, err := definedMetadata(r.def)
	if err != nil {
		return err
	}
	r.stream.SetTrailer(trailer)
	return r.stream.SendHeader(header)
}

func (r *responder) more() bool { return r.sent < len(r.def.GetResponseData()) }

// respond sends the next response. The first tells of the request; later ones tell of the requests alone, where echo asks for it.
func (r *responder) respond(requests []proto.Message, echo bool) error {
	payload := &conformancepb.ConformancePayload{Data: r.def.ResponseData[r.sent]}
	if r.sent == 0 || echo {
		info, err := requestInfo(r.stream.Context(), requests)
		if err != nil {
			return err
		}
		if r.sent > 0 {
			info = &conformancepb.ConformancePayload_RequestInfo{Requests: info.Requests}
		}
		payload.RequestInfo = info
	}
	if err := wait(r.stream.Context(), r.def.ResponseDelayMs); err != nil {
		return err
	}
	r.sent++
	return r.send(payload)
}

// finish sends the responses that are left, and returns the error that the definition ends with.
func (r *responder) finish(requests []proto.Message) error {
	for r.more() {
		if err := r.respond(requests, false); err != nil {
			return err
		}
	}
	if r.def.GetError() == nil {
		return nil
	}
	if r.sent > 0 {
		return conformancepb.StatusOf(r.def.Error)
	}
	info, err := requestInfo(r.stream.Context(), requests)
	if err != nil {
		return err
	}
	return conformancepb.StatusOf(r.def.Error, info)
}

// definition is what both kinds of response definition have.
type definition interface {
	GetResponseHeaders() []*conformancepb.Header
	GetResponseTrailers() []*conformancepb.Header
}

func definedMetadata(def definition) (header, trailer metadata.MD, err error) {
	header, err = conformancepb.MetadataOf(def.GetResponseHeaders())
	if err == nil {
		trailer, err = conformancepb.MetadataOf(def.GetResponseTrailers())
	}
	if err != nil {
		return nil, nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return header, trailer, nil
}

// requestInfo tells what came with a call, and how much of its time is left.
func requestInfo(ctx context.Context, requests []proto.Message) (*conformancepb.ConformancePayload_RequestInfo, error) {
	info := &conformancepb.ConformancePayload_RequestInfo{}
	if deadline, ok := ctx.Deadline(); ok {
		info.TimeoutMs = proto.Int64(max(time.Until(deadline), 0).Milliseconds())
	}
	md, _ := metadata.FromIncomingContext(ctx)
	info.RequestHeaders = conformancepb.HeadersOf(md)
	if query, ok := ctx.Value(queryKey{}).(url.Values); ok {
		info.ConnectGetInfo = &conformancepb.ConformancePayload_ConnectGetInfo{}
		for _, name := range slices.Sorted(maps.Keys(query)) {
			info.ConnectGetInfo.QueryParams = append(info.ConnectGetInfo.QueryParams, &conformancepb.Header{Name: name, Value: query[name]})
		}
	}
	for _, req := range requests {
		packed, err := anypb.New(req)
		if err != nil {
			return nil, err
		}
		info.Requests = append(info.Requests, packed)
	}
	return info, nil
}

// wait returns after ms milliseconds, or with the status of ctx when that ends first.
func wait(ctx context.Context, ms uint32) error {
	if ms == 0 {
		return nil
	}
	timer := time.NewTimer(time.Duration(ms) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}
