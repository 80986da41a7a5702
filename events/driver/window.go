package driver

// Window bounds what is on its way to an engine: events that were sent, or are to be, and are not known to be stored. The publisher that owns it calls its
// methods under its own lock, under which it also keeps the events. Before the first call it sets both bounds.
type Window struct {
	Events int // the most events
	Bytes  int // the most that they have together; one event alone may have more

	n, bytes int
	room     chan struct{} // closed when there is room again; nil when nobody waits
}

// Enter takes room for an event of a size and returns nil. When there is none it returns a channel that is closed when it is worth another try.
func (w *Window) Enter(size int) (room <-chan struct{}) {
	if w.n < w.Events && (w.bytes+size <= w.Bytes || w.n == 0) {
		w.n++
		w.bytes += size
		return nil
	}
	if w.room == nil {
		w.room = make(chan struct{})
	}
	return w.room
}

// Leave gives back the room of an event. Those that wait are let in when a quarter of the window is free, so that they come, and are sent, together.
func (w *Window) Leave(size int) {
	w.n--
	w.bytes -= size
	if w.room != nil && w.n <= w.Events*3/4 && w.bytes <= w.Bytes*3/4 {
		close(w.room)
		w.room = nil
	}
}
