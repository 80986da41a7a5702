package rpc

import (
	"sync/atomic"

	"github.com/hanse-go/hanse/telemetry"
)

// calledMethod is what a binding knows of a method that it has called.
type calledMethod struct {
	described *methodInfo
	tells     *telemetry.Method       // who is told of its calls; nil: nobody
	choices   atomic.Pointer[choices] // of its last call
}

// called returns what is known of a method. Programs call few methods, each by the same string, so that this costs next to nothing.
func (b *binding) called(method string) *calledMethod {
	slot := &b.latest[0]
	if n := len(method); n > 0 {
		slot = &b.latest[(n+int(method[n-1]))%len(b.latest)]
	}
	if m := slot.Load(); m != nil && m.described.name == method {
		return m
	}
	m := &calledMethod{described: describe(method)}
	if t := b.client.Telemetry; t != nil {
		m.tells = t.Calls(method, b.conn.name)
	}
	slot.Store(m)
	return m
}

// info describes the method. One that the program's descriptors do not have may come to them later.
func (m *calledMethod) info() *methodInfo {
	if m.described.known {
		return m.described
	}
	return describe(m.described.name)
}

// among returns what a call of the method can choose from.
func (m *calledMethod) among(v *view) *choices {
	if c := m.choices.Load(); c != nil && c.of == v {
		return c
	}
	c := v.choices(m.described.contract)
	m.choices.Store(c)
	return c
}
