package websocket

// New makes a connection without a handshake.
var New = newConn
