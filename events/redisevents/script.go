package redisevents

import (
	"context"
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// script is one that the server runs as a whole.
type script struct{ text, hash string }

var (
	//go:embed lua/common.lua
	common string
	//go:embed lua/publish.lua
	publishText string
	//go:embed lua/shared.lua
	sharedText string
	//go:embed lua/settle.lua
	settleText string
	//go:embed lua/join.lua
	joinText string
	//go:embed lua/beat.lua
	beatText string
	//go:embed lua/claim.lua
	claimText string
	//go:embed lua/release.lua
	releaseText string
	//go:embed lua/ordered.lua
	orderedText string
	//go:embed lua/each.lua
	eachText string
	//go:embed lua/declare.lua
	declareText string
	//go:embed lua/stats.lua
	statsText string
	//go:embed lua/trim.lua
	trimText string
	//go:embed lua/position.lua
	positionText string
	//go:embed lua/find.lua
	findText string
	//go:embed lua/delete.lua
	deleteText string
	//go:embed lua/state.lua
	stateText string
	//go:embed lua/group.lua
	groupText string
	//go:embed lua/schema.lua
	schemaText string
)

// evenFull has a script run on a server that has reached its maxmemory: deliveries go on there, and only what takes more is refused.
const evenFull = "#!lua flags=allow-oom\n"

var (
	publishScript = newScript(common, publishText)
	sharedScript  = newScript(evenFull, common, sharedText)
	settleScript  = newScript(evenFull, common, settleText)
	joinScript    = newScript(common, positionText, joinText)
	beatScript    = newScript(evenFull, common, beatText)
	claimScript   = newScript(evenFull, common, claimText)
	releaseScript = newScript(evenFull, common, releaseText)
	orderedScript = newScript(evenFull, common, orderedText)
	eachScript    = newScript(evenFull, common, eachText)
	declareScript = newScript(declareText)
	statsScript   = newScript(statsText)
	trimScript    = newScript(evenFull, common, trimText)
	schemaScript  = newScript(schemaText)
	findScript    = newScript(common, positionText, findText)
	deleteScript  = newScript(common, positionText, deleteText)
	stateScript   = newScript(common, positionText, stateText)
	groupScript   = newScript(common, groupText)
)

func newScript(parts ...string) *script {
	s := &script{}
	for _, p := range parts {
		s.text += p
	}
	sum := sha1.Sum([]byte(s.text))
	s.hash = hex.EncodeToString(sum[:])
	return s
}

// eval runs a script. The server is sent its text only when it does not know it.
func (b *Broker) eval(ctx context.Context, s *script, keys []string, args ...any) (any, error) {
	begun := time.Now()
	answer, err := b.client.EvalSha(ctx, s.hash, keys, args...).Result()
	if err != nil && redis.HasErrorPrefix(err, "NOSCRIPT") {
		answer, err = b.client.Eval(ctx, s.text, keys, args...).Result()
	}
	return answer, b.link.note(begun, err)
}

// list takes an answer that is a list of at least n.
func list(answer any, n int) ([]any, error) {
	all, ok := answer.([]any)
	if !ok || len(all) < n {
		return nil, fmt.Errorf("the broker answers %v, and not a list of %d", answer, n)
	}
	return all, nil
}
