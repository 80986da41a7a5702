// Package protovalidate holds requests to the rules that stand in the .proto files, as options of buf.validate
// (https://protovalidate.com). One line of a program does it for all of its services, and shows the rules at /docs and in /openapi.json:
//
//	app := &hanse.App{Docs: true, Rules: new(protovalidate.Validator)}
//
// One service alone, or a server of another kind, has interceptors:
//
//	var valid protovalidate.Validator
//	svc.UnaryInterceptors = append(svc.UnaryInterceptors, valid.UnaryInterceptor)
//	svc.StreamInterceptors = append(svc.StreamInterceptors, valid.StreamInterceptor)
//
// A request that breaks a rule fails its call with InvalidArgument. Put the interceptors last, behind those that find out who calls and what
// that one may do. Messages that have a Validate method of their own are checked by package rpc without them.
//
// [Constraints] tells the same rules to who describes messages in JSON Schema, as OpenAPI does.
package protovalidate
