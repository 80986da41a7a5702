package embednats

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// mostReserve is how much of the disk is never filled, or a sixteenth of a small one.
	mostReserve = 256 << 20
	// writeSpeed is how many bytes a second are written at most, so that the reserve is not used up between two looks.
	writeSpeed = 1 << 30
	leastPause = 10 * time.Millisecond
	mostPause  = time.Second
)

// disk watches the disk of a server. A server of NATS whose disk is full leaves publishers without an answer, and stores nothing more in a stream
// before it is started again. This one refuses what is published while the disk has no more than a reserve, and stores again when it has.
type disk struct {
	*Server
	life    *life
	options *server.Options
	scarce  bool // publishers are refused
}

// reserve is how much of a disk of so many bytes is kept free.
func reserve(total int64) int64 { return min(mostReserve, total/16) }

// keepStoring returns when ctx ends, or when the server has said that it cannot go on.
func (s *Server) keepStoring(ctx context.Context, l *life, options *server.Options) error {
	d := &disk{Server: s, life: l, options: options}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case text := <-l.log.fatal:
			return errors.New(text)
		case <-timer.C:
		}
		timer.Reset(d.look())
	}
}

// look sees to it that the server stores, or refuses to. It returns the time until the next look.
func (d *disk) look() time.Duration {
	free, total, err := room(d.life.dir)
	if err != nil {
		return mostPause // there is nothing to go by
	}
	left := free - reserve(total)
	why := "the disk is full"
	if most := d.life.most; most > 0 {
		if allowed := most - d.stored(); allowed < left {
			left, why = allowed, "NATS keeps as much as it may, three quarters of what the disk had room for (MaxDisk)"
		}
	}
	switch {
	case left <= 0 && !d.scarce:
		d.refuse(true)
		d.logger().Error(why+": NATS refuses what is published until it has room again", "dir", d.life.dir, "free", free)
	case left > reserve(total)/4 && d.scarce:
		d.refuse(false)
		d.logger().Info("the disk has room again: NATS stores what is published", "dir", d.life.dir, "free", free)
	}
	stopped := !d.life.server.JetStreamEnabled() && d.life.server.Running()
	if left > 0 && (d.life.log.broken.Swap(false) || stopped) {
		if err := d.restart(); err != nil {
			d.life.log.broken.Store(true)
			d.logger().Warn("NATS stores nothing; it is tried on", "dir", d.life.dir, "error", err)
			return mostPause
		}
		d.logger().Info("NATS stores again after a failed write", "dir", d.life.dir)
	}
	if d.scarce {
		return mostPause / 10
	}
	return min(max(time.Duration(float64(left)/writeSpeed*float64(time.Second)), leastPause), mostPause)
}

// stored returns how much is kept on the disk.
func (d *disk) stored() int64 {
	info, err := d.life.server.Jsz(nil)
	if err != nil {
		return 0
	}
	return int64(info.Store)
}

// refuse has publishers told that there is no room, or ends that.
func (d *disk) refuse(on bool) {
	limits := server.JetStreamAccountLimits{
		MaxMemory: -1, MaxStore: -1, MaxStreams: -1, MaxConsumers: -1, MaxAckPending: -1, MemoryMaxStreamBytes: -1, StoreMaxStreamBytes: -1,
	}
	if on {
		limits.MaxStore = 1 // byte: all that are stored already are more
	}
	err := d.life.server.GlobalAccount().UpdateJetStreamLimits(map[string]server.JetStreamAccountLimits{"": limits})
	if d.scarce = on == (err == nil); err != nil {
		d.logger().Debug("limits cannot be set", "error", err)
	}
}

// restart switches JetStream off, if it is on, and on, which reads what is stored.
func (d *disk) restart() error {
	srv, o := d.life.server, d.options
	if err := srv.ShutdownJetStream(); err != nil {
		return fmt.Errorf("switching JetStream off: %w", err)
	}
	err := srv.EnableJetStream(&server.JetStreamConfig{
		MaxMemory: o.JetStreamMaxMemory, MaxStore: o.JetStreamMaxStore, StoreDir: o.StoreDir, SyncAlways: o.SyncAlways, SyncInterval: o.SyncInterval,
	})
	if err != nil {
		return fmt.Errorf("switching JetStream on: %w", err)
	}
	d.scarce = false // the limits are gone with what had them
	return nil
}
