// Package hpack compresses the header lists of HTTP/2 (RFC 7541) for connections on which the same lists come again and again, as they
// do with RPC.
//
// A [Decoder] belongs to one direction of one connection and decodes whole blocks. It remembers the runs of indexed fields with which
// blocks begin, so that what a caller made of such a [Run] (a route, say) is found again with it. An [Encoder] is its counterpart: it
// takes a [Template], a list that is sent often, and caches the template's block as soon as that can no longer change. Fields that
// differ from call to call are appended with [AppendLiteral], which needs no encoder and no lock.
//
//	enc := hpack.NewEncoder()
//	head := hpack.NewTemplate(hpack.Field{Name: ":status", Value: "200"}, hpack.Field{Name: "content-type", Value: "application/grpc"})
//	block := enc.AppendTemplate(nil, head)
//	block = hpack.AppendLiteral(block, "grpc-status", "5", false)
//
// Huffman coding is that of golang.org/x/net/http2/hpack.
package hpack
