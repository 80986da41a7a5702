package embednats

// Syncs reports whether what is acknowledged is on the disk.
func (s *Server) Syncs() bool { return s.now().server.JetStreamConfig().SyncAlways }

// Limits returns how much the server may keep in memory and on the disk.
func (s *Server) Limits() (memory, disk int64) {
	c := s.now().server.JetStreamConfig()
	return c.MaxMemory, c.MaxStore
}

// Break has the server hear of itself that a stream cannot be written any more.
func (s *Server) Break() {
	s.now().log.Errorf("JetStream stream '%s > %s' critical write error: %v", "$G", "EVENTS", "no such luck")
}
