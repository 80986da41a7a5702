package edge

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/resilience"
)

// rules are the settings as calls need them. They are replaced, never changed.
type rules struct {
	exact     map[string]*rule // by full method, and by contract: "/package.Service/*"
	all       *rule            // nil: there is none
	others    *rule            // of methods that no rule matches
	accessLog bool
	keys      map[[sha256.Size]byte]string // names by the sum of the key
	tokens    Tokens                       // that users are known by
	users     Verifier                     // of the tokens; nil: none
}

// rule is a [Rule] that holds.
type rule struct {
	index   int      // its place, from which it is known who comes first
	auth    string   // as in [Rule]; and nobody, or local: open to programs on this machine
	keys    []string // nil: all
	timeout time.Duration
	body    int
	by      string
	buckets *buckets // nil: no limit
}

// newRules makes the rules of settings that have no mistakes.
func newRules(s Settings) *rules {
	r := &rules{exact: make(map[string]*rule), accessLog: s.AccessLog, keys: make(map[[sha256.Size]byte]string), tokens: s.Users}
	for name, sum := range s.Keys {
		var key [sha256.Size]byte
		hex.Decode(key[:], []byte(sum)) // Validate has seen it
		r.keys[key] = name
	}
	byDefault := "nobody"
	if s.local() {
		byDefault = "local"
	}
	r.others = &rule{index: len(s.Rules), auth: byDefault, body: s.body()}
	for i, from := range s.Rules {
		to := &rule{index: i, auth: from.Auth, keys: from.Keys, timeout: from.Timeout, body: from.Body, by: from.Rate.By}
		if to.auth == "" {
			to.auth = byDefault
		}
		if to.body == 0 {
			to.body = s.body()
		}
		if to.by == "" {
			to.by = "ip"
		}
		if from.Rate.PerSecond > 0 {
			to.buckets = &buckets{rate: resilience.Rate{PerSecond: from.Rate.PerSecond, Burst: from.Rate.Burst}}
		}
		for _, m := range from.Match {
			if m == "*" {
				if r.all == nil {
					r.all = to
				}
			} else if r.exact[m] == nil {
				r.exact[m] = to
			}
		}
	}
	return r
}

// of returns the first rule that matches the method.
func (r *rules) of(method string) *rule {
	first := r.others
	contract := method[:strings.LastIndexByte(method, '/')+1] + "*"
	for _, candidate := range []*rule{r.exact[method], r.exact[contract], r.all} {
		if candidate != nil && candidate.index < first.index {
			first = candidate
		}
	}
	return first
}

// client returns the name of the client that has a key.
func (r *rules) client(key string) (name string, ok bool) {
	name, ok = r.keys[sha256.Sum256([]byte(key))] // what takes longer or shorter here tells of the sum alone
	return name, ok
}

// lets reports whether the key of that client counts here.
func (r *rule) lets(client string) bool { return len(r.keys) == 0 || slices.Contains(r.keys, client) }

// maxBuckets bounds what clients can make a rule remember: twice as many at most.
const maxBuckets = 32 << 10

// buckets are rate limits of the same rate, each for one client. Those that were not asked for longest are forgotten when there are too
// many, which gives their clients a full bucket.
type buckets struct {
	rate resilience.Rate

	mu       sync.Mutex
	now, old map[string]*resilience.RateLimiter
}

// allow takes a token of the client's bucket, or says when there will be one.
func (b *buckets) allow(client string) (after time.Duration, ok bool) {
	b.mu.Lock()
	l := b.now[client]
	if l == nil {
		if l = b.old[client]; l == nil {
			l = resilience.NewRateLimiter(b.rate)
		}
		if b.now == nil || len(b.now) >= maxBuckets {
			b.now, b.old = make(map[string]*resilience.RateLimiter), b.now
		}
		b.now[client] = l
	}
	b.mu.Unlock()
	return l.Allow()
}
