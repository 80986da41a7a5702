// Package mcp offers the methods of services as tools of the Model Context Protocol (https://modelcontextprotocol.io), for AI agents:
//
//	tools := &mcp.Handler{Backend: port} // an rpc.Port, or a backend for a whole system
//	mux.Handle("/mcp", tools)
//
// A tool is a unary method: its comment in the .proto file is the description, and its messages are the schemas of input and output. Only
// methods that are marked NO_SIDE_EFFECTS are tools, unless [Handler.Open] names others; what a tool may do is decided, as for any caller, by
// the interceptors and rules of its service, which get the headers of the request as metadata.
package mcp
