package redisevents

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// checkServer holds that the server of a topic loses nothing, once for each server.
func (b *Broker) checkServer(ctx context.Context, t *topic) error {
	server := redis.Cmdable(b.client)
	name := ""
	if c, ok := b.client.(*redis.ClusterClient); ok {
		begun := time.Now()
		master, err := c.MasterForKey(ctx, t.record)
		if err = b.link.note(begun, err); err != nil {
			return err
		}
		server, name = master, master.Options().Addr
	}
	b.mu.Lock()
	done := b.checked[name]
	b.mu.Unlock()
	if done {
		return nil
	}
	begun := time.Now()
	info, err := server.Info(ctx, "server", "persistence", "memory").Result()
	if err = b.link.note(begun, err); err != nil {
		return err
	}
	is := make(map[string]string)
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			is[name] = value
		}
	}
	if err := b.judge(ctx, server, is); err != nil {
		return err
	}
	b.mu.Lock()
	b.checked[name] = true
	b.mu.Unlock()
	return nil
}

// judge looks at what a server says of itself.
func (b *Broker) judge(ctx context.Context, server redis.Cmdable, is map[string]string) error {
	if major, _, _ := strings.Cut(is["redis_version"], "."); len(major) == 1 && major < "7" {
		return fmt.Errorf("the server is Redis %s, and events need 7.0 or a later one", is["redis_version"])
	}
	switch policy := is["maxmemory_policy"]; {
	case is["maxmemory"] == "0" || is["maxmemory"] == "" || policy == "noeviction":
	case strings.HasPrefix(policy, "volatile-"):
		b.opts.Logger.Warn("events: the server forgets which events it has when it lacks memory, so that one may be there twice (maxmemory-policy "+policy+"): set it to noeviction",
			"maxmemory", is["maxmemory"])
	default:
		return fmt.Errorf("the server drops topics with all their events when it lacks memory (maxmemory %s, maxmemory-policy %s): set maxmemory-policy to noeviction", is["maxmemory"], policy)
	}
	if b.opts.NoSync {
		return nil
	}
	const remedy = `set "appendonly yes" and "appendfsync always" in its configuration, or Options.NoSync if events may get lost`
	if is["aof_enabled"] == "0" {
		return fmt.Errorf("the server would lose events that it has acknowledged when it ends (appendonly no): %s", remedy)
	}
	begun := time.Now()
	config, err := server.ConfigGet(ctx, "appendfsync").Result()
	switch policy := config["appendfsync"]; {
	case transient(err):
		return b.link.note(begun, err)
	case err != nil || policy == "":
		b.opts.Logger.Warn("events: it cannot be seen whether the server writes each event to its disk (appendfsync always), for CONFIG GET is refused", "err", err)
	case policy != "always":
		return fmt.Errorf("the server would lose events that it has acknowledged in the last second, or more, when its machine crashes (appendfsync %s): %s", policy, remedy)
	}
	return nil
}
