package http2

const (
	// controlRate is how many control frames a second a peer may always send.
	controlRate = 1000
	// controlPerFrame is how many more it may send for each HEADERS or DATA frame that this end has sent.
	controlPerFrame = 4
)

// bucket counts what a peer may do. It fills with time.
type bucket struct {
	tokens, most int64
	rate         int64 // tokens a second; 0: no limit at all
	at           int64 // when time was last counted, by the connection's clock
}

func (b *bucket) earn(n int64) { b.tokens = min(b.most, b.tokens+n) }

// take takes n tokens, or reports that there are not as many.
func (b *bucket) take(n, now int64) bool {
	if b.rate == 0 {
		return true
	}
	if b.tokens < n {
		if add := min(now-b.at, 10e9) * b.rate / 1e9; add > 0 {
			b.earn(add)
			b.at = now
		}
		if b.tokens < n {
			return false
		}
	}
	b.tokens -= n
	return true
}

// spend counts n frames that bring no call forward.
func (r *reader) spend(n int64) *ConnError {
	if r.control.take(n, r.now) {
		return nil
	}
	earned := r.c.earned.Load()
	r.control.earn((earned - r.earned) * controlPerFrame)
	r.earned = earned
	if r.control.take(n, r.now) {
		return nil
	}
	return connError(EnhanceYourCalm, "too many control frames")
}

// spendReset counts a stream that the peer, or this end because of the peer, has reset before it was done (CVE-2023-44487,
// CVE-2025-8671). A client's streams are its own: it opens no more than it wants.
func (r *reader) spendReset() *ConnError {
	if r.c.client || r.resets.take(1, r.now) {
		return nil
	}
	return connError(EnhanceYourCalm, "too many streams were reset")
}
