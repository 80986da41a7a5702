// Package websocket is the server side of WebSocket (RFC 6455), as much of it as calls need: whole messages, no extensions, and limits on what
// a peer can make a server hold or wait for.
//
//	conn, err := websocket.Upgrade(w, r, "chat", websocket.Options{MaxMessage: 1 << 20})
//	for {
//		kind, message, err := conn.Read()
//		...
//		err = conn.Write(kind, message)
//	}
package websocket
