package lease

import (
	"testing"
	"time"
)

const ProbeAtMost = probeAtMost

func PauseAfter(took time.Duration) time.Duration { return pauseAfter(took) }

func Probing(d Dir) func(*testing.B) {
	return bench(d, func(w *watch) int { return len(w.probe()) })
}

func Scanning(d Dir) func(*testing.B) {
	return bench(d, func(w *watch) int { changes, _ := w.scan(); return len(changes) })
}

func bench(d Dir, f func(*watch) int) func(*testing.B) {
	return func(b *testing.B) {
		w := newWatch(d)
		defer w.close()
		if _, err := w.scan(); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if f(w) != 0 {
				b.Fatal("changes where nothing changes")
			}
		}
	}
}
