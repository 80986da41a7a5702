// Package websockettest calls services by WebSocket with a client of others. It has a module of its own, so that nobody else gets its
// dependency.
package websockettest
